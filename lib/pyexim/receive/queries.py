"""VRFY, EXPN and ETRN.  Spec: sections "The VRFY and EXPN commands" and "The ETRN command"."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim import child, settings
from pyexim.acl import api as acl
from pyexim.base.octets import lower, to_bytes
from pyexim.base.taint import taint
from pyexim.mailfmt.address import parse_address
from pyexim.model.address import Address
from pyexim.routers.base import Deferred, Failed, Rerouted, RouteRun
from pyexim.routers.runner import route_address
from pyexim.smtp.server import Command
from pyexim.transports.command import CommandError, make_arguments
from pyexim.verify.api import VerifyOptions, verify_address

if TYPE_CHECKING:
    from pyexim.receive.session import Session

SERIALIZE_LIMIT: Final = 6 * 3600
"""Seconds after which a note that a queue run is under way is not believed any more."""


def vrfy(session: Session, command: Command) -> None:
    """VRFY: with an ACL that accepts, the same as -bv; without one, or refused by it, 252."""
    main = session.main
    argument = command.argument
    parsed = parse_address(argument, allow_domain_literals=main.allow_domain_literals,
                           strip_trailing_dot=main.strip_trailing_dot)
    if parsed.error is not None:
        session.core.reply(501, parsed.error)
        return
    address = parsed.address
    if not parsed.domain_at:
        if not session.takes_unqualified("recipient"):
            session.core.reply(501, f"{argument}: recipient address must contain a domain")
            session.log.reject(f"unqualified verify rejected: <{parsed.address}> {session.who()}",
                               also_main=session.log.selected("smtp_syntax_error"))
            return
        address = taint(f"{address}@{main.qualify_recipient}")
    result = acl.run_acl("vrfy", main.acl_smtp_vrfy, session.scope)
    if result.status != acl.OK:
        session.refuse(result, f"VRFY {argument}", fail_code=252)
        return
    found = verify_address(address, "recipient", session.scope, VerifyOptions())
    if found.status == "ok":
        session.core.reply(250, f"<{address}> is deliverable")
        return
    shown = argument if argument.startswith("<") else f"<{argument}>"
    if found.status == "defer":
        text = f"{shown} {found.user_text}" if found.user_text else f"Cannot resolve {shown} at this time"
        session.core.reply(451, text)
        return
    session.core.reply(550, f"{shown} {found.user_text or found.log_text}")
    session.log.main(f"VRFY failed for {argument} {session.who()}")


def expn(session: Session, command: Command) -> None:
    """EXPN: one level of expansion, where the ACL allows it."""
    main = session.main
    result = acl.run_acl("expn", main.acl_smtp_expn, session.scope)
    if result.status != acl.OK:
        session.refuse(result, f"EXPN {command.argument}")
        return
    text = command.argument
    if "@" not in text:
        text = taint(f"{text}@{main.qualify_domain}")
    local_part, _, domain = text.rpartition("@")
    address = Address(taint(text), local_part=taint(local_part), domain=taint(lower(domain)))
    outcome = route_address(address, RouteRun(session.scope, "E", address_test=True))
    if isinstance(outcome, Rerouted) and outcome.children:
        session.core.reply(250, "\n".join(f"<{c.address}>" for c in outcome.children))
    elif isinstance(outcome, Deferred):
        session.core.reply(553, f"{text} cannot be resolved at this time")
    elif isinstance(outcome, Failed):
        session.core.reply(553, f"{text} is undeliverable")
    else:
        session.core.reply(250, f"<{text}>")


def etrn(session: Session, command: Command) -> None:
    """ETRN: start a queue run for a string, or the command of smtp_etrn_command."""
    main, core = session.main, session.core
    argument = command.argument
    if core.state in ("sender", "ready"):
        session.syntax_error("protocol", 503, "ETRN is not permitted inside a transaction")
        return
    if session.log.selected("etrn"):
        session.log.main(f"ETRN {argument} received from {session.who_untagged()}")
    result = acl.run_acl("etrn", main.acl_smtp_etrn, session.scope)
    if result.status != acl.OK:
        session.refuse(result, f"ETRN {argument}", fail_code=458)
        return
    if main.smtp_etrn_command:
        arguments = _command_arguments(session, argument)
        if arguments is None:
            core.reply(458, "Internal failure")
            return
        key = argument
    else:
        if not argument.startswith("#"):
            session.syntax_error("syntax", 501, "argument must begin with #")
            return
        key = argument[1:]
        path = main.exim_path or settings.PROGRAM
        arguments = [path, "-R", key]
        if session.config.file not in settings.CONFIGURE_FILE.split(":"):
            arguments[1:1] = ["-C", session.config.file]
    hints = session.services.hints if main.smtp_etrn_serialize else None
    note = f"etrn-{key}"
    now = session.clock.time()
    if hints is not None:
        known = hints.get_written("misc", note)
        if known is not None and now - known[1] < SERIALIZE_LIMIT:
            core.reply(458, f"Already processing {argument}")
            return
        hints.put("misc", note, "", now)
    if session.conn.host_checking:
        core.reply(250, "OK")
        return
    try:
        child.wait(child.fork(lambda: _detach(arguments, (lambda: hints.delete("misc", note)) if hints is not None
                                              else (lambda: None))))
    except OSError as e:
        core.reply(458, "Unable to fork process")
        session.log.panic(f"fork of process for ETRN failed: {e.strerror}")
        if hints is not None:
            hints.delete("misc", note)
        return
    core.reply(250, "OK")


def _command_arguments(session: Session, argument: str) -> list[str] | None:
    """Return the words of smtp_etrn_command, each expanded on its own with $domain set."""
    variables = session.scope.vars
    variables["domain"] = taint(argument)
    try:
        return make_arguments(session.main.smtp_etrn_command or "", session.scope, [], expanded=True,
                              what="ETRN processing")
    except CommandError as e:
        session.log.panic(f"failed to set up ETRN command: {e.text}")
        return None
    finally:
        variables.pop("domain", None)


def _detach(arguments: list[str], done: Callable[[], None]) -> int:
    """Leave the session's process: a grandchild runs the command and notes its end."""
    child.fork(lambda: _run(arguments, done))
    return 0


def _run(arguments: list[str], done: Callable[[], None]) -> int:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, 256)
    code = child.exit_code(child.wait(child.fork(lambda: _execute(arguments))))
    done()
    return code if code >= 0 else 1


def _execute(arguments: list[str]) -> int:
    try:
        os.execv(to_bytes(arguments[0]), [to_bytes(a) for a in arguments])
    except OSError:
        return 127


HANDLERS: Final[dict[str, Callable[[Session, Command], None]]] = {"VRFY": vrfy, "EXPN": expn, "ETRN": etrn}
