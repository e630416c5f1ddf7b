"""The log selectors: which there are, which are on by default, and reading log_selector.

Spec: section "Reducing or increasing what is logged" of the chapter "Log files".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.pattern import lazy_pattern
from pyexim.log.log import DEFAULT_SELECTORS

SELECTORS: Final = frozenset({
    "8bitmime", "acl_warn_skipped", "address_rewrite", "all_parents", "arguments", "connection_id",
    "connection_reject", "delay_delivery", "deliver_time", "delivery_size", "dkim", "dkim_verbose", "dmarc",
    "dmarc_verbose", "dnslist_defer", "dnssec", "etrn", "host_lookup_failed", "ident_timeout",
    "incoming_interface", "incoming_port", "lost_incoming_connection", "millisec", "msg_id", "msg_id_created",
    "outgoing_interface", "outgoing_port", "protocol_detail", "queue_run", "queue_time",
    "queue_time_exclusive", "queue_time_overall", "pid", "pipelining", "proxy", "receive_time",
    "received_recipients", "received_sender", "rejected_header", "retry_defer", "return_path_on_delivery",
    "sender_on_delivery", "sender_verify_fail", "size_reject", "skip_delivery", "smtp_confirmation",
    "smtp_connection", "smtp_incomplete_transaction", "smtp_mailauth", "smtp_no_mail", "smtp_protocol_error",
    "smtp_syntax_error", "spf", "spf_verbose", "subject", "tls_certificate_verified", "tls_cipher",
    "tls_on_connect", "tls_peerdn", "tls_resumption", "tls_sni", "unknown_in_list"})

ALIASES: Final = {"rejected_headers": "rejected_header"}
"""Names that Exim takes besides the documented ones."""

_ITEM: Final = lazy_pattern(r"\s*([+-])([A-Za-z0-9_]*)", re.ASCII)


def parse(text: str | None) -> frozenset[str]:
    """Return the selectors that are on; ValueError with Exim's text for a malformed setting."""
    on = set(DEFAULT_SELECTORS)
    position = 0
    text = text or ""
    while text[position:].strip():
        m = _ITEM.match(text, position)
        if m is None:
            raise ValueError(f'malformed log_selector setting: + or - expected but found "{text[position:].lstrip()}"')
        sign, name = m.groups()
        name = ALIASES.get(name, name)
        if name == "all":
            on = set(SELECTORS) if sign == "+" else set()
        elif name in SELECTORS:
            (on.add if sign == "+" else on.discard)(name)
        else:
            raise ValueError(f"unknown log_selector setting: {sign}{name}")
        position = m.end()
    return frozenset(on)
