"""Where idle SMTP connections wait between two messages (``services.pool``).

A delivery process keeps its connections to itself while it has work, which costs nothing; when it has
none for a moment it hands them to the manager, where whoever needs one next can have it.  A connection
that nobody takes within its linger time gets QUIT.  TLS connections cannot travel and stay where they
are.  Spec: chapter "SMTP processing", section "Outgoing SMTP and LMTP over TCP/IP".
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from typing import Any, Final

from pyexim import fdpass
from pyexim.base.clock import Clock, SystemClock
from pyexim.transports.smtp_pool import LiveConnection

LINGER: Final = 2.0
"""Seconds that an idle connection is kept."""
MAX_KEPT: Final = 20


class ProcessPool:
    """The idle connections of one process."""

    def __init__(self, clock: Clock | None = None, linger: float = LINGER) -> None:
        self._clock = clock or SystemClock()
        self._linger = linger
        self._kept: list[LiveConnection] = []

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, keys: list[str]) -> LiveConnection | None:
        """Return a connection parked under one of the keys, the first key first; it is the caller's now."""
        for key in keys:
            for conn in reversed(self._kept):
                if conn.key == key:
                    self._kept.remove(conn)
                    if conn.is_idle():
                        return conn
                    conn.close_quietly()
        return None

    def park(self, conn: LiveConnection) -> None:
        """Keep an idle connection for a while."""
        if not conn.may_take_more():
            conn.close_quietly()
            return
        conn.idle_since = self._clock.monotonic()
        self._kept.append(conn)
        if len(self._kept) > MAX_KEPT:
            self._kept.pop(0).close_quietly()

    def has(self, transport: str, host_name: str) -> bool:
        """Tell whether a connection to a host is kept."""
        return any(c.transport == transport and c.host_name == host_name for c in self._kept)

    def expire(self) -> None:
        """Close the connections that nobody has taken in time."""
        if self._kept:
            limit = self._clock.monotonic() - self._linger
            late = [c for c in self._kept if c.idle_since <= limit]
            for conn in late:
                self._kept.remove(conn)
                conn.close_quietly()

    def close(self) -> None:
        """Close all connections."""
        while self._kept:
            self._kept.pop().close_quietly()


class SharedPool(ProcessPool):
    """The pool of a delivery worker: its own connections, and behind them those parked with the manager."""

    def __init__(self, control: socket.socket, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._control = control
        self.records: deque[fdpass.Record] = deque()
        """Records that came while an answer was awaited; the worker looks here first."""

    def take(self, keys: list[str]) -> LiveConnection | None:
        """Return a connection of this process, or one that the manager has."""
        conn = super().take(keys)
        if conn is not None:
            return conn
        while True:
            answer = self._ask(keys)
            if answer is None:
                return None
            state, fd = answer
            try:
                conn = LiveConnection.from_state(state, fd)
            except ValueError:
                continue
            if conn.is_idle():
                return conn
            conn.close_quietly()

    def _ask(self, keys: list[str]) -> tuple[dict[str, Any], int] | None:
        try:
            fdpass.send(self._control, {"type": "take", "keys": keys})
            while True:
                got = fdpass.receive(self._control)
                if got is None:
                    return None
                record, fds = got
                if record["type"] == "taken" and len(fds) == 1:
                    return record["state"], fds[0]
                for fd in fds:
                    os.close(fd)
                if record["type"] == "none":
                    return None
                self.records.append(record)
        except (OSError, fdpass.PassError):
            return None

    def hand_over(self) -> None:
        """Give all connections that can travel to the manager."""
        for conn in list(self._kept):
            if conn.facts.get("tls"):
                continue
            self._kept.remove(conn)
            try:
                fdpass.send(self._control, {"type": "park", "key": conn.key, "state": conn.state()},
                            (conn.fileno(),))
            except OSError:
                conn.close_quietly()
                continue
            conn.sock.close()  # the manager has its own descriptor now


class Parking:
    """The connections parked with the manager."""

    def __init__(self, poll: select.poll, clock: Clock, linger: float = LINGER) -> None:
        self._poll = poll
        self._clock = clock
        self._linger = linger
        self._by_fd: dict[int, LiveConnection] = {}

    def __len__(self) -> int:
        return len(self._by_fd)

    def __contains__(self, fd: int) -> bool:
        return fd in self._by_fd

    def connections(self) -> list[LiveConnection]:
        """Return all of them, for a child that must close them."""
        return list(self._by_fd.values())

    def add(self, state: dict[str, Any], fd: int) -> None:
        """Keep a connection that a worker hands over."""
        try:
            conn = LiveConnection.from_state(state, fd)
        except ValueError:
            return
        conn.idle_since = self._clock.monotonic()
        self._by_fd[conn.fileno()] = conn
        self._poll.register(conn.fileno(), select.POLLIN)

    def take(self, keys: list[str]) -> LiveConnection | None:
        """Return a connection for one of the keys; it is the caller's now."""
        for key in keys:
            for fd, conn in reversed(self._by_fd.items()):
                if conn.key == key:
                    self._forget(fd)
                    return conn
        return None

    def woke(self, fd: int) -> None:
        """Close a connection on which something arrived: the server is closing it."""
        self._forget(fd).close_quietly()

    def _forget(self, fd: int) -> LiveConnection:
        self._poll.unregister(fd)
        return self._by_fd.pop(fd)

    def expire(self) -> None:
        """Close the connections that nobody has taken in time."""
        limit = self._clock.monotonic() - self._linger
        for fd in [fd for fd, c in self._by_fd.items() if c.idle_since <= limit]:
            self._forget(fd).close_quietly()

    def close(self) -> None:
        """Close all."""
        for fd in list(self._by_fd):
            self._forget(fd).close_quietly()
