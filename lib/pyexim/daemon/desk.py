"""The command socket in the master: who asks is handed to a child, where possible one that waits for it already.

Forking takes half as long as the work of a short command, and the first steps of a forked process are slow (its
pages are copied), so that while commands come in, some children are forked ahead (SPARES).  The rules for what a
command may do are those of daemon/command.py; the master reads nothing of what a caller sends.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from math import inf
from typing import Final

from pyexim import fdpass, processinfo
from pyexim.base.record import dataclass
from pyexim.daemon import command

SPARES: Final = 2
"""Children that wait for a command, as long as commands come."""
SPARE_SECONDS: Final = 60.0
"""Seconds without a command after which no children wait for one."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A child that waits for a command, and how to hand it one."""

    pid: int
    control: socket.socket


class Desk:
    """The command socket and the children that serve commands.

    ``fork(job)`` forks a process that closes what belongs to the master alone and does the job: its pid; OSError.
    ``serve(sock)`` serves the command of one caller in such a process.
    """

    def __init__(self, fork: Callable[[Callable[[], int]], int], serve: Callable[[socket.socket], int]) -> None:
        self._fork = fork
        self._serve = serve
        self._path = ""
        self._callers = command.Callers()
        self._spares: list[Spare] = []
        self._last_command = -inf
        self.socket: socket.socket | None = None
        """Where callers knock; None where it could not be made."""

    def open(self, path: str) -> None:
        """Begin to listen; without a socket commands do the work themselves."""
        self._path = path
        self.socket = command.listen(path)

    def close_in_child(self) -> None:
        """Close, in a forked process, what belongs to the master alone."""
        if self.socket is not None:
            self.socket.close()
        for spare in self._spares:
            spare.control.close()

    def close(self) -> None:
        """No more commands; those that are being served come to their end."""
        self.send_home()
        if self.socket is not None:
            self.socket.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def discard(self, pid: int) -> None:
        """Forget a child that has ended, if it was one of these."""
        self._callers.discard(pid)
        for spare in self._spares:
            if spare.pid == pid:
                self._spares.remove(spare)
                spare.control.close()
                return

    def send_home(self) -> None:
        """End the children that wait: they have an old configuration, or nothing comes."""
        for spare in self._spares:
            spare.control.close()
        self._spares.clear()

    def keep_up(self, now: float) -> None:
        """Fork ahead as long as commands come; OSError where that cannot be."""
        if now - self._last_command > SPARE_SECONDS:
            self.send_home()
            return
        while len(self._spares) < SPARES:
            mine, theirs = fdpass.pair()
            try:
                pid = self._fork(lambda mine=mine, theirs=theirs: self._wait(mine, theirs))  # type: ignore[misc]
            except OSError:
                mine.close()
                raise
            finally:
                theirs.close()
            self._spares.append(Spare(pid, mine))

    def _wait(self, mine: socket.socket, theirs: socket.socket) -> int:
        """Be a spare child: wait for a command, or for the master's end of the line to be closed."""
        mine.close()
        processinfo.show("command (idle)")
        got = fdpass.receive(theirs)
        if got is None:
            return 0
        theirs.close()
        (fd,) = got[1]
        return self._serve(socket.socket(fileno=fd))

    def take(self, now: float) -> None:
        """Accept a caller and have it served; OSError where no process can be forked for it."""
        assert self.socket is not None
        try:
            sock, _ = self.socket.accept()
        except OSError:
            return
        with sock:
            try:
                uid = command.peer_of(sock)[1]
            except OSError:
                return
            if not self._callers.may(uid):
                command.decline(sock)
                return
            self._last_command = now
            pid = self._hand(sock) or self._fork(lambda: self._serve(sock))
            self._callers.add(pid, uid)

    def _hand(self, sock: socket.socket) -> int:
        """Hand a caller to a child that waits; its pid, 0 where there is none."""
        while self._spares:
            spare = self._spares.pop(0)
            with spare.control:
                try:
                    fdpass.send(spare.control, {"type": "caller"}, [sock.fileno()])
                except OSError:  # it has died
                    continue
                return spare.pid
        return 0
