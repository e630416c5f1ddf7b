"""The engine: runs compiled ACLs.

Statements are verbs with steps; a step is a callable made by the rows of ``acl.table`` that returns one
of the codes below.  The engine knows verbs, negation, the order of things and the texts; what a
condition means is the business of its step.  Spec: sections "ACL verbs", "ACL return codes", "Condition
and modifier processing".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.acl.controls import AclControls, controls_of
from pyexim.acl.where import NAMES
from pyexim.base.errors import ExpansionDefer, ExpansionError, ForcedFail
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.scope import Scope

if TYPE_CHECKING:
    from pyexim.acl.compiler import AclSet, CompiledAcl
    from pyexim.acl.trace import Trace

IGNORED: Final = -1
"""The expansion of a condition was forced to fail: it counts as true, negated or not."""
OK: Final = 0
FAIL: Final = 1
DEFER: Final = 2
ERROR: Final = 3
DISCARD: Final = 4
FAIL_DROP: Final = 5

MAX_DEPTH: Final = 20

Step = Callable[["AclRun"], int]


class AclRun:
    """One ACL at work, with all that it calls.

    ``user_msg`` and ``log_msg`` are what the last condition that failed has to say to the client and for
    the log.  ``message`` and ``log_message`` are the sources that the modifiers of the statement at hand
    have set.  ``address`` is the recipient being verified, once it has been.
    """

    __slots__ = ("acls", "caseful_local_part", "controls", "depth", "dropped", "endpass", "log_message", "log_msg",
                 "message", "recipient", "reject_targets", "scope", "trace", "user_msg", "verb", "where")

    def __init__(self, where: str, scope: Scope, acls: AclSet, recipient: str | None) -> None:
        self.where = where
        self.scope = scope
        self.acls = acls
        self.recipient = recipient
        self.caseful_local_part: str | None = None
        """Of the recipient, in the case in which it was given."""
        self.controls: AclControls = controls_of(scope)
        self.depth = 0
        self.verb = ""
        self.endpass = False
        self.dropped = False
        """A nested ACL has said "drop": a refusal by this statement drops the connection."""
        self.message: str | None = None
        self.log_message: str | None = None
        self.user_msg = ""
        self.log_msg = ""
        self.reject_targets: frozenset[str] | None = None
        self.trace: Trace | None = None
        debug = scope.services.debug
        if debug is not None and debug.selected("acl"):
            from pyexim.acl.trace import Trace  # only under -d and -bh
            self.trace = Trace(debug)

    # -- what steps use

    def expand(self, source: str) -> str | int:
        """Expand a step's argument; IGNORED, DEFER or ERROR (with ``log_msg``) where there is no result."""
        try:
            value = expand(source, self.scope)
            if self.trace is not None:
                self.trace.expanded(self, value)
            return value
        except ForcedFail:
            return IGNORED
        except ExpansionDefer as e:
            self.log_msg = f'failed to expand ACL string "{source}": {e.text}'
            return DEFER
        except ExpansionError as e:
            self.log_msg = f'failed to expand ACL string "{source}": {e.text}'
            return ERROR

    def error(self, text: str) -> int:
        """Note what is wrong with the ACL; ERROR."""
        self.log_msg = text
        return ERROR

    def deferred(self, text: str) -> int:
        """Note why a condition cannot be answered now; DEFER."""
        self.log_msg = text
        return DEFER

    def failed(self, user_msg: str, log_msg: str) -> int:
        """Note why a condition is false, also for $acl_verify_message; FAIL."""
        self.user_msg = user_msg
        self.log_msg = log_msg
        self.scope.vars["acl_verify_message"] = user_msg or log_msg
        return FAIL


def negate(step: Step) -> Step:
    """Return the step of a condition with "!" before it."""
    def negated(run: AclRun) -> int:
        code = step(run)
        if code == OK:
            return FAIL
        if code in (FAIL, FAIL_DROP):
            return OK
        return code
    return negated


def run_compiled(run: AclRun, acl: CompiledAcl) -> int:
    """Run an ACL to its end; OK, FAIL, FAIL_DROP, DEFER, ERROR or DISCARD, with the texts in ``run``."""
    trace = run.trace
    if trace is not None:
        trace.start(run, acl)
    code = _statements(run, acl, trace)
    if run.trace is not None:  # which ``control = debug`` may have changed
        run.trace.end(run, acl, code)
    return FAIL if code is None else code


def _statements(run: AclRun, acl: CompiledAcl, trace: Trace | None) -> int | None:
    """Run the statements until one ends the ACL; None at the end of the last.

    What the last condition had to say then stays: it is the reason of the implicit refusal.
    """
    variables = run.scope.vars
    for statement in acl.statements:
        run.verb = verb = statement.verb
        run.endpass = run.dropped = False
        run.message = run.log_message = None
        run.user_msg = run.log_msg = ""
        variables.pop("acl_verify_message", None)
        code = OK
        for step in statement.steps if trace is None else trace.steps(run, statement):
            code = step(run)
            if code > OK:
                break
        if code < OK:
            code = OK
        trace = run.trace
        if trace is not None:
            trace.tested(run, verb, code, acl)
        if code in (DEFER, ERROR):
            if verb == "warn" and code == DEFER:
                _warn_skipped(run)
                continue
            return code
        if code == DISCARD:
            if verb == "accept" or verb == "discard":
                return DISCARD
            run.user_msg = ""
            return run.error(f'nested ACL returned "discard" for "{verb}" command '
                             '(only allowed with "accept" or "discard")')
        if code == FAIL and not run.endpass and verb != "require":
            continue  # what most statements come to
        result = _decide(run, verb, code)
        if result is not None:
            return result
    return None


def _decide(run: AclRun, verb: str, code: int) -> int | None:
    """Say what a verb makes of the answer of its conditions; None to go on with the next statement."""
    if verb == "accept" or verb == "discard":
        if code == OK:
            if run.endpass:
                run.user_msg = run.log_msg = ""
            else:
                apply_texts(run)
            return OK if verb == "accept" else DISCARD
        if run.endpass:
            if run.trace is not None:
                run.trace.write(run.depth, f"{verb}: endpass encountered - denying access")
            apply_texts(run)
            return code
        return None
    if verb == "require":
        if code == OK:
            return None
        apply_texts(run)
        return code
    if code != OK:
        return None
    if verb == "warn":
        _warn(run)
        return None
    apply_texts(run)
    if verb == "deny":
        return FAIL_DROP if run.dropped else FAIL
    return FAIL_DROP if verb == "drop" else DEFER


def apply_texts(run: AclRun) -> None:
    """Put the statement's ``message`` and ``log_message`` in place of, or before, what the condition said."""
    old_user = run.user_msg
    if run.message is None and run.log_message is None:
        return
    variables = run.scope.vars
    if old_user:
        variables["acl_verify_message"] = old_user
    if run.message is not None:
        text = _expand_text(run, run.message)
        if text:
            run.user_msg = text
    if run.log_message is not None:
        text = _expand_text(run, run.log_message)
        if text:
            run.log_msg = f"{text}: {run.log_msg}" if run.log_msg else text
    variables.pop("acl_verify_message", None)


def _expand_text(run: AclRun, source: str) -> str:
    """Expand a text for people; "" where it cannot be, which is logged unless it was forced."""
    if is_literal(source):
        return source
    try:
        return expand(source, run.scope)
    except ForcedFail:
        return ""
    except ExpansionError as e:
        run.scope.services.log.panic(f'failed to expand ACL message "{source}": {e.text}')
        return ""


def _warn(run: AclRun) -> None:
    """Do what a ``warn`` whose conditions are true does: header lines of ``message``, line of ``log_message``."""
    if run.message is not None:
        from pyexim.acl.headers import warn_message  # a deprecated usage, rare
        old = run.user_msg
        text = _expand_text(run, run.message)
        if text:
            warn_message(run, text)
        run.user_msg = old
    if run.log_message is None:
        return
    text = _expand_text(run, run.log_message)
    if text and text not in run.controls.warned:
        run.controls.warned.add(text)
        log_warning(run, text)


def _warn_skipped(run: AclRun) -> None:
    """Log a ``warn`` statement that a temporary error ended."""
    log = run.scope.services.log
    if log.selected("acl_warn_skipped"):
        text = 'ACL "warn" statement skipped: condition test deferred'
        detail = run.log_msg or run.user_msg
        log_warning(run, f"{text}: {detail}" if detail else text)


def log_warning(run: AclRun, text: str) -> None:
    """Write a warning to the main log, with the host before it."""
    from pyexim.acl.texts import host_and_ident
    message = run.scope.message
    prefix = host_and_ident(run.scope)
    text = text.replace("\n", "\\n")
    run.scope.services.log.main(f"{prefix}Warning: {text}", message_id=message.message_id if message else None)


def where_name(where: str) -> str:
    """Return Exim's word for the place of an ACL."""
    return NAMES.get(where, where)
