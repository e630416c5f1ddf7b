"""The routers that exist: configuration name -> "module:Class"; an unused one is never imported."""

from __future__ import annotations

from typing import Final

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
