"""The ipliteral router."""

from __future__ import annotations

from pyexim.config.option import options
from pyexim.routers.options import RouterOptions


@options
class IpliteralOptions(RouterOptions):
    """It has no options of its own."""
