"""The reception children: who there is, who serves which sessions, whom to give the next one, how many to keep.

Bookkeeping only: forking is done by a callable it is given, so that the rules can be tested.

Few processes serve many sessions (daemon/reception.py says why).  A child that is held by one session, that
is going, or that has an old configuration gets no more.  Children that had to divide show that sessions
wait for something; they stay until things have been quiet for a while.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Final

from pyexim.base.record import dataclass, field

LOW: Final = 2
"""Children kept ready, at least."""
MOST_SESSIONS: Final = 250
"""Sessions that one child serves at most: what is lost if it should ever die."""
QUIET_SECONDS: Final = 30.0


@dataclass(slots=True)
class Child:
    """A reception child and the sessions it serves."""

    pid: int
    control: socket.socket
    generation: int = 0
    """Configuration it was forked with."""
    sessions: dict[int, str] = field(default_factory=dict)
    """Addresses of the hosts, by the numbers of the sessions."""
    held: bool = False
    """One session keeps the whole process for now."""
    going: bool = False
    """It takes no more sessions."""


class Pool:
    """The children of one daemon.

    ``fork(generation)`` makes a child and returns (pid, control socket); OSError where it cannot.
    ``width`` is how many children are enough as long as none has to wait: the number of processors.
    """

    def __init__(self, fork: Callable[[int], tuple[int, socket.socket]], width: int) -> None:
        self._fork = fork
        self.width = max(LOW, width)
        self.generation = 0
        self.children: dict[int, Child] = {}
        """By the file descriptor of the control socket."""
        self.sessions = 0
        """Sessions being served."""
        self._hosts: dict[str, int] = {}
        self._number = 0
        self.last_busy = 0.0

    def __len__(self) -> int:
        return len(self.children)

    def from_host(self, address: str) -> int:
        """Sessions being served for one host."""
        return self._hosts.get(address, 0)

    def _open(self) -> list[Child]:
        return [c for c in self.children.values()
                if not c.held and not c.going and c.generation == self.generation and len(c.sessions) < MOST_SESSIONS]

    def missing(self) -> int:
        """Return how many children should be forked now."""
        open_children = self._open()
        if len(open_children) < LOW:
            return LOW - len(open_children)
        return int(len(open_children) < self.width and all(c.sessions for c in open_children))

    def spawn(self, count: int) -> list[Child]:
        """Fork up to ``count`` children; those that were made."""
        made = []
        for _ in range(count):
            try:
                pid, control = self._fork(self.generation)
            except OSError:
                break
            made.append(self._add(Child(pid, control, self.generation)))
        return made

    def _add(self, child: Child) -> Child:
        self.children[child.control.fileno()] = child
        return child

    def take(self, peer: str, now: float) -> tuple[Child, int] | None:
        """Choose a child for a session with a peer: it and the session's number; None where none is free for one."""
        open_children = self._open()
        if not open_children:
            return None
        child = min(open_children, key=lambda c: len(c.sessions))
        self._number += 1
        child.sessions[self._number] = peer
        self._count(peer, 1)
        self.last_busy = now
        return child, self._number

    def _count(self, peer: str, by: int) -> None:
        self.sessions += by
        left = self._hosts.get(peer, 0) + by
        if left > 0:
            self._hosts[peer] = left
        else:
            self._hosts.pop(peer, None)

    def ended(self, child: Child, number: int) -> bool:
        """A session is over; False if the child has nothing more to do here and must go."""
        peer = child.sessions.pop(number, None)
        if peer is not None:
            self._count(peer, -1)
        return bool(child.sessions) or not (child.going or child.generation != self.generation)

    def divided(self, child: Child, pid: int, control: socket.socket, numbers: Iterable[int], *,
                passing: bool) -> Child:
        """A child has forked another one, which serves some of its sessions now; that one."""
        new = self._add(Child(pid, control, child.generation, going=passing or child.going))
        for number in numbers:
            peer = child.sessions.pop(number, None)
            if peer is not None:
                new.sessions[number] = peer
        return new

    def remove(self, child: Child) -> None:
        """Forget a child that has ended or is to end, with its sessions; its control socket is closed."""
        for peer in child.sessions.values():
            self._count(peer, -1)
        child.sessions.clear()
        self.children.pop(child.control.fileno(), None)
        child.control.close()

    def renew(self) -> list[Child]:
        """Begin a new generation: children without sessions are removed (they end), the others when they are done."""
        self.generation += 1
        gone = [c for c in self.children.values() if not c.sessions]
        for child in gone:
            self.remove(child)
        return gone

    def relax(self, now: float) -> list[Child]:
        """Send children without sessions home after a quiet time, but for the width; those removed."""
        if now - self.last_busy < QUIET_SECONDS:
            return []
        gone = [c for c in self._open() if not c.sessions][self.width:]
        for child in gone:
            self.remove(child)
        return gone
