"""The entrance to access control lists.  Spec: chapter "Access control lists".

ACLs are parsed when the configuration is loaded (``compile_acls``); a text that names no ACL is one
itself, or the name of a file that holds one, and is parsed once per text.
"""

from __future__ import annotations

from typing import Final

from pyexim.acl.compiler import AclError, AclSet, TaintedAcl
from pyexim.acl.parser import parse_acl
from pyexim.acl.run import DEFER as _DEFER
from pyexim.acl.run import DISCARD as _DISCARD
from pyexim.acl.run import ERROR as _ERROR
from pyexim.acl.run import FAIL as _FAIL
from pyexim.acl.run import FAIL_DROP as _FAIL_DROP
from pyexim.acl.run import OK as _OK
from pyexim.acl.run import AclRun, run_compiled
from pyexim.acl.texts import split_code
from pyexim.acl.where import ACCEPTED_WHEN_UNSET, DISCARDING, NAMES, OPTIONS
from pyexim.base.errors import ConfigError, ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.record import dataclass
from pyexim.base.taint import taint
from pyexim.config.configuration import Configuration
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.scope import Scope
from pyexim.model.address import unquoted

OK, FAIL, DEFER, DISCARD, DROP = "ok", "fail", "defer", "discard", "drop"

_STATUS = {_OK: OK, _FAIL: FAIL, _DEFER: DEFER, _ERROR: DEFER, _DISCARD: DISCARD, _FAIL_DROP: DROP}
_DEFAULT_REJECT = frozenset({"main", "reject"})


@dataclass(slots=True)
class AclResult:
    """What an ACL said.

    ``user_text`` is for the client ("" for the default of the command), with an SMTP code at its start
    taken off into ``code`` (3 digits, or None) and ``extended`` ("5.7.1" or None, to stand before every
    line); ``log_text`` is for the log: one line, to be appended after ": " unless it is "".
    """

    status: str
    user_text: str = ""
    log_text: str = ""
    code: int | None = None
    extended: str | None = None
    sender_verify_failed: str | None = None
    """Lines to be sent before the reply, when a sender was rejected; given with one rejection only."""
    endpass: bool = False
    sender_verify_log: str = ""
    """"sender verify fail for <...>: ...", to be logged (host before it; selector sender_verify_fail)."""
    error: bool = False
    """The ACL itself is wrong, or cannot be found; status is then "defer"."""
    log_targets: frozenset[str] = _DEFAULT_REJECT
    """Which logs a rejection goes to: main, reject, panic (``log_reject_target``)."""


_ACCEPTED = AclResult(OK)


def compile_acls(config: Configuration) -> None:
    """Parse all ACLs of the configuration; raise ConfigError for the first fault."""
    acls = AclSet(config)
    for name, lines in config.acls.items():
        try:
            acls.add(name, parse_acl(lines))
        except ConfigError as e:
            raise ConfigError(f"error in ACL: {e.text}", e.place) from None
    config.compiled["acl"] = acls
    for where, option in OPTIONS.items():
        source = getattr(config.main, option, None)
        if source and is_literal(source) and source in acls.names():
            acls.find(source, where)


def acl_set(config: Configuration) -> AclSet:
    """Return the ACLs of a configuration, parsing them if that has not been done."""
    found = config.compiled.get("acl")
    if found is None:
        compile_acls(config)
        found = config.compiled["acl"]
    return found  # type: ignore[no-any-return]

_FOR_MESSAGE: Final = frozenset({"predata", "data", "mime", "not_smtp", "not_smtp_start"})
"""The ACLs that may use $recipients: they are for a message, not for one of its recipients."""


def run_acl(where: str, source: str | None, scope: Scope, *, recipient: str | None = None) -> AclResult:
    """Run the ACL that an option such as acl_smtp_rcpt gives (its source text, to be expanded).

    ``where`` is connect, helo, mail, rcpt, predata, mime, data, quit, notquit, vrfy, expn, etrn, auth,
    starttls, mailauth, not_smtp, not_smtp_start, dkim, prdr, wellknown or atrn.  ``source`` None: the
    default of that command (ok, except fail for vrfy, expn, etrn... as the spec says).  Controls and
    header additions go to ``scope.facts["controls"]`` as told in acl/controls.py.  With ``recipient``
    (rcpt, prdr) $local_part and $domain are set for the time of the ACL, and $domain_data and its like reset.
    """
    if source is None:
        return _ACCEPTED if where in ACCEPTED_WHEN_UNSET else AclResult(FAIL)
    run = AclRun(where, scope, acl_set(scope.config), recipient)
    outer, scope.acl = scope.acl, run
    old_address = scope.address
    for_message = where in _FOR_MESSAGE
    try:
        if for_message:
            scope.facts["enable_dollar_recipients"] = True
            _forget_recipient(scope)
        elif recipient is not None:
            _set_recipient(run, recipient)
        name = source if is_literal(source) else expand(source, scope)
        if not name:
            return _ACCEPTED if where in ACCEPTED_WHEN_UNSET else AclResult(FAIL)
        code = run_compiled(run, run.acls.find(name, where))
    except ForcedFail:
        return _ACCEPTED if where in ACCEPTED_WHEN_UNSET else AclResult(FAIL)
    except ExpansionError as e:
        return AclResult(DEFER, log_text=f'failed to expand ACL string "{source}": {e.text}', error=True)
    except TaintedAcl as e:
        scope.services.log.panic(str(e), message_id=scope.message.message_id or None if scope.message else None)
        return AclResult(DEFER, log_text="internal configuration error", error=True)
    except AclError as e:
        return AclResult(DEFER, log_text=str(e), error=True)
    finally:
        scope.acl = outer
        if for_message:
            scope.facts.pop("enable_dollar_recipients", None)
        elif recipient is not None:
            scope.address = old_address
            for variable in ("local_part", "domain", "domain_data", "local_part_data", "recipient_data"):
                scope.vars.pop(variable, None)
        scope.vars.pop("acl_verify_message", None)
        scope.vars.pop("sender_address_data", None)
    if code == _OK and not run.user_msg:
        return _ACCEPTED
    if code == _DISCARD and where not in DISCARDING:
        scope.services.log.panic(f'"discard" verb not allowed in {NAMES.get(where, where)} ACL')
        return AclResult(DEFER, error=True)
    return _result(run, code)


def _set_recipient(run: AclRun, recipient: str) -> None:
    """Make the recipient visible as $local_part and $domain, and forget the data of the one before."""
    local_part, at, domain = recipient.rpartition("@")
    if not at:
        local_part, domain = domain, ""
    domain = taint(lower(domain))
    run.scope.address = None
    _forget_recipient(run.scope)
    variables = run.scope.vars
    run.caseful_local_part = taint(unquoted(local_part))
    variables["local_part"] = taint(lower(run.caseful_local_part))
    variables["domain"] = domain
    run.controls.caseful_local_part = False


def _forget_recipient(scope: Scope) -> None:
    """Remove what an ACL for a recipient has left in variables."""
    for name in ("domain_data", "local_part_data", "recipient_data", "address_data", "recipient_verify_failure"):
        scope.vars.pop(name, None)


def _result(run: AclRun, code: int) -> AclResult:
    """Turn the engine's code and texts into what reception needs."""
    result = AclResult(_STATUS[code], error=code == _ERROR)
    user, log = run.user_msg.rstrip("\n"), run.log_msg
    if run.reject_targets is not None:
        result.log_targets = run.reject_targets
    if code == _ERROR:
        result.log_text = log.partition("\n")[0]
        return result
    details_with_defer = run.scope.config.main.smtp_return_error_details
    if code == _DEFER and not user and details_with_defer:
        user = log
    log_source = user
    if user:
        digit = _digit(run.where, code)
        result.code, result.extended, result.user_text, log_source = split_code(user, digit, run.scope)
    if code != _OK:
        result.log_text = (log or log_source).partition("\n")[0]
    failure = run.controls.sender_failure
    if code in (_FAIL, _FAIL_DROP, _DEFER) and failure is not None and not failure.told:
        failure.told = True
        result.sender_verify_log = failure.log_line()
        if run.controls.multiline and (code != _DEFER or details_with_defer):
            result.sender_verify_failed = failure.details(details_with_defer)
    return result


def _digit(where: str, code: int) -> str:
    """Return the first digit that a response code given by a message must have."""
    if code in (_OK, _DISCARD):
        return "3" if where == "predata" else "2"
    return "4" if code == _DEFER else "5"
