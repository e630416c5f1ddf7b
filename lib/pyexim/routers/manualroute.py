"""The manualroute router."""

from __future__ import annotations

from pyexim.config.option import BOOL, STRING, STRING_LIST, option, options
from pyexim.routers.options import RouterOptions


@options
class ManualrouteOptions(RouterOptions):
    """The options of its section."""

    host_all_ignored: str | None = option(STRING, "defer")
    host_find_failed: str | None = option(STRING, "freeze")
    hosts_randomize: bool | str = option(BOOL, False, expanded=True)
    route_data: str | None = option(STRING, None, expanded=True)
    route_list: str | None = option(STRING_LIST, None)
    same_domain_copy_routing: bool = option(BOOL, False)
