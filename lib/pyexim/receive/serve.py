"""Sessions on sockets and on standard input: what surrounds ``receive.session``.

The one catch-all of a session is here: an unexpected failure is a panic log entry and a 421, never a
traceback for the client, and the process goes on with its other sessions.
"""

from __future__ import annotations

import contextlib
import os
import socket
import traceback
from typing import Final

from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun
from pyexim.receive.channel import Channel, InputTimeout
from pyexim.receive.session import Session

SHUTDOWN: Final = b"421 Unexpected failure, please try later\r\n"


class PieceByPiece:
    """A session on a socket; see ``api.SocketSession``."""

    __slots__ = ("_channel", "_conn", "_run", "_session", "_sock", "fd")

    def __init__(self, fd: int, conn: Connection, run: ReceiveRun) -> None:
        self.fd = fd
        self._sock = socket.socket(fileno=fd)
        self._channel = Channel(fd, fd, self._sock)
        self._channel.patient = False
        self._conn = conn
        self._run = run
        self._session: Session | None = None

    @property
    def patience(self) -> float:
        return self._channel.timeout

    def go_on(self) -> bool:
        session = self._session
        try:
            if session is None:
                _prepare(self._sock, self._run)
                session = self._session = Session(self._channel, self._conn, self._run)
                return session.begin()
            session.read()
            return session.advance()
        except InputTimeout:
            return True  # there was nothing to read after all
        except Exception:  # noqa: BLE001 - the one catch-all of a session
            _failed(self._channel, self._run, session)
            return False

    def give_up(self) -> None:
        try:
            if self._session is not None:
                self._session.end_by_timeout()
        except Exception:  # noqa: BLE001 - as above
            _failed(self._channel, self._run, self._session)

    def close(self) -> None:
        self._channel.finish()
        with contextlib.suppress(OSError):
            self._sock.close()

    def left_to_another(self) -> None:
        if self._session is not None:
            self._session.left_to_another()
        with contextlib.suppress(OSError):
            self._sock.close()

    def taken_over(self) -> None:
        if self._session is not None and self._session.incoming is not None:
            with contextlib.suppress(OSError):  # without a lock the message is still nobody else's
                self._session.incoming.taken_over()


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
    session: Session | None = None
    try:
        if sock is not None:
            _prepare(sock, run)
        channel = Channel(read_fd, write_fd, sock)
        try:
            session = Session(channel, conn, run, inetd=conn.kind == "tcp")
            code = session.serve()
        except Exception:  # noqa: BLE001 - the one catch-all of a session
            _failed(channel, run, session)
            code = 1
        channel.finish()
        return code
    finally:
        if sock is not None:
            sock.close()


def _failed(channel: Channel, run: ReceiveRun, session: Session | None) -> None:
    """Report the exception at hand, let the message go that was being received, tell the client."""
    run.services.log.crash("in an SMTP session: " + traceback.format_exc())
    if session is not None and session.incoming is not None:
        with contextlib.suppress(OSError, RuntimeError):
            session.incoming.abort()
    channel.write(SHUTDOWN)
