"""The authenticators that exist: configuration name -> "module:Class"; an unused one is never imported."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from pyexim.auth.base import Authenticator
from pyexim.config.configuration import Configuration

DRIVERS: Final = {
    "cram_md5": "pyexim.auth.cram_md5:CramMd5",
    "cyrus_sasl": "pyexim.auth.cyrus_sasl:CyrusSasl",
    "dovecot": "pyexim.auth.dovecot:Dovecot",
    "external": "pyexim.auth.external:External",
    "gsasl": "pyexim.auth.gsasl:Gsasl",
    "heimdal_gssapi": "pyexim.auth.heimdal_gssapi:HeimdalGssapi",
    "plaintext": "pyexim.auth.plaintext:Plaintext",
    "spa": "pyexim.auth.spa:Spa",
    "tls": "pyexim.auth.tls:Tls",
}
"""In the order of -bV."""


def find_driver(name: str) -> type[Authenticator] | None:
    """Return the class of a driver, importing its module; None where there is no such driver."""
    where = DRIVERS.get(name)
    if where is None:
        return None
    module, _, attribute = where.partition(":")
    driver: type[Authenticator] = getattr(import_module(module), attribute)
    return driver


def instantiate(config: Configuration) -> None:
    """Make the driver object of every authenticator (``instance.driver``) and check it; raise ConfigError."""
    for instance in config.authenticators:
        driver = find_driver(instance.driver_name)
        assert driver is not None, f"the reader let pass an unknown driver {instance.driver_name}"
        instance.driver = driver(instance)
        instance.driver.check()
