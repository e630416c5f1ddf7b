"""The pool of reception children: who is there, who is busy with whom, how many to keep.

Bookkeeping only: forking is done by a callable it is given, so that the rules can be tested.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from pyexim.base.record import dataclass

LOW: Final = 2
"""Idle children kept ready."""
HIGH: Final = 24
"""Idle children above which some are sent home when things are quiet."""
QUIET_SECONDS: Final = 30.0
BURST: Final = 8
"""The most children forked at once."""


@dataclass(slots=True)
class Child:
    """A reception child and the session it serves."""

    pid: int
    control: socket.socket
    peer: str | None = None
    """Address of the host it is serving; None when idle."""
    queue_only: bool = False
    """Messages of its session are only put on the queue (smtp_accept_queue)."""
    generation: int = 0
    """Configuration it was forked with."""


class Pool:
    """The children of one daemon.

    ``fork(generation)`` makes a child and returns (pid, control socket); OSError where it cannot.
    ``limit`` is smtp_accept_max, 0 for none.
    """

    def __init__(self, fork: Callable[[int], tuple[int, socket.socket]], limit: int) -> None:
        self._fork = fork
        self.limit = limit
        self.generation = 0
        self.children: dict[int, Child] = {}
        """By the file descriptor of the control socket."""
        self._idle: deque[Child] = deque()
        self._hosts: dict[str, int] = {}
        self._burst = 1
        self.last_busy = 0.0

    def __len__(self) -> int:
        return len(self.children)

    @property
    def busy(self) -> int:
        """Sessions being served."""
        return len(self.children) - len(self._idle)

    @property
    def idle(self) -> int:
        """Children that are free."""
        return len(self._idle)

    @property
    def full(self) -> bool:
        """Whether no more may be forked."""
        return 0 < self.limit <= len(self.children)

    def from_host(self, address: str) -> int:
        """Sessions being served for one host."""
        return self._hosts.get(address, 0)

    def spawn(self, count: int) -> list[Child]:
        """Fork up to ``count`` children within the limit; those that were made."""
        made = []
        for _ in range(count):
            if self.full:
                break
            try:
                pid, control = self._fork(self.generation)
            except OSError:
                break
            child = Child(pid, control, generation=self.generation)
            self.children[control.fileno()] = child
            self._idle.append(child)
            made.append(child)
        return made

    def take(self, peer: str, now: float) -> Child | None:
        """Take an idle child for a peer; None where all are busy."""
        if not self._idle:
            return None
        child = self._idle.pop()
        child.peer = peer
        self._hosts[peer] = self._hosts.get(peer, 0) + 1
        self.last_busy = now
        return child

    def grow(self, wanted: int) -> list[Child]:
        """Fork children for connections that nobody is free for; the new ones.

        One at first, twice as many each time that it goes on: most often somebody is about to be free,
        and a fork costs more than a session.
        """
        made = self.spawn(min(wanted, self._burst))
        self._burst = min(self._burst * 2, BURST)
        return made

    def content(self) -> None:
        """Nobody waits for a child: the next growth begins with one again."""
        self._burst = 1

    def ready(self, child: Child) -> bool:
        """A child has finished its session; False if it is of an old configuration and must go."""
        self._release(child)
        if child.generation != self.generation:
            self.remove(child)
            return False
        self._idle.append(child)
        return True

    def _release(self, child: Child) -> None:
        if child.peer is not None:
            left = self._hosts.get(child.peer, 1) - 1
            if left > 0:
                self._hosts[child.peer] = left
            else:
                self._hosts.pop(child.peer, None)
            child.peer = None

    def remove(self, child: Child) -> None:
        """Forget a child that has ended or is to end; its control socket is closed."""
        self._release(child)
        self.children.pop(child.control.fileno(), None)
        if child in self._idle:
            self._idle.remove(child)
        child.control.close()

    def renew(self) -> list[Child]:
        """Begin a new generation: idle children are removed (they end), busy ones when they are done."""
        self.generation += 1
        gone = list(self._idle)
        for child in gone:
            self.remove(child)
        return gone

    def relax(self, now: float) -> list[Child]:
        """Send idle children home after a quiet time; those removed."""
        if now - self.last_busy < QUIET_SECONDS or len(self._idle) <= HIGH:
            return []
        gone = [self._idle.popleft() for _ in range(len(self._idle) - HIGH)]
        for child in gone:
            self.remove(child)
        return gone

    def top_up(self) -> list[Child]:
        """Fork what is missing to the low mark; the new children."""
        return self.spawn(LOW - len(self._idle)) if len(self._idle) < LOW else []
