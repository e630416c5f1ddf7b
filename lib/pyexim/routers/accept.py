"""The accept router."""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.routers.options import RouterOptions


@dataclass(kw_only=True, slots=True)
class AcceptOptions(RouterOptions):
    """It has no options of its own."""
