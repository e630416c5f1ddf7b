"""What reception does to the header lines of a message.

Spec: chapter "Message processing".  Lines that are replaced or removed stay in the list with the type
"*" (the spool file has them so); lines that are added stand at the end, those of Resent- messages at
the top.  Adding happens for local messages and in submission mode, unless suppress_local_fixups says no.
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.acl.controls import AFTER_RECEIVED, AT_END, AT_START, AclControls, AddedHeader
from pyexim.base.octets import lower
from pyexim.base.record import dataclass, field
from pyexim.base.taint import Tainted, taint
from pyexim.expand import regex
from pyexim.expand.scope import Scope
from pyexim.mailfmt import dates
from pyexim.mailfmt.address import fix_phrase, parse_address
from pyexim.mailfmt.header import RESENT, TYPES
from pyexim.match.lists import split_list
from pyexim.model.message import Header, Message
from pyexim.receive import trace
from pyexim.receive.received import make_message_id
from pyexim.rewrite import api as rewrite

_REMOVED = {"delivery-date": "delivery_date_remove", "envelope-to": "envelope_to_remove",
            "return-path": "return_path_remove"}
"""Lines that only final deliveries add -> the option that says they are taken away."""
_SENDER_TYPES = frozenset("FSR")
_REWRITTEN = frozenset("FTCBRS")


@dataclass(slots=True)
class Fields:
    """The header lines of a message, with those found that reception looks at.

    ``first`` has the first line of a name ("from", "resent-from", "sender", "message-id", "date", ...).
    """

    headers: list[Header]
    first: dict[str, Header] = field(default_factory=dict)
    resent: bool = False
    received_count: int = 0
    id_created: bool = False

    def prefixed(self, name: str) -> Header | None:
        """Return the line of a name, or its Resent- form in a message that is being resent."""
        return self.first.get("resent-" + name if self.resent else name)


def classify(lines: list[str]) -> Fields:
    """Make Headers of header fields (each ending in a newline)."""
    headers: list[Header] = []
    fields = Fields(headers)
    first = fields.first
    for text in lines:
        name = text[:text.find(":")].rstrip(" \t").lower()
        kind = TYPES.get(name)
        if kind is None:
            if name[:7] == "resent-" and name[7:] in RESENT:
                fields.resent = True
                kind = TYPES[name[7:]]
            else:
                headers.append(Header(Tainted(text)))
                continue
        if kind == "P":
            fields.received_count += 1
        header = Header(Tainted(text), kind if len(kind) == 1 else " ")
        headers.append(header)
        if kind != " " and name not in first:
            first[name] = header
    if fields.resent and "message-id" in first:
        first["message-id"].type = " "
    return fields


def remove_delivery_lines(fields: Fields, scope: Scope) -> None:
    """Take away the lines that only final deliveries may add: Return-path:, Envelope-to:, Delivery-date:."""
    found = _REMOVED.keys() & fields.first.keys()
    if not found:
        return
    main = scope.config.main
    names = {n for n in found if getattr(main, _REMOVED[n])}
    for header in fields.headers:
        if header.text[:header.text.find(":")].rstrip(" \t").lower() in names:
            header.type = "*"


@dataclass(slots=True)
class Origin:
    """Who a message comes from, as far as the fix-ups want to know."""

    local: bool
    """On standard input from a local process, not from another host."""
    trusted: bool
    smtp: bool
    login: str = ""
    name: str = ""
    """The caller's full name, or what -F says."""
    name_given: bool = False
    """-F was given."""
    sender_is_caller: bool = False
    """The envelope sender is the caller's own address."""


def fix(fields: Fields, message: Message, scope: Scope, controls: AclControls, origin: Origin) -> None:
    """Do everything between the end of the header and the DATA ACL, but for the Received: line."""
    debug = scope.services.debug
    if debug is not None and debug.any("receive", "rewrite"):
        trace.before(debug, fields.headers, message)
        _fix(fields, message, scope, controls, origin)
        trace.after(debug, fields.headers, message)
    else:
        _fix(fields, message, scope, controls, origin)


def _fix(fields: Fields, message: Message, scope: Scope, controls: AclControls, origin: Origin) -> None:
    active = (origin.local or controls.submission) and not controls.suppress_local_fixups
    if active:
        _remove_sender(fields, scope, controls, origin)
        _add_message_id(fields, message, scope)
    if scope.config.rewrite:
        _rewrite_recipients(fields, message, scope)
    if active:
        _fix_from(fields, message, scope, controls, origin)
    if origin.smtp:
        _rewrite_sender(message, scope)
    if message.unrewritten_sender:
        _add(fields, Header(taint(f"X-rewrote-sender: {message.unrewritten_sender}\n"), "*"))
    if active:
        _check_sender(fields, message, scope, controls, origin)
    _rewrite(fields, message, scope)
    if active and fields.prefixed("date") is None:
        prefix = "Resent-" if fields.resent else ""
        _add(fields, Header(f"{prefix}Date: {dates.rfc5322(scope.services.clock.time())}\n", " "), top=fields.resent)


def _add(fields: Fields, header: Header, *, top: bool = False) -> None:
    if top:
        fields.headers.insert(0, header)
    else:
        fields.headers.append(header)


def _replace(headers: list[Header], old: Header, new: Header) -> None:
    """Put a line after the one that it replaces, which stays as deleted."""
    for i, h in enumerate(headers):
        if h is old:
            headers.insert(i + 1, new)
            break
    old.type = "*"


def _remove_sender(fields: Fields, scope: Scope, controls: AclControls, origin: Origin) -> None:
    if origin.local:
        if origin.trusted or scope.config.main.local_sender_retain:
            return
    elif controls.submission_sender_retain:
        return
    for header in fields.headers:
        if header.type == "S":
            header.type = "*"


def _add_message_id(fields: Fields, message: Message, scope: Scope) -> None:
    if fields.prefixed("message-id") is not None:
        return
    prefix = "Resent-" if fields.resent else ""
    header = Header(f"{prefix}Message-Id: {make_message_id(scope, message)}\n", "I")
    fields.first[lower(prefix) + "message-id"] = header
    fields.id_created = True
    _add(fields, header, top=fields.resent)


def _phrase(scope: Scope, name: str) -> str:
    main = scope.config.main
    return fix_phrase(name, main.headers_charset or "UTF-8", top_bit=main.print_topbitchars)


def _address_line(scope: Scope, field_name: str, name: str, address: str) -> str:
    phrase = _phrase(scope, name) if name else ""
    return f"{field_name}: {phrase} <{address}>\n" if phrase else f"{field_name}: {address}\n"


def _own_address(scope: Scope, origin: Origin) -> str:
    return f"{origin.login}@{scope.config.main.qualify_domain}"


def _fix_from(fields: Fields, message: Message, scope: Scope, controls: AclControls, origin: Origin) -> None:
    """Add a From: line where there is none, or complete one that has only the login."""
    name = "Resent-From" if fields.resent else "From"
    found = fields.prefixed("from")
    if found is not None:
        if origin.local and not origin.smtp:
            body = found.text.partition(":")[2].strip(" \t\n")
            if body == origin.login or body == f"<{origin.login}>":
                line = _address_line(scope, name, origin.name, _own_address(scope, origin))
                new = Header(line, "F")
                _replace(fields.headers, found, new)
                fields.first[name.lower()] = new
        return
    if origin.local:
        address = message.unrewritten_sender or message.sender_address
        if not address and message.local_error_message:
            address = _own_address(scope, origin)  # a message in answer to another one
        if not address:
            return
        use_name = origin.name if origin.name_given or origin.sender_is_caller else ""
    else:
        use_name = controls.submission_name or ""
        address = message.unrewritten_sender or message.sender_address or submission_address(message, scope, controls)
        if not address:
            return
    header = Header(taint(_address_line(scope, name, use_name, address)), "F")
    fields.first[name.lower()] = header
    _add(fields, header)


def submission_address(message: Message, scope: Scope, controls: AclControls) -> str:
    """Return the address that an authenticated submission belongs to, "" without one."""
    who = message.conn.authenticated_id
    if not who:
        return ""
    domain = controls.submission_domain
    if domain is None:
        return f"{who}@{scope.config.main.qualify_domain}"
    return f"{who}@{domain}" if domain else who


def _affixed(local_part: str, option: str | None, *, suffix: bool) -> list[str]:
    """Return what may be left of a local part when a permitted prefix (or suffix) is taken off."""
    out = [local_part]
    for affix in split_list(option) if option else ():
        if not affix:
            continue
        wild = affix.endswith("*") if suffix else affix.startswith("*")
        fixed = affix.replace("*", "", 1) if wild else affix
        if suffix:
            if wild and (at := local_part.rfind(fixed)) > 0:
                out.append(local_part[:at])
            elif not wild and local_part.endswith(fixed):
                out.append(local_part[:-len(fixed)])
        elif wild and (at := local_part.find(fixed)) >= 0:
            out.append(local_part[at + len(fixed):])
        elif not wild and local_part.startswith(fixed):
            out.append(local_part[len(fixed):])
    return out


def _is_own(header: Header, expected: str, scope: Scope) -> bool:
    """Tell whether a From: line has just this address, apart from permitted prefixes and suffixes."""
    main = scope.config.main
    parsed = parse_address(header.text.partition(":")[2].rstrip("\n"), allow_domain_literals=True)
    if parsed.error is not None:
        return False
    if parsed.domain_at:
        local_part, domain = parsed.address[:parsed.domain_at - 1], parsed.address[parsed.domain_at:]
    else:
        local_part, domain = parsed.address, main.qualify_domain or ""
    want_local, _, want_domain = expected.rpartition("@")
    if lower(domain) != lower(want_domain):
        return False
    left = [s for p in _affixed(local_part, main.local_from_prefix, suffix=False)
            for s in _affixed(p, main.local_from_suffix, suffix=True)]
    return want_local in left


def _check_sender(fields: Fields, message: Message, scope: Scope, controls: AclControls, origin: Origin) -> None:
    """Add a Sender: line where From: is not who sends."""
    found = fields.prefixed("from")
    if found is None:
        return
    name = "Resent-Sender" if fields.resent else "Sender"
    if origin.local:
        if origin.trusted or not scope.config.main.local_from_check:
            return
        address = _own_address(scope, origin)
        full_name = origin.name
    else:
        if controls.submission_sender_retain:
            return
        address = submission_address(message, scope, controls)
        if not address:
            return
        full_name = controls.submission_name or ""
    if _is_own(found, address, scope):
        return
    _add(fields, Header(taint(_address_line(scope, name, full_name, address)), "S"))
    if not (origin.local and message.sender_set_untrusted) and message.sender_address:
        message.sender_address = taint(address)


def _rewrite_recipients(fields: Fields, message: Message, scope: Scope) -> None:
    """Rewrite the recipients; a line that goes nowhere keeps what they were."""
    if not rewrite.has_rules(scope.config, "T"):
        return
    for recipient in message.recipients:
        old = recipient.address
        new = taint(rewrite.rewrite_one(taint(old), "T", scope))
        if new != old:
            recipient.address = new
            _add(fields, Header(taint(f"X-rewrote-original-recipient: {old}\n"), "*"))


def _rewrite_sender(message: Message, scope: Scope) -> None:
    """Rewrite the sender that came by SMTP: not before now, so that the ACLs before DATA see what the client said."""
    if message.sender_address and rewrite.has_rules(scope.config, "F"):
        old = message.sender_address
        message.sender_address = taint(rewrite.rewrite_one(old, "F", scope))
        if message.sender_address != old:
            message.unrewritten_sender = old


def _rewrite(fields: Fields, message: Message, scope: Scope) -> None:
    """Rewrite and qualify the addresses in header lines, where anything could change."""
    rules = rewrite.has_rules(scope.config, "stfcbr")
    flags = message.flags
    senders = "allow_unqualified_sender" in flags
    recipients = "allow_unqualified_recipient" in flags
    if not (rules or senders or recipients):
        return
    for header in list(fields.headers):
        if header.type in _REWRITTEN:
            qualify = senders if header.type in _SENDER_TYPES else recipients
            if not (rules or qualify):
                continue
            new = rewrite.rewrite_header(header, scope, qualify=qualify)
            if new is not None and new is not header:
                _replace(fields.headers, header, new)
                for name, first in fields.first.items():
                    if first is header:
                        fields.first[name] = new


def remove_bcc(fields: Fields) -> None:
    """Take away the Bcc: lines (the Resent- ones of a message that is resent), after -t has used them."""
    for header in fields.headers:
        if header.type == "B" and header.text[:7].lower().startswith("resent-") == fields.resent:
            header.type = "*"


def apply_acl_changes(headers: list[Header], added: list[AddedHeader], removed: list[str]) -> None:
    """Add and remove the header lines that ACLs asked for: removal first, it does not touch what is added."""
    for name in removed:
        matches = _name_matcher(name)
        for header in headers:
            if header.type != "*" and matches(header.text[:header.text.find(":")].rstrip(" \t")):
                header.type = "*"
    for item in added:
        name = item.text[:item.text.find(":")].rstrip(" \t").lower()
        kind = TYPES.get(name.removeprefix("resent-"), " ")
        new = Header(item.text, kind if len(kind) == 1 else " ")
        if item.position == AT_END:
            headers.append(new)
        elif item.position == AT_START:
            headers.insert(0, new)
        else:
            headers.insert(_after_received(headers, first_block=item.position == AFTER_RECEIVED), new)


def _name_matcher(pattern: str) -> Callable[[str], bool]:
    """Return the test of a name to be removed: without regard to case; a regular expression after "^"; "*" wild."""
    if pattern.startswith("^"):
        found = regex_search(pattern)
        return lambda name: found(name)
    wanted = lower(pattern)
    if wanted.endswith("*"):
        return lambda name: lower(name).startswith(wanted[:-1])
    return lambda name: lower(name) == wanted


def regex_search(pattern: str) -> Callable[[str], bool]:
    """Return a test by a regular expression, without regard to case; one that is wrong matches nothing."""
    try:
        compiled = regex.compile(pattern, caseless=True)
    except ValueError:
        return lambda name: False
    return lambda name: compiled.search(name) is not None


def _after_received(headers: list[Header], *, first_block: bool) -> int:
    """Return where a line goes that is to stand after the first Received: (or after all trace lines)."""
    if first_block:
        for i, h in enumerate(headers):
            if h.type == "P":
                return i + 1
        return 0
    start = next((i for i, h in enumerate(headers) if h.type == "P"), 0)  # what was put at the top stands before
    for i, h in enumerate(headers[start:], start):
        if h.type != "P" and not lower(h.text).startswith(("received:", "resent-")):
            return i
    return len(headers)
