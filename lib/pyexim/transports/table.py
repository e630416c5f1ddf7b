"""The transports that exist: configuration name -> "module:Class"; an unused one is never imported."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from pyexim.config.configuration import Configuration, Instance
from pyexim.transports.base import Transport

DRIVERS: Final = {
    "appendfile": "pyexim.transports.appendfile:Appendfile",
    "autoreply": "pyexim.transports.autoreply:Autoreply",
    "lmtp": "pyexim.transports.lmtp:Lmtp",
    "pipe": "pyexim.transports.pipe:Pipe",
    "smtp": "pyexim.transports.smtp:Smtp",
}
"""In the order of -bV."""


OPTIONS: Final = {"smtp": "pyexim.transports.smtp_options:SmtpOptions"}
"""The options class of a driver, where it does not stand beside the driver's class."""

CHECKED: Final[dict[str, frozenset[str]]] = {
    "smtp": frozenset({"command_timeout", "data_timeout", "dscp", "final_timeout", "protocol"}),
}
"""All options that the ``check`` of a driver looks at.  Where none of them is set, the driver is made when it is
needed first: reading the configuration does not import the many modules of these drivers."""


def find_driver(name: str) -> type[Transport] | None:
    """Return the class of a driver, importing its module; None where there is no such driver."""
    where = DRIVERS.get(name)
    if where is None:
        return None
    module, _, attribute = where.partition(":")
    driver: type[Transport] = getattr(import_module(module), attribute)
    return driver


def instantiate(config: Configuration) -> None:
    """Make the driver object of every transport (``instance.driver``) and check it; raise ConfigError.

    The reader has made the options with the driver's Options class, so the driver is known here.
    """
    for instance in config.transports.values():
        checked = CHECKED.get(instance.driver_name)
        if checked is not None and checked.isdisjoint(instance.set_places):
            instance.maker = _make
        else:
            instance.driver = _make(instance)
    for instance in config.transports.values():
        check_generic(Transport(instance), config)
        if instance.made is not None:
            instance.made.check()


def _make(instance: Instance) -> Transport:
    driver = find_driver(instance.driver_name)
    assert driver is not None, f"the reader let pass an unknown driver {instance.driver_name}"
    return driver(instance)


def check_generic(transport: Transport, config: Configuration) -> None:
    """Refuse combinations of generic options that make no sense, in Exim's words."""
    from pyexim.base.errors import ConfigError

    options = transport.options
    if options.body_only and options.headers_only:
        raise ConfigError(f"{transport.name} transport: body_only and headers_only are mutually exclusive",
                          transport.instance.place)
    if options.headers_rewrite is not None:
        from pyexim.rewrite.rules import parse_option

        parse_option(options.headers_rewrite, transport.instance.set_places.get("headers_rewrite"))
    shadow = options.shadow_transport
    if shadow is not None:
        other = config.transports.get(shadow)
        if other is None or not other.driver.is_local:
            reason = "not found" if other is None else "is a remote transport"
            raise ConfigError(f"shadow transport {shadow!r} of the {transport.name} transport {reason}",
                              transport.instance.set_places.get("shadow_transport", transport.instance.place))
