"""Messages from the command's standard input: -bm, -t, -bs, -bS, -bh.

Who may say what about a message (the -f and -oM options) is decided here; the reception itself is
``receive``'s.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable

from pyexim.base.ipaddress import split_host_port
from pyexim.base.taint import taint
from pyexim.deliver.starter import Connector
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import parse_address
from pyexim.model.connection import Connection
from pyexim.privs import find_user
from pyexim.receive.api import ReceiveRun, Submission, serve_batch, serve_stdio, submit
from pyexim.receive.caller import may_set_sender
from pyexim.startup.options import UsageError, parse
from pyexim.startup.process import Process
from pyexim.startup.work import CommandDelivery, become_exim, launch_starter, make_receive_run


def run_submission(process: Process) -> int:
    """Take messages from standard input in the way the command asks for; the exit code."""
    command = process.command
    sender = sender_of(process)
    conn = connection(process)
    will_deliver = command.mode != "bh" and not _only_queued(process)
    # A report to the sender of a message that is refused is delivered though that one would only be queued by -odq.
    may_report = (command.mode == "receive" and command.error_mode in ("m", "e") and command.delivery == "q"
                  and not process.config.main.queue_only)
    connector = launch_starter(process)[1] if will_deliver or may_report else None
    become_exim(process)
    run = make_receive_run(process, _delivery(process, connector if will_deliver else None))
    if connector is not None and not will_deliver:
        process.services.start_delivery = CommandDelivery(process, connector, foreground=False)
    if command.mode == "bh":
        process.log.to_stderr = True
        serve_host_test(process, conn, run)
        return 0  # however the session ended
    if command.mode == "smtp":
        if process.config.main.mua_wrapper and stat.S_ISSOCK(os.fstat(0).st_mode):
            text = "Input from inetd is not supported when mua_wrapper is set"
            process.log.panic(text)
            os.write(2, f"{text}\n".encode("ascii"))
            return 1
        return serve_stdio(0, 1, conn, run)
    if command.mode == "batch":
        return serve_batch(0, 1, conn, run)
    return submit(0, submission_of(process, sender), conn, run)


def _delivery(process: Process, connector: Connector | None) -> Callable[[str, str], int | None]:
    """Return what starts deliveries; without a connector nothing is to be delivered by this command."""
    if connector is None:
        return lambda message_id, queue: None
    wait = process.command.delivery == "f" or process.config.main.mua_wrapper
    return CommandDelivery(process, connector, foreground=wait)


def _only_queued(process: Process) -> bool:
    """Tell whether it is certain from the start that nothing will be delivered by this command."""
    command, main = process.command, process.config.main
    if main.mua_wrapper:
        return False
    if command.delivery == "q":
        return True
    return main.queue_only and not (main.queue_only_override and command.delivery is not None)


def submission_of(process: Process, sender: str | None) -> Submission:
    """Return what the command line says about a local message."""
    c = process.command
    return Submission(
        recipients=[taint(a) for a in c.arguments], extract_recipients=c.extract_recipients, dot_ends=c.dot_ends,
        sender=sender, sender_name=taint(c.sender_name) if c.sender_name is not None else None,
        error_mode=c.error_mode, local_error_message=c.local_error, suppress_local_fixups=c.suppress_fixups,
        dont_deliver=c.dont_deliver, no_qualify=c.no_qualify)


def sender_of(process: Process, *, testing: bool = False) -> str | None:
    """Return the sender that -f gives, where the caller may give one; None otherwise."""
    text = process.command.sender
    if text is None:
        return None
    main = process.config.main
    if text in ("", "<>"):
        return ""
    parsed = parse_address(text, allow_empty=False, allow_domain_literals=main.allow_domain_literals,
                           strip_trailing_dot=main.strip_trailing_dot)
    if parsed.error is not None:
        raise UsageError(f'exim: bad -f address "{text}": {parsed.error}')
    address = parsed.address if parsed.domain_at else f"{parsed.address}@{main.qualify_domain}"
    if testing or process.identity.trusted:
        return taint(address)
    scope = Scope(process.config, process.services)
    return taint(address) if may_set_sender(taint(address), scope) else None


def connection(process: Process) -> Connection:
    """Return where the messages come from: a socket of inetd's, what -oM says, or the local caller."""
    c = process.command
    conn = Connection(kind="stdin" if c.mode in ("smtp", "batch", "bh") else "local",
                      started=process.services.clock.time(), batched=c.mode == "batch",
                      host_checking=c.mode == "bh", host_checking_callout=c.callouts)
    conn.submitter_trusted = process.identity.trusted
    if c.name == "rmail" and c.mode == "receive":
        conn.received_protocol = "local-rmail"
    if c.error_cross_reference:
        process.services.message_reference = c.error_cross_reference
    if c.mode == "smtp" and _from_inetd(conn):
        conn.submitter_trusted = False
        return conn
    if c.mode != "bh":
        conn.sender_ident = process.identity.login
        if not process.identity.trusted:
            conn.authenticated_id = process.identity.login
    if c.oma and (process.identity.trusted or c.mode == "bh"):
        apply_om(conn, c.oma, process)
    return conn


def _from_inetd(conn: Connection) -> bool:
    """Fill in the peer where standard input is a connected TCP socket."""
    try:
        with socket.socket(fileno=os.dup(0)) as sock:
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                return False
            peer, local = sock.getpeername(), sock.getsockname()
    except OSError:
        return False
    conn.kind = "tcp"
    conn.sender_host_address = peer[0].removeprefix("::ffff:") if "." in peer[0] else peer[0]
    conn.sender_host_port = peer[1]
    conn.interface_address = local[0].removeprefix("::ffff:") if "." in local[0] else local[0]
    conn.interface_port = local[1]
    return True


def apply_om(conn: Connection, values: dict[str, str], process: Process) -> None:
    """Apply the -oM options; raise UsageError for an address that is none."""
    for letters, value in values.items():
        if letters in ("a", "i"):
            found = split_host_port(value)
            if found is None:
                raise UsageError(f'exim abandoned: "{value}" is not an IP address')
            if letters == "a":
                conn.sender_host_address, conn.sender_host_port = taint(found[0]), found[1] or 0
            else:
                conn.interface_address, conn.interface_port = taint(found[0]), found[1] or 0
        elif letters == "aa":
            conn.sender_host_authenticated = taint(value)
        elif letters == "ai":
            conn.authenticated_id = taint(value)
        elif letters == "as":
            conn.authenticated_sender = taint(value)
        elif letters == "r":
            conn.received_protocol = taint(value)
        elif letters == "s":
            conn.sender_host_name = taint(value)
        elif letters == "t":
            conn.sender_ident = taint(value)
    process.services.message_reference = values.get("m")


def serve_host_test(process: Process, conn: Connection, run: ReceiveRun) -> int:
    """-bh: an SMTP session that is not for real, with the introduction that Exim gives it."""
    sys.stdout.write(f"\n**** SMTP testing session as if from host {conn.sender_host_address}\n"
                     "**** but without any ident (RFC 1413) callback.\n**** This is not for real!\n\n")
    sys.stdout.flush()
    serve_stdio(0, 1, conn, run)
    return 0


def submit_own(process: Process, arguments: list[str], fd: int) -> int:
    """Take a message that this program made (a bounce, a warning, an autoreply); in a child; the exit code."""
    services, me = process.services, process.identity
    command = parse("exim", arguments)
    me.uid, me.gid, me.trusted = me.exim_uid, me.exim_gid, True
    services.caller_uid, services.caller_gid, services.trusted = me.exim_uid, me.exim_gid, True
    found = find_user(str(me.exim_uid))
    me.login = (found[0] if found else None) or str(me.exim_uid)
    own = Process(command, me, process.config, services, process.log, process.spool)
    conn = connection(own)
    run = make_receive_run(own, services.start_delivery or (lambda message_id, queue: None))
    return submit(fd, submission_of(own, sender_of(own)), conn, run)
