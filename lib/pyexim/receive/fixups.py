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
from pyexim.mailfmt.address import fix_phrase, parse_address, quote_local_part
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

    ``first`` has the first line of a name ("sender", "message-id", "date", ...); of "from" and "resent-from" the last.
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
        if kind == "I" and name in first:
            kind = " "  # only one identifies the message
        header = Header(Tainted(text), kind if len(kind) == 1 else " ")
        headers.append(header)
        if kind == "F" or (kind != " " and name not in first):
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
    active = controls.submission or (origin.local and not controls.suppress_local_fixups)
    if origin.local and not origin.smtp:
        _complete_from(fields, scope, origin)
    if active:
        _remove_sender(fields, scope, controls, origin)
        _add_message_id(fields, message, scope)
    if scope.config.rewrite:
        _rewrite_recipients(fields, message, scope)
    if active:
        _fix_from(fields, message, scope, controls, origin)
    if controls.submission:
        settled = _check_submission(fields, message, scope, controls)
    else:
        settled = False
        if active:
            _check_local(fields, scope, origin)
    if not settled:
        _rewrite_sender(fields, message, scope)
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
    untrusted = origin.local and not (origin.trusted or scope.config.main.local_sender_retain)
    if untrusted or (controls.submission and not controls.submission_sender_retain):
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


def _used_name(origin: Origin) -> str:
    """Return the caller's full name; not where a trusted one has given another sender and no name with it."""
    return origin.name if origin.name_given or origin.sender_is_caller or not origin.trusted else ""


def _fix_from(fields: Fields, message: Message, scope: Scope, controls: AclControls, origin: Origin) -> None:
    """Add a From: line where there is none."""
    name = "Resent-From" if fields.resent else "From"
    if fields.prefixed("from") is not None:
        return
    if origin.local:
        address = message.sender_address
        if not address and (message.local_error_message or not origin.trusted):
            address = _own_address(scope, origin)  # a message in answer to another one, or -f <> of anybody
        if not address:
            return
        use_name = _used_name(origin)
    else:
        use_name = controls.submission_name or ""
        address = message.sender_address or submission_address(message, scope, controls)
        if not address:
            return
    header = Header(taint(_address_line(scope, name, use_name, address)), "F")
    fields.first[name.lower()] = header
    _add(fields, header)


def _complete_from(fields: Fields, scope: Scope, origin: Origin) -> None:
    """Give a From: line that has just the caller's login the address and the full name."""
    name = "Resent-From" if fields.resent else "From"
    for header in list(fields.headers):
        # Nothing may stand after the login: it is then only qualified, as any other address.
        if (header.type == "F" and lower(header.name) == lower(name)
                and lower(header.text.partition(":")[2].lstrip(" \t\n").removesuffix("\n")) == lower(origin.login)):
            phrase = _phrase(scope, _used_name(origin))
            new = Header(f"{name}: {phrase} <{_own_address(scope, origin)}>\n", "F")
            header.type = "*"
            _add(fields, new)
            fields.first[lower(name)] = new


def submission_address(message: Message, scope: Scope, controls: AclControls) -> str:
    """Return the address that an authenticated submission belongs to, "" without one."""
    who = message.conn.authenticated_id
    if not who:
        return ""
    domain = controls.submission_domain
    if domain is None:
        domain = scope.config.main.qualify_domain
    return f"{quote_local_part(who)}@{domain}" if domain else who


def _affixed(local_part: str, option: str | None, *, suffix: bool) -> list[str]:
    """Return what may be left of a local part when a permitted prefix (or suffix) is taken off."""
    out = [local_part]
    folded = lower(local_part)
    for affix in split_list(option) if option else ():
        if not affix:
            continue
        wild = affix.endswith("*") if suffix else affix.startswith("*")
        fixed = lower(affix.replace("*", "", 1) if wild else affix)
        if suffix:
            if wild and (at := folded.rfind(fixed)) > 0:
                out.append(local_part[:at])
            elif not wild and folded.endswith(fixed):
                out.append(local_part[:-len(fixed)])
        elif wild and (at := folded.find(fixed)) >= 0:
            out.append(local_part[at + len(fixed):])
        elif not wild and folded.startswith(fixed):
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
    return lower(want_local) in [lower(x) for x in left]


def _check_sender(fields: Fields, scope: Scope, full_name: str, address: str) -> None:
    """Add a Sender: line where From: is not who sends."""
    found = fields.prefixed("from")
    if found is not None and not _is_own(found, address, scope):
        name = "Resent-Sender" if fields.resent else "Sender"
        _add(fields, Header(taint(_address_line(scope, name, full_name, address)), "S"))


def _check_local(fields: Fields, scope: Scope, origin: Origin) -> None:
    """Let a message of an untrusted local caller name him."""
    if not origin.trusted and scope.config.main.local_from_check:
        _check_sender(fields, scope, origin.name, _own_address(scope, origin))


def _check_submission(fields: Fields, message: Message, scope: Scope, controls: AclControls) -> bool:
    """Let a submitted message name who has authenticated; tell whether its sender is settled, not to be rewritten."""
    address = submission_address(message, scope, controls)
    if controls.submission_sender_retain or not address:
        return False
    _check_sender(fields, scope, controls.submission_name or "", address)
    if not message.sender_address:
        return False
    message.sender_address = taint(address)
    return True


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


def _rewrite_sender(fields: Fields, message: Message, scope: Scope) -> None:
    """Rewrite the sender: not before now, so that the ACLs before DATA see what was said."""
    if message.sender_address and rewrite.has_rules(scope.config, "F"):
        old = message.sender_address
        message.sender_address = taint(rewrite.rewrite_one(old, "F", scope))
        if message.sender_address != old:
            message.unrewritten_sender = old
            _add(fields, Header(taint(f"X-rewrote-sender: {old}\n"), "*"))


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
