"""The options that every transport shares.  Spec: chapter "Generic options for transports"."""

from __future__ import annotations

from pyexim.config.option import BOOL, HEADERS, INT, STRING, TIME, option, options


@options
class TransportOptions:
    """The options of its section."""

    body_only: bool = option(BOOL, False)
    current_directory: str | None = option(STRING, None, expanded=True)
    debug_print: str | None = option(STRING, None, expanded=True)
    delivery_date_add: bool = option(BOOL, False)
    disable_logging: bool = option(BOOL, False)
    driver: str | None = option(STRING, None)
    envelope_to_add: bool = option(BOOL, False)
    event_action: str | None = option(STRING, None, expanded=True)
    group: str | None = option(STRING, None, expanded=True, style="gid")
    headers_add: str | None = option(HEADERS, None, expanded=True)
    headers_only: bool = option(BOOL, False)
    headers_remove: str | None = option(HEADERS, None, expanded=True)
    headers_rewrite: str | None = option(STRING, None)
    home_directory: str | None = option(STRING, None, expanded=True)
    initgroups: bool = option(BOOL, False)
    max_parallel: int | str = option(INT, 0, expanded=True)
    message_size_limit: str | None = option(STRING, "0", expanded=True)
    rcpt_include_affixes: bool = option(BOOL, False)
    retry_use_local_part: bool = option(BOOL, None)
    return_path: str | None = option(STRING, None, expanded=True)
    return_path_add: bool = option(BOOL, False)
    shadow_condition: str | None = option(STRING, None, expanded=True)
    shadow_transport: str | None = option(STRING, None)
    transport_filter: str | None = option(STRING, None, expanded=True)
    transport_filter_timeout: int = option(TIME, 300)
    user: str | None = option(STRING, None, expanded=True, style="uid")
