"""The iplookup router."""

from __future__ import annotations

from pyexim.config.option import BOOL, INT, STRING, TIME, option, options
from pyexim.routers.options import RouterOptions


@options
class IplookupOptions(RouterOptions):
    """The options of its section."""

    hosts: str | None = option(STRING, None)
    optional: bool = option(BOOL, False)
    port: int = option(INT, 0)
    protocol: str | None = option(STRING, "udp")
    query: str | None = option(STRING, None, expanded=True)
    reroute: str | None = option(STRING, None, expanded=True)
    response_pattern: str | None = option(STRING, None)
    timeout: int = option(TIME, 5)
