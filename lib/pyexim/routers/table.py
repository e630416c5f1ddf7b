"""The routers that exist: configuration name -> "module:Class"; an unused one is never imported."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from pyexim.routers.base import Router

DRIVERS: Final = {
    "accept": "pyexim.routers.accept:Accept",
    "dnslookup": "pyexim.routers.dnslookup:Dnslookup",
    "ipliteral": "pyexim.routers.ipliteral:Ipliteral",
    "iplookup": "pyexim.routers.iplookup:Iplookup",
    "manualroute": "pyexim.routers.manualroute:Manualroute",
    "queryprogram": "pyexim.routers.queryprogram:Queryprogram",
    "redirect": "pyexim.routers.redirect:Redirect",
}
"""In the order of -bV."""


def find_driver(name: str) -> type[Router] | None:
    """Return the class of a driver, importing its module; None where there is no such driver."""
    where = DRIVERS.get(name)
    if where is None:
        return None
    module, _, attribute = where.partition(":")
    driver: type[Router] = getattr(import_module(module), attribute)
    return driver
