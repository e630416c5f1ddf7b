"""The front desk of the daemon: connections are accepted here, admitted or refused, and handed to children.

Part of the master: it never reads from a client.  Which connections are let in is ``admission``'s decision,
which child gets one ``pool``'s; what children say, and how sessions move between them, is in
docs/processes.md.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pyexim import fdpass
from pyexim.base.errors import ExpansionError
from pyexim.base.record import dataclass
from pyexim.daemon import admission
from pyexim.daemon.pool import LOW, Child, Pool
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_host
from pyexim.model.connection import Connection
from pyexim.startup.process import Process
from pyexim.startup.work import load_average

IDLE_WAIT: Final = 10.0
"""Seconds between looks at children when nothing happens."""
FORK_AGAIN: Final = 0.5
"""Seconds after which a child that could not be forked is tried again."""
FORK_PATIENCE: Final = 10.0
"""Seconds after which a connection that waits for it is refused."""
ACCEPTS_PER_TURN: Final = 64


@dataclass(slots=True)
class Pending:
    """A connection that waits for a child."""

    sock: socket.socket
    record: fdpass.Record
    address: str
    since: float


class Front:
    """Connections and reception children; the master's loop calls it when something happens."""

    def __init__(self, process: Process, fork: Callable[[int], tuple[int, socket.socket]]) -> None:
        self.process = process
        self.clock = process.services.clock
        self.pool = Pool(fork, _processors())
        self.pending: deque[Pending] = deque()
        self.listening = False
        self._selector: selectors.BaseSelector
        self._settings = self._admission_settings()

    def begin(self, selector: selectors.BaseSelector, *, listening: bool) -> None:
        """Fork the first children."""
        self._selector = selector
        self.listening = listening
        if listening:
            self._register(self.pool.spawn(LOW))

    def close_in_child(self) -> None:
        """Close, in a forked process, what belongs to the master alone."""
        for one in self.pool.children.values():
            one.control.close()
        for pending in self.pending:
            pending.sock.close()

    # -- children

    def _register(self, children: list[Child]) -> None:
        for one in children:
            self._selector.register(one.control, selectors.EVENT_READ, one)

    def _unregister(self, children: list[Child]) -> None:
        # Their sockets are closed already; the selector knows them by number only.
        known = {key.data.pid: key.fd for key in list(self._selector.get_map().values())
                 if isinstance(key.data, Child)}
        for one in children:
            if one.pid in known:
                self._selector.unregister(known[one.pid])

    def _remove(self, one: Child) -> None:
        self._selector.unregister(one.control)
        self.pool.remove(one)

    def hear(self, one: Child) -> None:
        """Take what a child says; its end is the end of its control socket."""
        try:
            got = fdpass.receive(one.control)
        except (OSError, fdpass.PassError):
            got = None
        if got is None:
            self._remove(one)
            return
        record, fds = got
        kind = record["type"]
        if kind == "ended":
            if not self.pool.ended(one, record["number"]):
                self._remove(one)
        elif kind in ("held", "free"):
            one.held = kind == "held"
        elif kind == "enough":
            one.going = True
        elif kind == "divided" and len(fds) == 1:
            control = socket.socket(fileno=fds.pop())
            self._register([self.pool.divided(one, record["pid"], control, record["numbers"],
                                              passing=record["passing"])])
        for fd in fds:
            os.close(fd)

    def keep_up(self, now: float) -> None:
        """Fork the children that are missing, send those home that are not needed; serve who had to wait."""
        self._unregister(self.pool.relax(now))
        if not self.listening:
            return
        missing = self.pool.missing()
        if missing:
            self._register(self.pool.spawn(missing))
        self._serve_pending()
        while self.pending and now - self.pending[0].since > FORK_PATIENCE:
            first = self.pending.popleft()
            self._refuse(first.sock, admission.Refuse(
                "421 Unable to start a process for the connection; try again later",
                f"no process could be started for the connection from [{first.address}]"))

    def patience(self) -> float:
        """Return after how many seconds ``keep_up`` is to be called at the latest."""
        if self.listening and self.pool.missing():
            return FORK_AGAIN
        return IDLE_WAIT

    def renew(self, process: Process, *, listening: bool) -> None:
        """Go on with a new configuration, or with other helpers: new sessions go to new children."""
        self.process = process
        self.listening = listening
        self._settings = self._admission_settings()
        self._unregister(self.pool.renew())
        if listening:
            self._register(self.pool.spawn(LOW))

    def end(self) -> None:
        """No more connections: those that wait are served if that is possible; sessions end by themselves."""
        if self.pending:
            self._register(self.pool.spawn(LOW))
            self._serve_pending()

    # -- connections

    def _admission_settings(self) -> admission.Settings:
        main = self.process.config.main
        return admission.Settings(
            accept_max=main.smtp_accept_max, accept_queue=main.smtp_accept_queue,
            reserve=main.smtp_accept_reserve, load_reserve=main.smtp_load_reserve,
            has_reserve_hosts=main.smtp_reserve_hosts is not None, queue_only_load=main.queue_only_load,
            hostname=main.primary_hostname or "")

    def accept(self, listener: socket.socket) -> bool:
        """Accept what is waiting on one listener; tell whether there was anything."""
        for count in range(ACCEPTS_PER_TURN):
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return count > 0
            except OSError as e:
                if e.errno not in (errno.ECONNABORTED, errno.EINTR, errno.EPROTO):
                    self.process.log.main(f"accept() failure: {e.strerror}")
                    self.clock.sleep(0.1)
                return count > 0
            self._admit(sock, peer)
        return True

    def _admit(self, sock: socket.socket, peer: tuple[Any, ...]) -> None:
        """Decide on a connection: refuse it, or hand it to a child."""
        address, port = _plain_address(peer[0]), peer[1]
        log = self.process.log
        shown = f"[{address}]:{port}" if log.selected("incoming_port") else f"[{address}]"
        waiting = sum(p.address == address for p in self.pending)
        counts = admission.Counts(self.pool.sessions + len(self.pending), self.pool.from_host(address) + waiting)
        try:
            local = sock.getsockname()
        except OSError:
            sock.close()
            return
        verdict = admission.decide(
            self._settings, counts, shown, max_per_host=self._max_per_host(address, port, local),
            is_reserved=lambda: self._is_reserved(address, port), load=load_average)
        if log.selected("smtp_connection") and isinstance(verdict, admission.Admit):
            if not self._nolog(address, port):
                here = f" I=[{_plain_address(local[0])}]:{local[1]}" if log.selected("incoming_interface") else ""
                log.main(f"SMTP connection from {shown}{here} (TCP/IP connection count = {counts.total + 1})")
        if isinstance(verdict, admission.Refuse):
            self._refuse(sock, verdict)
            return
        why = ""
        if verdict.queue_only:
            why = f"too many connections ({counts.total + 1}, max {self._settings.accept_queue})"
        record = {"type": "session", "peer": [address, port], "local": [_plain_address(local[0]), local[1]],
                  "count": counts.total + 1, "only_queue": why}
        self.pending.append(Pending(sock, record, address, self.clock.monotonic()))
        self._serve_pending()

    def _serve_pending(self) -> None:
        """Give waiting connections to children, in their order."""
        while self.pending:
            first = self.pending[0]
            chosen = self.pool.take(first.address, self.clock.monotonic())
            if chosen is None:
                return
            one, number = chosen
            try:
                fdpass.send(one.control, {**first.record, "number": number}, [first.sock.fileno()])
            except OSError:
                self._remove(one)
                continue
            first.sock.close()
            self.pending.popleft()

    def _refuse(self, sock: socket.socket, verdict: admission.Refuse) -> None:
        """Send a refusal without waiting for anybody, and log it."""
        try:
            sock.setblocking(False)
            sock.send((verdict.reply + "\r\n").encode("latin-1"))
        except OSError:
            pass
        sock.close()
        if self.process.log.selected("connection_reject"):
            self.process.log.main(verdict.log)

    def _scope(self, address: str, port: int) -> Scope:
        return Scope(self.process.config, self.process.services,
                     conn=Connection(kind="tcp", sender_host_address=address, sender_host_port=port))

    def _is_reserved(self, address: str, port: int) -> bool:
        scope = self._scope(address, port)
        assert scope.conn is not None
        return bool(match_host(scope.conn, self.process.config.main.smtp_reserve_hosts or "", scope,
                               name="smtp_reserve_hosts"))

    def _nolog(self, address: str, port: int) -> bool:
        text = self.process.config.main.hosts_connection_nolog
        if not text:
            return False
        scope = self._scope(address, port)
        assert scope.conn is not None
        return bool(match_host(scope.conn, text, scope, name="hosts_connection_nolog"))

    def _max_per_host(self, address: str, port: int, local: tuple[Any, ...]) -> int:
        """Return smtp_accept_max_per_host, expanded for the peer; a fault in it counts as no limit, and is logged."""
        text = self.process.config.main.smtp_accept_max_per_host
        if text is None:
            return 0
        if text.isascii() and text.isdigit():
            return int(text)
        scope = self._scope(address, port)
        assert scope.conn is not None
        scope.conn.interface_address, scope.conn.interface_port = _plain_address(local[0]), local[1]
        try:
            value = expand(text, scope).strip()
            if value.isascii() and value.isdigit():
                return int(value)
            self.process.log.panic(f"expansion of smtp_accept_max_per_host for [{address}] contains non-digit: {value}")
        except ExpansionError as e:
            self.process.log.panic(f"expansion of smtp_accept_max_per_host failed for [{address}]: {e.text}")
        return 0


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plain_address(address: str) -> str:
    """Return an IPv4 address that came over an IPv6 socket in its own form."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address
