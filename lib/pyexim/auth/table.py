"""The authenticators that exist: configuration name -> "module:Class"; an unused one is never imported."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from pyexim.auth.base import Authenticator
from pyexim.base.errors import ConfigError
from pyexim.base.octets import lower
from pyexim.config.configuration import Configuration

DRIVERS: Final = {
    "cram_md5": "pyexim.auth.cram_md5:CramMd5",
    "dovecot": "pyexim.auth.dovecot:Dovecot",
    "external": "pyexim.auth.external:External",
    "plaintext": "pyexim.auth.plaintext:Plaintext",
    "spa": "pyexim.auth.spa:Spa",
    "tls": "pyexim.auth.tls:Tls",
}
"""In the order of -bV.  cyrus_sasl, gsasl and heimdal_gssapi are not there, as their libraries are not."""


def find_driver(name: str) -> type[Authenticator] | None:
    """Return the class of a driver, importing its module; None where there is no such driver."""
    where = DRIVERS.get(name)
    if where is None:
        return None
    module, _, attribute = where.partition(":")
    driver: type[Authenticator] = getattr(import_module(module), attribute)
    return driver


def instantiate(config: Configuration) -> None:
    """Make the driver object of every authenticator (``instance.driver``) and check it; raise ConfigError.

    Those that are servers and those that are clients are listed as ``config.compiled["auth_servers"]`` and
    ``["auth_clients"]``.
    """
    for instance in config.authenticators:
        driver = find_driver(instance.driver_name)
        assert driver is not None, f"the reader let pass an unknown driver {instance.driver_name}"
        instance.driver = driver(instance)
        instance.driver.check()
    drivers: list[Authenticator] = [instance.driver for instance in config.authenticators]
    for role, members in (("server", [d for d in drivers if d.is_server]),
                          ("client", [d for d in drivers if d.is_client])):
        _no_doubles(role, members)
        config.compiled[f"auth_{role}s"] = members


def _no_doubles(role: str, members: list[Authenticator]) -> None:
    """Refuse two authenticators for one mechanism."""
    seen: dict[str, Authenticator] = {}
    for driver in members:
        first = seen.setdefault(lower(driver.public_name), driver)
        if first is not driver and not driver.public_name:
            raise ConfigError(f"more than one tls authenticator ({first.name} and {driver.name})")
        if first is not driver:
            raise ConfigError(f"two {role} authenticators ({first.name} and {driver.name}) have the same public name "
                              f"({first.public_name})")
