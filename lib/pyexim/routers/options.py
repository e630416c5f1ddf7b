"""The options that every router shares.  Spec: chapter "Generic options for routers"."""

from __future__ import annotations

from pyexim.config.option import (
    ADDRESS_LIST,
    BOOL,
    DOMAIN_LIST,
    HEADERS,
    HOST_LIST,
    LOCALPART_LIST,
    SET,
    STRING,
    STRING_LIST,
    option,
    options,
)


@options
class RouterOptions:
    """The options of its section."""

    address_data: str | None = option(STRING, None, expanded=True)
    address_test: bool = option(BOOL, True)
    cannot_route_message: str | None = option(STRING, None, expanded=True)
    caseful_local_part: bool = option(BOOL, False)
    check_local_user: bool = option(BOOL, False)
    condition: str | None = option(STRING, None, expanded=True, style="conditions")
    debug_print: str | None = option(STRING, None, expanded=True)
    disable_logging: bool = option(BOOL, False)
    dnssec_request_domains: str | None = option(DOMAIN_LIST, "*", expanded=True)
    dnssec_require_domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    driver: str | None = option(STRING, None)
    dsn_lasthop: bool = option(BOOL, False)
    errors_to: str | None = option(STRING, None, expanded=True)
    expn: bool = option(BOOL, True)
    fail_verify: bool = option(BOOL, False, style="pair")
    fail_verify_recipient: bool = option(BOOL, False)
    fail_verify_sender: bool = option(BOOL, False)
    fallback_hosts: str | None = option(STRING_LIST, None, expanded=True)
    group: str | None = option(STRING, None, expanded=True, style="gid")
    headers_add: str | None = option(HEADERS, None, expanded=True)
    headers_remove: str | None = option(HEADERS, None, expanded=True)
    ignore_target_hosts: str | None = option(HOST_LIST, None, expanded=True)
    initgroups: bool = option(BOOL, False)
    local_part_prefix: str | None = option(STRING_LIST, None)
    local_part_prefix_optional: bool = option(BOOL, False)
    local_part_suffix: str | None = option(STRING_LIST, None)
    local_part_suffix_optional: bool = option(BOOL, False)
    local_parts: str | None = option(LOCALPART_LIST, None, expanded=True)
    log_as_local: bool = option(BOOL, None)
    more: bool | str = option(BOOL, True, expanded=True)
    pass_on_timeout: bool = option(BOOL, False)
    pass_router: str | None = option(STRING, None)
    redirect_router: str | None = option(STRING, None)
    require_files: str | None = option(STRING_LIST, None, expanded=True)
    retry_use_local_part: bool = option(BOOL, None)
    router_home_directory: str | None = option(STRING, None, expanded=True)
    self: str | None = option(STRING, "freeze")
    senders: str | None = option(ADDRESS_LIST, None, expanded=True)
    set: str | None = option(SET, None)
    translate_ip_address: str | None = option(STRING, None, expanded=True)
    transport: str | None = option(STRING, None, expanded=True)
    transport_current_directory: str | None = option(STRING, None, expanded=True)
    transport_home_directory: str | None = option(STRING, None, expanded=True)
    unseen: bool | str = option(BOOL, False, expanded=True)
    user: str | None = option(STRING, None, expanded=True, style="uid")
    verify: bool = option(BOOL, True, style="pair")
    verify_only: bool = option(BOOL, False)
    verify_recipient: bool = option(BOOL, True)
    verify_sender: bool = option(BOOL, True)
