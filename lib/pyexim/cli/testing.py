"""Modes that test: -be and -bem, -bt, -bv, -bvs, -brt, -brw."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Final

from pyexim.base.taint import taint
from pyexim.cli.submission import apply_om, sender_of
from pyexim.expand.scope import Scope
from pyexim.model.connection import Connection
from pyexim.model.message import Message
from pyexim.startup.options import UsageError
from pyexim.startup.process import Process
from pyexim.startup.work import become_exim


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
    return run(command.mode, command.arguments, scope_for(process),
               full=command.verbose or command.debug is not None, lines=lines(), write=write)


def test_rewriting(process: Process) -> int:
    """-brw: how an address is rewritten in each place."""
    from pyexim.rewrite.api import test_rewrite

    if not process.command.arguments:
        raise UsageError("-brw needs an address argument")
    write(test_rewrite(process.command.arguments[0], scope_for(process)))
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
    scope.message = None
    if command.set_message is not None:
        from pyexim.spool.api import read

        scope.message = read(process.spool, command.set_message)
        scope.conn = scope.message.conn
    if command.bem_file is not None:
        from pyexim.receive.testing import message_of_file

        scope.message = message_of_file(command.bem_file, scope, extract_recipients=command.extract_recipients)
    drop_to_caller(me.uid, me.gid)
    return run_be(command.arguments, lines(), scope, write)


MODES: Final[dict[str, Callable[[Process], int]]] = {
    "bt": test_addresses, "bv": test_addresses, "bvs": test_addresses, "brw": test_rewriting,
    "brt": test_retry, "be": test_expansion}
