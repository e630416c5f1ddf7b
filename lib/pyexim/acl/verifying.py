"""The condition ``verify``: which verification is asked for, with what options, and what its answer means.

Spec: section "ACL conditions" (``verify = ...``) and "Address verification"; callout options: section
"Additional parameters for callouts".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.acl.compiler import Build
from pyexim.acl.modifiers import parse_time
from pyexim.acl.parser import Item
from pyexim.acl.run import FAIL, OK, AclRun, Step
from pyexim.acl.where import COMMANDS, CONTENT, ENVELOPE, NAMES, NON_SMTP
from pyexim.base.octets import lower, strip
from pyexim.base.record import dataclass
from pyexim.base.taint import like
from pyexim.expand.engine import is_literal
from pyexim.expand.lists import split_list
from pyexim.verify import api
from pyexim.verify.api import Verified, VerifyOptions

_BEFORE_DATA: Final = (COMMANDS - {"quit", "notquit"}) | ENVELOPE | {"not_smtp_start"}
_SENDER: Final = COMMANDS | {"mime", "prdr", "not_smtp_start"}
_RECIPIENT: Final = (COMMANDS | NON_SMTP | CONTENT | ENVELOPE) - {"rcpt"}
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class VerifyRow:
    """One thing that can be verified."""

    name: str
    forbidden: frozenset[str]
    options: frozenset[str] | None
    """Options it takes, None for none at all."""
    check: Callable[[AclRun, str, VerifyOptions], int]


def verify(item: Item, build: Build) -> Step:
    """Make the step of ``verify = what[=value][/options]``."""
    source = item.argument
    if is_literal(source):
        return _prepare(source)

    def step(run: AclRun) -> int:
        text = run.expand(source)
        return text if isinstance(text, int) else _prepare(text)(run)
    return step


def _wrong(text: str) -> Step:
    def wrong(run: AclRun) -> int:
        return run.error(text)
    return wrong


def _prepare(text: str) -> Step:
    """Return the step for an expanded argument; mistakes become errors when it runs, as in Exim."""
    head, *options = split_list("</" + text, "/") if text else [""]
    head = like(head, text)
    name, equals, value = head.partition("=")
    name = lower(strip(name))
    row = ROWS.get(name)
    if row is None or (equals and name != "sender"):
        if name == "csa" and not equals:
            row = ROWS["csa"]
        else:
            return _wrong('expected "sender[=address]", "recipient", "helo", "header_syntax", "header_sender", '
                          f'"header_names_ascii" or "reverse_host_lookup" at start of ACL condition "verify {text}"')
    if name == "csa":
        return _bind(row, like(options[0], text) if options else "", VerifyOptions())
    if options and row.options is None:
        return _wrong(f"unexpected '/' found in \"{text}\" (this verify item has no options)")
    parsed = VerifyOptions()
    for option in options:
        problem = _option(option, row.options or _NONE, parsed, text)
        if problem is not None:
            return _wrong(problem)
    if name != "header_sender" and "mailfrom" in parsed.callout_options:
        return _wrong('"mailfrom" is allowed as a callout option only for verify=header_sender '
                      f'(detected in ACL condition "{text}")')
    if name != "recipient" and parsed.callout_options.keys() & {"use_sender", "use_postmaster"}:
        return _wrong("use_sender or use_postmaster cannot be used for a sender verify callout")
    return _bind(row, like(strip(value), text) if equals else "", parsed)


def _bind(row: VerifyRow, value: str, options: VerifyOptions) -> Step:
    check, forbidden, name = row.check, row.forbidden, row.name

    def step(run: AclRun) -> int:
        if run.where in forbidden:
            return run.error(f"cannot verify {name} in ACL for {NAMES.get(run.where, run.where)}")
        return check(run, value, options)
    return step


def _option(option: str, allowed: frozenset[str], parsed: VerifyOptions, text: str) -> str | None:
    """Take one option into ``parsed``; Exim's message where it is wrong."""
    name, equals, value = option.partition("=")
    name = lower(strip(name))
    if name not in allowed or (equals and name not in ("callout", "quota")):
        return f'unknown option "{option}" in ACL condition "verify {text}"'
    if name == "callout":
        parsed.callout = parsed.callout or 30
        return _callout_options(value, parsed, text) if equals else None
    if name == "quota":
        parsed.quota = value
    elif name == "callout_defer_ok":
        parsed.callout_options["defer_ok"] = ""
    elif name == "check_postmaster":
        parsed.callout_options["postmaster"] = ""
    else:
        setattr(parsed, name, True)
    return None


_CALLOUT_FLAGS: Final = frozenset({"defer_ok", "fullpostmaster", "no_cache", "postmaster", "random",
                                   "use_postmaster", "use_sender", "hold"})
_CALLOUT_VALUES: Final = frozenset({"mailfrom", "postmaster_mailfrom"})
_CALLOUT_TIMES: Final = frozenset({"connect", "maxwait"})


def _callout_options(text: str, parsed: VerifyOptions, whole: str) -> str | None:
    for part in text.split(","):
        name, equals, value = (strip(p) for p in part.partition("="))
        key = lower(name)
        if not equals and key in _CALLOUT_FLAGS:
            parsed.callout_options[key] = ""
        elif equals and key in _CALLOUT_VALUES:
            parsed.callout_options[key] = value
        elif equals and key in _CALLOUT_TIMES:
            seconds = parse_time(value)
            if seconds is None:
                return f'bad time value in ACL condition "verify {whole}"'
            parsed.callout_options[key] = str(seconds)
        else:
            seconds = parse_time(strip(part))
            if seconds is None:
                return f'bad time value in ACL condition "verify {whole}"'
            parsed.callout = seconds
    return None


# -- what each verification does

def _sender(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.sender import SenderFailure, verify_sender  # routing is imported where it is used

    message = run.scope.message
    sender = value or (message.sender_address if message is not None else "")
    if not sender:
        return OK
    controls = run.controls
    address, result = verify_sender(sender, run.scope, options, controls.verified_senders, not value)
    if message is not None and not value and address != sender:
        message.sender_address = address
    variables = run.scope.vars
    data = result.address.address_data if result.address is not None else None
    if data is not None:
        variables["sender_address_data"] = data
        if message is not None:
            message.sender_address_data = data
    if result.status == api.OK:
        if result.failure:
            variables["sender_verify_failure"] = result.failure
        return OK
    variables["sender_verify_failure"] = result.failure
    if result.status == api.DEFER and options.defer_ok:
        return OK
    known = controls.sender_failure
    if known is None or known.verified is not result:
        controls.sender_failure = SenderFailure(address, result, told=options.no_details)
    if result.status == api.DEFER:
        if result.callout:
            run.user_msg = result.user_text
            return run.deferred("Could not complete sender verify callout")
        return run.deferred("Could not complete sender verify")
    return run.failed("Sender verify failed", "Sender verify failed")


def _recipient(run: AclRun, value: str, options: VerifyOptions) -> int:
    recipient = run.recipient or ""
    scope = run.scope
    from pyexim.rewrite.api import has_rules, rewrite_one  # the rewriting room is small, but not always needed
    if has_rules(scope.config, "T"):
        recipient = rewrite_one(recipient, "T", scope)
    if options.quota is not None:
        return run.error('"verify = recipient/quota" is not there yet')
    result = api.verify_address(recipient, "recipient", scope, options)
    address = result.address
    if address is not None and address.address_data is not None:
        scope.vars["address_data"] = address.address_data
    else:
        scope.vars.pop("address_data", None)
    if result.status == api.OK:
        if result.failure:
            scope.vars["recipient_verify_failure"] = result.failure
        return OK
    scope.vars["recipient_verify_failure"] = result.failure
    return _texts(run, result, options)


def _texts(run: AclRun, result: Verified, options: VerifyOptions) -> int:
    if result.status == api.DEFER:
        if options.defer_ok:
            return OK
        run.user_msg = result.user_text
        return run.deferred(result.log_text)
    return run.failed(result.user_text, result.log_text)


def _header_syntax(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.headers import check_syntax
    problem = check_syntax(run.scope)
    return OK if problem is None else _header_problem(run, problem)


def _header_problem(run: AclRun, problem: str) -> int:
    details = run.scope.config.main.smtp_return_error_details
    return run.failed(f"Rejected after DATA: {problem}" if details else "", problem)


def _header_names_ascii(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.headers import check_names_ascii
    problem = check_names_ascii(run.scope)
    return OK if problem is None else _header_problem(run, problem)


def _header_sender(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.headers import check_sender
    result = check_sender(run.scope, options)
    if result.status == api.OK:
        return OK
    if result.status == api.DEFER:
        return OK if options.defer_ok else run.deferred(result.log_text)
    return run.failed(result.user_text, result.log_text)


def _not_blind(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.headers import check_not_blind
    if check_not_blind(run.scope, case_insensitive=options.case_insensitive):
        return OK
    return _header_problem(run, "bcc recipient detected")


def _helo(run: AclRun, value: str, options: VerifyOptions) -> int:
    conn = run.scope.conn
    if conn is None or conn.sender_host_address is None:
        return OK
    if conn.sender_helo_verified is None and not conn.helo_verify_failed:
        from pyexim.verify.helo import verify_helo
        verify_helo(conn, run.scope)
    return OK if conn.sender_helo_verified else FAIL


def _reverse_host_lookup(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.helo import verify_host_name
    conn = run.scope.conn
    if conn is None or conn.sender_host_address is None or conn.sender_host_name is not None:
        return OK
    if run.trace is not None:
        run.trace.write(run.depth, "looking up host name to force name/address consistency check")
    status, reason = verify_host_name(conn, run.scope)
    if status == api.OK or (status == api.DEFER and options.defer_ok):
        return OK
    if status == api.DEFER:
        return run.deferred("host lookup deferred for reverse lookup check")
    return run.failed("", f"host lookup failed{reason}")


def _certificate(run: AclRun, value: str, options: VerifyOptions) -> int:
    conn = run.scope.conn
    if conn is not None and conn.tls_in.certificate_verified:
        return OK
    return run.failed("no verified certificate", "no verified certificate")


def _csa(run: AclRun, value: str, options: VerifyOptions) -> int:
    from pyexim.verify.csa import check_csa
    status, reason = check_csa(value, run.scope)
    run.scope.vars["csa_status"] = status
    if status != "fail":
        return OK
    text = f"client SMTP authorization {reason}"
    return run.failed(text, text)


def _arc(run: AclRun, value: str, options: VerifyOptions) -> int:
    return run.error('"verify = arc" needs the ARC feature, which is not there')


_ADDRESS: Final = frozenset({"defer_ok", "no_details", "success_on_redirect", "callout", "callout_defer_ok",
                             "check_postmaster", "quota"})
ROWS: Final[dict[str, VerifyRow]] = {row.name: row for row in (
    VerifyRow("sender", _SENDER, _ADDRESS, _sender),
    VerifyRow("recipient", _RECIPIENT, _ADDRESS, _recipient),
    VerifyRow("header_sender", _BEFORE_DATA, _ADDRESS, _header_sender),
    VerifyRow("header_syntax", _BEFORE_DATA, None, _header_syntax),
    VerifyRow("header_names_ascii", _BEFORE_DATA, None, _header_names_ascii),
    VerifyRow("not_blind", _BEFORE_DATA, frozenset({"case_insensitive"}), _not_blind),
    VerifyRow("helo", _NONE, None, _helo),
    VerifyRow("reverse_host_lookup", _NONE, frozenset({"defer_ok"}), _reverse_host_lookup),
    VerifyRow("certificate", _NONE, None, _certificate),
    VerifyRow("csa", _NONE, frozenset(), _csa),
    VerifyRow("arc", _NONE, None, _arc),
)}
