"""Modes that test: -be and -bem, -bt, -bv, -bvs, -brt, -brw."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Final

from pyexim.base.errors import SpoolError
from pyexim.base.record import replace
from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.log.debug import Debug
from pyexim.model.connection import Connection
from pyexim.model.message import Message
from pyexim.startup.options import UsageError
from pyexim.startup.preload import before_changing_user
from pyexim.startup.process import Process
from pyexim.startup.submission import apply_om, sender_of, submission_of
from pyexim.startup.work import become_exim, make_receive_run


def scope_for(process: Process) -> Scope:
    """Return a scope without a message, but with the facts that -oM and -f give."""
    conn = Connection(kind="local")
    apply_om(conn, process.command.oma, process)
    scope = Scope(process.config, process.services, conn=conn)
    sender = sender_of(process, testing=True)
    message = Message(conn=conn)
    message.originator_login = process.identity.login
    message.originator_uid, message.originator_gid = process.identity.uid, process.identity.gid
    message.sender_address = sender if sender is not None else taint(
        f"{process.identity.login}@{process.config.main.qualify_domain}")
    scope.message = message
    return scope


def write(text: str) -> None:
    """Write octets to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("latin-1", "replace"))
    sys.stdout.buffer.flush()


def lines() -> Iterator[str]:
    """Yield the lines of standard input, as text of octets, without line ends."""
    for line in sys.stdin.buffer:
        yield line.decode("latin-1").rstrip("\n")


def test_addresses(process: Process) -> int:
    """-bt, -bv, -bvs."""
    from pyexim.verify.report import run

    command = process.command
    if command.mode != "bt":
        become_exim(process)
    elif process.services.debug is None:
        process.services.debug = process.log.debug = Debug({"v"})  # debug_print is shown
    return run(command.mode, command.arguments, scope_for(process),
               full=command.verbose or command.debug is not None, lines=lines(), write=write)


def test_rewriting(process: Process) -> int:
    """-brw: how an address is rewritten in each place."""
    from pyexim.rewrite.api import test_rewrite

    if not process.command.arguments:
        raise UsageError("-brw needs an address argument")
    scope = scope_for(process)
    if sender_of(process, testing=True) is None:
        scope.message = None  # without -f there is no sender
    write(test_rewrite(process.command.arguments[0], scope))
    return 0


def test_retry(process: Process) -> int:
    """-brt: the retry rule for an address or domain, and perhaps an error."""
    from pyexim.retry.testing import report

    if not process.command.arguments:
        raise UsageError("-brt needs a domain or address argument")
    scope = scope_for(process)
    if sender_of(process, testing=True) is None:
        scope.message = None  # without -f no rule that names senders is for us
    write(report(process.command.arguments, scope))
    return 0


def test_expansion(process: Process) -> int:
    """-be: expand arguments, or lines of standard input."""
    from pyexim.expand.testing import run_be
    from pyexim.privs import drop_to_caller

    command, me = process.command, process.identity
    scope = scope_for(process)
    if scope.conn is not None and scope.conn.sender_ident is None:
        scope.conn.sender_ident = me.login
        if scope.conn.sender_host_address is None and scope.conn.authenticated_id is None:
            scope.conn.authenticated_id = me.login
            if scope.conn.authenticated_sender is None:
                scope.conn.authenticated_sender = f"{me.login}@{process.config.main.qualify_domain}"
    if command.set_message is not None:
        message = _message_on_spool(process, command.set_message)
        if message is not None:
            scope.message, scope.conn = message, message.conn
            scope.facts["enable_dollar_recipients"] = True
        elif scope.message is not None:
            scope.message.message_id = command.set_message
    if command.bem_file is not None:
        before_changing_user()
    drop_to_caller(me.uid, me.gid)
    if command.bem_file is not None:
        scope = _scope_of_file(process, command.bem_file)
    return run_be(command.arguments, lines(), scope, write)


def _message_on_spool(process: Process, message_id: str) -> Message | None:
    """Return the message that -Mset names, with its body; None, with a word on standard error, where there is none."""
    from pyexim.spool.api import read

    try:
        return read(process.spool, message_id)
    except (OSError, SpoolError):
        sys.stderr.write(f"{process.log.time_stamp()} Spool file {message_id}-D not found\n")
        write(f"Failed to load message datafile {message_id}\nFailed to load message {message_id}\n")
        return None


def _scope_of_file(process: Process, path: str) -> Scope:
    """Return the scope of the message in a file, for -bem."""
    from pyexim.receive.testing import message_of_file

    command = process.command
    conn = Connection(kind="local", submitter_trusted=process.identity.trusted)
    conn.sender_ident = process.identity.login
    apply_om(conn, command.oma, process)
    run = make_receive_run(process, lambda message_id, queue: None)
    try:
        message, scope, has_header = message_of_file(
            path, replace(submission_of(process, sender_of(process)), recipients=[]), conn, run)
    except OSError as e:
        raise UsageError(f"exim: failed to open {path}: {e.strerror}") from None
    if not has_header:
        write("Warning: no message headers read\n")
    scope.message = message
    scope.facts["enable_dollar_recipients"] = True
    return scope


MODES: Final[dict[str, Callable[[Process], int]]] = {
    "bt": test_addresses, "bv": test_addresses, "bvs": test_addresses, "brw": test_rewriting,
    "brt": test_retry, "be": test_expansion}
