"""The options that every transport shares.  Spec: chapter "Generic options for transports"."""

from __future__ import annotations

from pyexim.config.option import BOOL, HEADERS, INT, STRING, TIME, option, options


@options
class TransportOptions:
    """The options of its section."""

    body_only: bool = option(BOOL, False, spec="24",
        doc="Leave the header lines out.")
    current_directory: str | None = option(STRING, None, expanded=True, spec="24",
        doc="Where a local transport runs; the router's setting counts without it.")
    debug_print: str | None = option(STRING, None, expanded=True, spec="24",
        doc="Text for the debugging output when the transport runs.")
    delivery_date_add: bool = option(BOOL, False, spec="24",
        doc="Add a Delivery-date: line with the time of this delivery.")
    disable_logging: bool = option(BOOL, False, spec="24",
        doc="Log nothing about deliveries by this transport.")
    driver: str | None = option(STRING, None, spec="24",
        doc="Which driver the transport uses.")
    envelope_to_add: bool = option(BOOL, False, spec="24",
        doc="Add an Envelope-to: line with the original recipients.")
    event_action: str | None = option(STRING, None, expanded=True, spec="24",
        doc="Text expanded at events.")
    group: str | None = option(STRING, None, expanded=True, style="gid", spec="24",
        doc="Group under which the transport runs.")
    headers_add: str | None = option(HEADERS, None, expanded=True, spec="24",
        doc="Header lines to add, separated by newlines, each expanded by itself; may be given several times.")
    headers_only: bool = option(BOOL, False, spec="24",
        doc="Leave the body out.")
    headers_remove: str | None = option(HEADERS, None, expanded=True, spec="24",
        doc="Names of header lines to leave out; a name may end in an asterisk; may be given several times.")
    headers_rewrite: str | None = option(STRING, None, spec="24",
        doc="Rewriting rules for the addresses in header lines of this copy.")
    home_directory: str | None = option(STRING, None, expanded=True, spec="24",
        doc="The home directory of a local transport, instead of the router's.")
    initgroups: bool = option(BOOL, False, spec="24",
        doc="Give the transport's user all its groups.")
    max_parallel: int | str = option(INT, 0, expanded=True, spec="24",
        doc="How many runs of the transport there may be at a time; 0 for no limit.")
    message_size_limit: str | None = option(STRING, "0", expanded=True, spec="24",
        doc="Largest message that is delivered this way; a larger one is bounced. 0 for no limit.")
    rcpt_include_affixes: bool = option(BOOL, False, spec="24",
        doc="Keep prefixes and suffixes of local parts in the envelope.")
    retry_use_local_part: bool = option(BOOL, None, spec="24",
        doc="Whether a temporary failure delays the address or its whole domain; on for local transports.")
    return_path: str | None = option(STRING, None, expanded=True, spec="24",
        doc="Envelope sender for this copy.")
    return_path_add: bool = option(BOOL, False, spec="24",
        doc="Add a Return-path: line.")
    shadow_condition: str | None = option(STRING, None, expanded=True, spec="24",
        doc="When the shadow transport is used: unless this is empty, 0, no or false.")
    shadow_transport: str | None = option(STRING, None, spec="24",
        doc="A local transport that also gets what this one has delivered.")
    transport_filter: str | None = option(STRING, None, expanded=True, spec="24",
        doc="Command through which the message goes before it is delivered.")
    transport_filter_timeout: int = option(TIME, 300, spec="24",
        doc="How long the filter may take.")
    user: str | None = option(STRING, None, expanded=True, style="uid", spec="24",
        doc="User under which the transport runs.")
