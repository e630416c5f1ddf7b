"""The queryprogram router."""

from __future__ import annotations

from pyexim.config.option import STRING, TIME, option, options
from pyexim.routers.options import RouterOptions


@options
class QueryprogramOptions(RouterOptions):
    """The options of its section."""

    command: str | None = option(STRING, None, expanded=True)
    command_group: str | None = option(STRING, None, expanded=True, style="gid")
    command_user: str | None = option(STRING, None, expanded=True, style="uid")
    current_directory: str | None = option(STRING, "/")
    timeout: int = option(TIME, 3600)
