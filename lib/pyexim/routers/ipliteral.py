"""The ipliteral router."""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.routers.options import RouterOptions


@dataclass(kw_only=True, slots=True)
class IpliteralOptions(RouterOptions):
    """It has no options of its own."""
