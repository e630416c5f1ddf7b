"""Parked sessions: where idle SMTP connections wait for their clients without a process of their own.

Bookkeeping for the master: which socket, what state (opaque), from which host, until when.  See
``receive.parking``.
"""

from __future__ import annotations

import heapq
import socket

from pyexim.base.record import dataclass, field


@dataclass(slots=True)
class Waiting:
    """One parked session."""

    sock: socket.socket
    state: str
    peer: str
    deadline: float
    queue_only: bool = False
    timed_out: bool = False
    gone: bool = field(default=False)
    """It has been taken out; what the heap still holds of it is to be passed over."""


class Lounge:
    """The parked sessions of one daemon."""

    def __init__(self) -> None:
        self._by_fd: dict[int, Waiting] = {}
        self._hosts: dict[str, int] = {}
        self._deadlines: list[tuple[float, int, Waiting]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_fd)

    def from_host(self, address: str) -> int:
        """Return how many sessions of a host wait here."""
        return self._hosts.get(address, 0)

    def add(self, one: Waiting) -> None:
        """Park a session."""
        self._by_fd[one.sock.fileno()] = one
        self._hosts[one.peer] = self._hosts.get(one.peer, 0) + 1
        self._count += 1
        heapq.heappush(self._deadlines, (one.deadline, self._count, one))

    def remove(self, one: Waiting) -> None:
        """Take a session out; its socket stays open."""
        if self._by_fd.pop(one.sock.fileno(), None) is None:
            return
        one.gone = True
        left = self._hosts.get(one.peer, 1) - 1
        if left:
            self._hosts[one.peer] = left
        else:
            self._hosts.pop(one.peer, None)

    def overdue(self, now: float) -> list[Waiting]:
        """Return the sessions whose time is over; they are still in."""
        out = []
        while self._deadlines and (self._deadlines[0][2].gone or self._deadlines[0][0] <= now):
            one = heapq.heappop(self._deadlines)[2]
            if not one.gone:
                one.timed_out = True
                out.append(one)
        return out

    def next_deadline(self) -> float | None:
        """Return when the next session is due, on the monotonic clock; None when there is none."""
        while self._deadlines and self._deadlines[0][2].gone:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def all(self) -> list[Waiting]:
        """Return all that wait."""
        return list(self._by_fd.values())
