"""Every condition and modifier of ACLs: one row each, with who makes it and where it may stand.

A maker is called once per item when an ACL is compiled for a place: ``make(item, build)`` returns a
step, a callable of the running ACL (``run.AclRun``) that gives one of run's result codes.  The places
that forbid an item are what Exim 4.96 refuses.  Spec: sections "ACL modifiers" and "ACL conditions".
"""

from __future__ import annotations

from typing import Final

from pyexim.acl.where import COMMANDS, CONTENT, ENVELOPE, EVERYWHERE, NON_SMTP
from pyexim.base.record import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One condition or modifier."""

    name: str
    make: str
    """"module:function" in this package."""
    modifier: bool = False
    forbidden: frozenset[str] = frozenset()
    """Where it cannot be used."""
    expanded: bool = False
    """The argument is expanded before the step sees it (not: lists, which their matcher expands)."""
    verbs: frozenset[str] | None = None
    """The verbs it is limited to."""


_RCPT_ONLY: Final = EVERYWHERE - {"rcpt"}
_RCPT_PRDR: Final = EVERYWHERE - {"rcpt", "prdr"}
_SENDER: Final = COMMANDS - {"notquit"}
_HEADERS: Final = COMMANDS
_CONTENT: Final = (COMMANDS | ENVELOPE | {"mime"}) - {"prdr"}

_LISTS, _TEXT, _MODIFIERS = "pyexim.acl.conditions_lists", "pyexim.acl.conditions_text", "pyexim.acl.modifiers"

ROWS: Final = (
    Row("acl", "pyexim.acl.nested:acl"),
    Row("add_header", f"{_MODIFIERS}:add_header", True, _HEADERS, True),
    Row("atrn_domains", f"{_LISTS}:atrn_domains", False, EVERYWHERE - {"atrn"}),
    Row("authenticated", f"{_LISTS}:authenticated", False, NON_SMTP | {"connect", "helo"}),
    Row("condition", f"{_TEXT}:condition", expanded=True),
    Row("continue", f"{_MODIFIERS}:continue_", True, expanded=True),
    Row("control", "pyexim.acl.control:control", True, expanded=True),
    Row("decode", "pyexim.acl.content:decode", False, EVERYWHERE - {"mime"}, True),
    Row("delay", f"{_MODIFIERS}:delay", True, frozenset({"notquit"}), True),
    Row("dnslists", "pyexim.acl.dnslists:dnslists", expanded=True),
    Row("domains", f"{_LISTS}:domains", False, _RCPT_PRDR),
    Row("encrypted", f"{_LISTS}:encrypted", False, NON_SMTP | {"helo"}),
    Row("endpass", f"{_MODIFIERS}:endpass", True, verbs=frozenset({"accept", "discard"})),
    Row("hosts", f"{_LISTS}:hosts", False, NON_SMTP),
    Row("local_parts", f"{_LISTS}:local_parts", False, _RCPT_PRDR),
    Row("log_message", f"{_MODIFIERS}:log_message", True),
    Row("log_reject_target", f"{_MODIFIERS}:log_reject_target", True, expanded=True),
    Row("logwrite", f"{_MODIFIERS}:logwrite", True, expanded=True),
    Row("malware", "pyexim.acl.content:malware", False, _CONTENT, True),
    Row("message", f"{_MODIFIERS}:message", True),
    Row("mime_regex", "pyexim.acl.content:mime_regex", False, EVERYWHERE - {"mime"}, True),
    Row("queue", f"{_MODIFIERS}:queue", True, NON_SMTP | CONTENT, True),
    Row("ratelimit", "pyexim.acl.ratelimit:ratelimit", expanded=True),
    Row("recipients", f"{_LISTS}:recipients", False, _RCPT_ONLY),
    Row("regex", "pyexim.acl.content:regex", False, COMMANDS | ENVELOPE, True),
    Row("remove_header", f"{_MODIFIERS}:remove_header", True, _HEADERS, True),
    Row("seen", "pyexim.acl.seen:seen", expanded=True),
    Row("sender_domains", f"{_LISTS}:sender_domains", False, _SENDER),
    Row("senders", f"{_LISTS}:senders", False, _SENDER),
    Row("set", f"{_MODIFIERS}:set_", True, expanded=True),
    Row("spam", "pyexim.acl.content:spam", False, _CONTENT, True),
    Row("udpsend", f"{_MODIFIERS}:udpsend", True, expanded=True),
    Row("verify", "pyexim.acl.verifying:verify", expanded=True),
)
BY_NAME: Final = {row.name: row for row in ROWS}


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control: what it sets, whether it takes options after a slash, and where it is refused."""

    name: str
    apply: str
    """The function in ``acl.control`` that applies it."""
    options: bool
    forbidden: frozenset[str]
    field: str = ""
    """The field of AclControls that a plain switch sets..."""
    value: object = True
    """...and to what."""
    error_name: str = ""
    """What messages call it, where that is not its name."""


_MESSAGE: Final = COMMANDS | {"prdr"}
_BEFORE_DATA: Final = EVERYWHERE - ENVELOPE
_NONE: Final[frozenset[str]] = frozenset()


def _switch(name: str, forbidden: frozenset[str], field: str, value: object = True) -> ControlRow:
    return ControlRow(name, "switch", False, forbidden, field, value)


CONTROLS: Final = (
    _switch("allow_auth_unadvertised", EVERYWHERE - {"connect", "helo"}, "allow_auth_unadvertised"),
    ControlRow("caseful_local_part", "local_part_case", False, _RCPT_ONLY, "caseful_local_part", True),
    ControlRow("caselower_local_part", "local_part_case", False, _RCPT_ONLY, "caseful_local_part", False),
    ControlRow("cutthrough_delivery", "cutthrough", True, _NONE),
    ControlRow("debug", "debug", True, _NONE),
    _switch("dkim_disable_verify", CONTENT | NON_SMTP, "dkim_disable_verify"),
    _switch("dmarc_disable_verify", CONTENT | NON_SMTP, "dmarc_disable_verify"),
    _switch("dmarc_enable_forensic", CONTENT | NON_SMTP, "dmarc_enable_forensic"),
    ControlRow("dscp", "dscp", True, NON_SMTP | {"notquit"}),
    _switch("enforce_sync", NON_SMTP, "enforce_sync", True),
    ControlRow("fakedefer", "fake", True, COMMANDS | NON_SMTP, value=450),
    ControlRow("fakereject", "fake", True, COMMANDS | NON_SMTP, value=550),
    ControlRow("freeze", "freeze", True, _MESSAGE),
    _switch("no_callout_flush", NON_SMTP, "callout_flush", False),
    _switch("no_delay_flush", NON_SMTP, "delay_flush", False),
    _switch("no_enforce_sync", NON_SMTP, "enforce_sync", False),
    _switch("no_mbox_unspool", _MESSAGE | NON_SMTP, "no_mbox_unspool"),
    _switch("no_multiline_responses", NON_SMTP, "multiline", False),
    _switch("no_pipelining", NON_SMTP, "pipelining", False),
    ControlRow("queue", "queue", True, _MESSAGE),
    ControlRow("queue_only", "queue", True, _MESSAGE, error_name="queue"),
    ControlRow("submission", "submission", True, _BEFORE_DATA),
    _switch("suppress_local_fixups", _BEFORE_DATA - {"not_smtp_start"}, "suppress_local_fixups"),
    ControlRow("utf8_downconvert", "utf8_downconvert", True, EVERYWHERE - {"rcpt", "vrfy"}),
    ControlRow("wellknown", "wellknown", True, EVERYWHERE - {"wellknown"}),
)
CONTROLS_BY_NAME: Final = {row.name: row for row in CONTROLS}
