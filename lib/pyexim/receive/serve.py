"""Sessions on sockets and on standard input: what surrounds ``receive.session``.

The one catch-all of a session is here: an unexpected failure is a panic log entry and a 421, never a
traceback for the client, and the process goes on with the next session.
"""

from __future__ import annotations

import contextlib
import os
import socket
import traceback

from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun
from pyexim.receive.channel import Channel
from pyexim.receive.session import Session

SHUTDOWN = b"421 Unexpected failure, please try later\r\n"


def socket_session(fd: int, conn: Connection, run: ReceiveRun) -> None:
    """Serve a session on a socket and close it; never raises."""
    sock = socket.socket(fileno=fd)
    try:
        _prepare(sock, run)
        channel = Channel(fd, fd, sock)
        _guarded(channel, conn, run, inetd=False)
        channel.finish()
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
        code = _guarded(channel, conn, run, inetd=conn.kind == "tcp")
        channel.finish()
        return code
    finally:
        if sock is not None:
            sock.close()


def _guarded(channel: Channel, conn: Connection, run: ReceiveRun, *, inetd: bool) -> int:
    session: Session | None = None
    try:
        session = Session(channel, conn, run, inetd=inetd)
        return session.serve()
    except Exception:  # noqa: BLE001 - the one catch-all of a session
        text = traceback.format_exc().strip().replace("\n", " | ")
        run.services.log.panic(f"unexpected failure in an SMTP session: {text}")
        if session is not None and session.incoming is not None:
            with contextlib.suppress(OSError, RuntimeError):
                session.incoming.abort()
        channel.write(SHUTDOWN)
        return 1
