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

    address_data: str | None = option(STRING, None, expanded=True,
        doc="Expanded when the preconditions are met; kept with the address as $address_data.", spec="15")
    address_test: bool = option(BOOL, True, doc="Whether the router runs when -bt tests addresses.", spec="15")
    cannot_route_message: str | None = option(STRING, None, expanded=True,
        doc="Text instead of \"Unrouteable address\" when this was the last router looked at.", spec="15")
    caseful_local_part: bool = option(BOOL, False,
        doc="Whether the router sees the local part in its own case rather than in lower case.", spec="15")
    check_local_user: bool = option(BOOL, False,
        doc="The local part must be the name of an account; sets $home, user and group.", spec="15")
    condition: str | None = option(STRING, None, expanded=True, style="conditions",
        doc="After expansion anything but nothing, 0, no or false lets the router run.", spec="15")
    debug_print: str | None = option(STRING, None, expanded=True,
        doc="Text for the debugging output when the router is about to run.", spec="15")
    disable_logging: bool = option(BOOL, False, doc="No log lines for deliveries and routing errors of this router.",
        spec="15")
    dnssec_request_domains: str | None = option(DOMAIN_LIST, "*", expanded=True,
        doc="Domains for which authenticated DNS answers are asked for.", spec="15")
    dnssec_require_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains for which only authenticated DNS answers count.", spec="15")
    domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="The domain must be in this list; what it matched is in $domain_data.", spec="15")
    driver: str | None = option(STRING, None, doc="The kind of router.", spec="15")
    dsn_lasthop: bool = option(BOOL, False, doc="Success reports are made here instead of being passed on.",
        spec="15")
    errors_to: str | None = option(STRING, None, expanded=True,
        doc="Where bounces for these addresses go; it must verify.", spec="15")
    expn: bool = option(BOOL, True, doc="Whether the router runs for EXPN.", spec="15")
    fail_verify: bool = option(BOOL, False, style="pair", doc="Sets fail_verify_sender and fail_verify_recipient.",
        spec="15")
    fail_verify_recipient: bool = option(BOOL, False,
        doc="A recipient that this router accepts fails its verification.", spec="15")
    fail_verify_sender: bool = option(BOOL, False, doc="A sender that this router accepts fails its verification.",
        spec="15")
    fallback_hosts: str | None = option(STRING_LIST, None, expanded=True,
        doc="Hosts to try when none of the address's own takes the message.", spec="15")
    group: str | None = option(STRING, None, expanded=True, style="gid", doc="Group for the transport process.",
        spec="15")
    headers_add: str | None = option(HEADERS, None, expanded=True, doc="Header lines to be added by the transport.",
        spec="15")
    headers_remove: str | None = option(HEADERS, None, expanded=True,
        doc="Names of header lines to be left out by the transport.", spec="15")
    ignore_target_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Addresses that count as if the host did not have them.", spec="15")
    initgroups: bool = option(BOOL, False, doc="The transport process gets all groups of the user.", spec="15")
    local_part_prefix: str | None = option(STRING_LIST, None,
        doc="The local part must begin with one of these, which is taken off.", spec="15")
    local_part_prefix_optional: bool = option(BOOL, False, doc="The router also runs without any of the prefixes.",
        spec="15")
    local_part_suffix: str | None = option(STRING_LIST, None,
        doc="The local part must end with one of these, which is taken off.", spec="15")
    local_part_suffix_optional: bool = option(BOOL, False, doc="The router also runs without any of the suffixes.",
        spec="15")
    local_parts: str | None = option(LOCALPART_LIST, None, expanded=True,
        doc="The local part must be in this list; what it matched is in $local_part_data.", spec="15")
    log_as_local: bool = option(BOOL, None, doc="Log the local part alone, as for deliveries on this host.",
        spec="15")
    more: bool | str = option(BOOL, True, expanded=True,
        doc="Whether the next router is tried when this one declines.", spec="15")
    pass_on_timeout: bool = option(BOOL, False, doc="A DNS time-out passes the address on instead of deferring it.",
        spec="15")
    pass_router: str | None = option(STRING, None, doc="The router that gets an address which this one passes on.",
        spec="15")
    redirect_router: str | None = option(STRING, None, doc="The router at which generated addresses start.",
        spec="15")
    require_files: str | None = option(STRING_LIST, None, expanded=True,
        doc="Files that must be there, or with \"!\" must not; a user for whom they must be readable.", spec="15")
    retry_use_local_part: bool = option(BOOL, None,
        doc="Retry data of routing are kept for the whole address rather than the domain.", spec="15")
    router_home_directory: str | None = option(STRING, None, expanded=True, doc="$home while the router runs.",
        spec="15")
    self: str | None = option(STRING, "freeze", doc="What to do when the first host turns out to be this one.",
        spec="15")
    senders: str | None = option(ADDRESS_LIST, None, expanded=True, doc="The envelope sender must be in this list.",
        spec="15")
    set: str | None = option(SET, None, doc="Variables r_... to be set when the preconditions are met.", spec="15")
    translate_ip_address: str | None = option(STRING, None, expanded=True,
        doc="Expanded for each host address; the result replaces it.", spec="15")
    transport: str | None = option(STRING, None, expanded=True,
        doc="The transport for addresses that this router accepts.", spec="15")
    transport_current_directory: str | None = option(STRING, None, expanded=True,
        doc="Current directory for the transport process.", spec="15")
    transport_home_directory: str | None = option(STRING, None, expanded=True, doc="$home for the transport process.",
        spec="15")
    unseen: bool | str = option(BOOL, False, expanded=True, doc="A copy of the address goes on to the next router.",
        spec="15")
    user: str | None = option(STRING, None, expanded=True, style="uid", doc="User for the transport process.",
        spec="15")
    verify: bool = option(BOOL, True, style="pair", doc="Sets verify_sender and verify_recipient.", spec="15")
    verify_only: bool = option(BOOL, False, doc="The router runs for verification only.", spec="15")
    verify_recipient: bool = option(BOOL, True, doc="Whether the router runs when recipients are verified.",
        spec="15")
    verify_sender: bool = option(BOOL, True, doc="Whether the router runs when senders are verified.", spec="15")
