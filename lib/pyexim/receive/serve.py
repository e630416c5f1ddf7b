"""Sessions on sockets and on standard input: what surrounds ``receive.session``.

The one catch-all of a session is here: an unexpected failure is a panic log entry and a 421, never a
traceback for the client, and the process goes on with the next session.
"""

from __future__ import annotations

import contextlib
import os
import socket
import traceback
from collections.abc import Callable

from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun
from pyexim.receive.channel import Channel
from pyexim.receive.parking import Parked, resume
from pyexim.receive.session import Session

SHUTDOWN = b"421 Unexpected failure, please try later\r\n"


def socket_session(fd: int, conn: Connection, run: ReceiveRun) -> None:
    """Serve a session on a socket and close it; never raises."""
    sock = socket.socket(fileno=fd)
    try:
        _prepare(sock, run)
        channel = Channel(fd, fd, sock)
        _guarded(channel, run, lambda: Session(channel, conn, run), Session.serve)
        channel.finish()
    except Parked:
        return
    finally:
        with contextlib.suppress(OSError):
            sock.close()


def resumed_session(fd: int, state: str, run: ReceiveRun, *, timed_out: bool) -> None:
    """Go on with a parked session on its socket, and close it; never raises."""
    sock = socket.socket(fileno=fd)
    try:
        channel = Channel(fd, fd, sock)
        _guarded(channel, run, lambda: resume(state, channel, run),
                 Session.end_by_timeout if timed_out else Session.go_on)
        channel.finish()
    except Parked:
        return
    finally:
        with contextlib.suppress(OSError):
            sock.close()


def _prepare(sock: socket.socket, run: ReceiveRun) -> None:
    main = run.config.main
    with contextlib.suppress(OSError):
        sock.setblocking(True)
        if main.tcp_nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if main.smtp_accept_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def stdio_session(read_fd: int, write_fd: int, conn: Connection, run: ReceiveRun) -> int:
    """Serve a session on two descriptors; the exit code."""
    sock: socket.socket | None = None
    if conn.kind == "tcp":
        with contextlib.suppress(OSError):
            sock = socket.socket(fileno=os.dup(read_fd))
    try:
        if sock is not None:
            _prepare(sock, run)
        channel = Channel(read_fd, write_fd, sock)
        code = _guarded(channel, run, lambda: Session(channel, conn, run, inetd=conn.kind == "tcp"), Session.serve)
        channel.finish()
        return code
    finally:
        if sock is not None:
            sock.close()


def _guarded(channel: Channel, run: ReceiveRun, make: Callable[[], Session], serve: Callable[[Session], int]) -> int:
    session: Session | None = None
    try:
        session = make()
        return serve(session)
    except Parked:
        raise
    except Exception:  # noqa: BLE001 - the one catch-all of a session
        run.services.log.crash("in an SMTP session: " + traceback.format_exc())
        if session is not None and session.incoming is not None:
            with contextlib.suppress(OSError, RuntimeError):
                session.incoming.abort()
        channel.write(SHUTDOWN)
        return 1
