"""The server side of the starter: children that become a user, and those that stay for the next job.

A child is forked for a job, becomes the user and runs it.  Where the job allows it (a delivery to a file),
the child then stays for a moment: the next job for the same user, group and groups is passed to it, which
costs a tenth of a fork.  It has no privilege left and never sees a job of another user.  docs/processes.md
has the records.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from pyexim import child, fdpass, privs
from pyexim.base.record import dataclass

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
STAY: Final = 1000
"""Milliseconds that a child waits for another job of its user."""
MAX_JOBS: Final = 500
"""Jobs that a child does before it ends."""
MAX_STAYING: Final = 64

RunJob = Callable[[str, str, int, int, int, int], int]
"""(job, header file content, -D file, journal, result pipe, uid) -> exit code: ``deliver.local.run_job``
with the configuration and services bound."""
Who = tuple[int, int, str | None]
"""User, group, and the name whose supplementary groups are taken on."""


@dataclass(frozen=True, slots=True)
class StarterSettings:
    """What the starter decides by."""

    run_job: RunJob
    never_users: frozenset[int] = frozenset({0})
    privileged: bool = True
    """Whether children become somebody else; False in a set-up without root."""
    panic: Callable[[str], None] | None = None
    exim_uid: int = -1
    exim_gid: int = -1
    title: Callable[[str], None] | None = None
    warm: Callable[[], None] | None = None
    """Called once in the starter: loads what its children will need."""


class StarterError(Exception):
    """A job could not be started; the text says why."""


def check_user(rules: StarterSettings, uid: int, gid: int) -> str | None:
    """Return why nothing may be run as a user (never_users at the last door), or None."""
    if not rules.privileged:
        return None
    if uid < 0 or gid < 0:
        return f"uid={uid} gid={gid} is no user to run a delivery as"
    if uid in rules.never_users:
        return f"User {uid} is on the never_users list"
    return None


def user_of(rules: StarterSettings, record: fdpass.Record) -> Who:
    """Return whom a job runs as; StarterError where it may not."""
    uid, gid, name = int(record["uid"]), int(record["gid"]), record.get("user_name")
    why = check_user(rules, uid, gid)
    if why is not None:
        raise StarterError(why)
    return uid, gid, name if name is None else str(name)


# -- in the child


def run_one(rules: StarterSettings, record: fdpass.Record, fds: list[int], *,
            prepare: Callable[[], None] | None = None) -> int:
    """Run a job in a process that is (or by ``prepare`` becomes) the user; what goes wrong is told by the pipe.

    ``fds`` are the -D file, the journal and the result pipe.
    """
    try:
        if prepare is not None:
            prepare()
        os.umask(0)
        directory = str(record["current_dir"])
        try:
            os.chdir(directory)
        except OSError as e:
            _tell(fds[2], {"failed": [e.errno or errno.EIO, f"failed to chdir to {directory}"]})
            return 1
        return rules.run_job(str(record["job"]), str(record["header"]), fds[0], fds[1], fds[2], int(record["uid"]))
    except Exception:  # noqa: BLE001 - reported to the delivery process, which can write to the log
        import traceback  # only when something is wrong

        _tell(fds[2], {"crash": traceback.format_exc()})
        return child.EX_SOFTWARE


def start_child(rules: StarterSettings, record: fdpass.Record, fds: list[int],
                close: list[Callable[[], None]], stay: socket.socket | None = None) -> int:
    """Fork the child of a job; its process id.  OSError where no process can be made, StarterError where none may be.

    ``close`` is called in the child.  With ``stay`` the child takes further jobs from that socket.
    """
    uid, gid, name = user_of(rules, record)

    def become() -> None:
        if rules.privileged:
            privs.become(uid, gid, user_name=name)

    def job() -> int:
        for f in close:
            f()
        if rules.title is not None:
            rules.title("local delivery")
        code = run_one(rules, record, fds, prepare=become)
        _close_all(fds)
        return code if stay is None or code else _stay(rules, stay)

    return child.fork(job, on_error=rules.panic)


def _stay(rules: StarterSettings, sock: socket.socket) -> int:
    """Do the jobs of the same user that come in time; the exit code."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    for _ in range(MAX_JOBS):
        try:
            fdpass.send(sock, {"type": "free"})
            if not poll.poll(STAY):
                # The starter may just have sent a job: it answers by closing the socket, or the job is there.
                fdpass.send(sock, {"type": "leaving"})
            got = fdpass.receive(sock)
        except (OSError, fdpass.PassError):
            return 0
        if got is None:
            return 0
        record, fds = got
        code = run_one(rules, record, fds)
        _close_all(fds)
        if code:
            return code
    return 0


def _tell(pipe: int, what: dict[str, Any]) -> None:
    """Report something that is no result."""
    with contextlib.suppress(OSError):  # whoever waited for it is gone
        os.write(pipe, json.dumps(what).encode("ascii"))


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def open_as(rules: StarterSettings, path: str, uid: int, gid: int, user_name: str | None) -> tuple[int, int]:
    """Open a file for reading as a user: (descriptor, 0) or (-1, errno).  A FIFO does not hang it."""
    data = path.encode("latin-1")
    try:
        if rules.privileged:
            with privs.effective(uid, gid):
                return os.open(data, _OPEN_FLAGS), 0
        return os.open(data, _OPEN_FLAGS), 0
    except OSError as e:
        return -1, e.errno or errno.EIO


# -- the server


@dataclass(slots=True)
class Staying:
    """A child that may take another job."""

    who: Who
    sock: socket.socket
    free: bool = False


class Server:
    """The starter's loop."""

    def __init__(self, control: socket.socket, rules: StarterSettings) -> None:
        self.control = control
        self.rules = rules
        self.poll = select.poll()
        self.clients: dict[int, socket.socket] = {}
        self.staying: dict[int, Staying] = {}
        self.poll.register(control, select.POLLIN)

    def serve(self) -> int:
        """Serve until the control socket ends; the exit code."""
        if self.rules.warm is not None:
            self.rules.warm()
        gc.collect()
        gc.freeze()  # keeps the pages of the heap shared with the children
        while True:
            for fd, _ in self.poll.poll(1000):
                if fd == self.control.fileno():
                    if not self._new_client():
                        return 0
                elif fd in self.staying:
                    self._hear_child(fd)
                else:
                    self._hear_client(fd)
            child.reap()

    @staticmethod
    def _receive(sock: socket.socket) -> tuple[fdpass.Record, list[int]] | None:
        try:
            return fdpass.receive(sock)
        except (OSError, fdpass.PassError):
            return None

    def _new_client(self) -> bool:
        got = self._receive(self.control)
        if got is None:
            return False
        record, fds = got
        if record["type"] == "client" and len(fds) == 1:
            new = socket.socket(fileno=fds[0])
            self.clients[new.fileno()] = new
            self.poll.register(new, select.POLLIN)
        else:
            _close_all(fds)
        return True

    def _hear_child(self, fd: int) -> None:
        one = self.staying[fd]
        got = self._receive(one.sock)
        if got is not None and got[0]["type"] == "free":
            one.free = True
        elif got is None or one.free:
            # Gone, or leaving; one that says so while a job is on its way finds the job and does it.
            self.poll.unregister(fd)
            self.staying.pop(fd).sock.close()

    def _hear_client(self, fd: int) -> None:
        sock = self.clients[fd]
        got = self._receive(sock)
        if got is None:
            self.poll.unregister(fd)
            self.clients.pop(fd).close()
            return
        record, fds = got
        try:
            if record["type"] == "local" and len(fds) == 3:
                self._start(record, fds)
            elif record["type"] == "open":
                self._open(sock, record)
            else:
                self._answer(sock, {"type": "refused", "text": "not a request"})
        finally:
            _close_all(fds)

    def _start(self, record: fdpass.Record, fds: list[int]) -> None:
        """Begin a job; the result pipe is the answer."""
        try:
            who = user_of(self.rules, record)
            stay = bool(record.get("stay"))
            if stay and self._pass_on(who, record, fds):
                return
            close = [self.control.close, *(s.close for s in self.clients.values()),
                     *(s.sock.close for s in self.staying.values())]
            if not stay or len(self.staying) >= MAX_STAYING:
                start_child(self.rules, record, fds, close)
                return
            ours, theirs = fdpass.pair()
            try:
                start_child(self.rules, record, fds, [*close, ours.close], theirs)
            except (StarterError, OSError):
                ours.close()
                raise
            finally:
                theirs.close()
            self.staying[ours.fileno()] = Staying(who, ours)
            self.poll.register(ours, select.POLLIN)
        except (StarterError, OSError, KeyError, ValueError, TypeError) as e:
            _tell(fds[2], {"refused": str(e)})

    def _pass_on(self, who: Who, record: fdpass.Record, fds: list[int]) -> bool:
        """Give a job to a child of that user that is free; False when there is none."""
        for one in self.staying.values():
            if one.free and one.who == who:
                one.free = False
                try:
                    fdpass.send(one.sock, record, fds)
                except OSError:
                    continue
                return True
        return False

    def _open(self, sock: socket.socket, record: fdpass.Record) -> None:
        try:
            fd, number = open_as(self.rules, str(record["path"]), int(record["uid"]), int(record["gid"]),
                                 record.get("user_name"))
        except (KeyError, ValueError, TypeError, OSError) as e:
            self._answer(sock, {"type": "refused", "text": str(e)})
            return
        self._answer(sock, {"type": "opened", "errno": number}, [fd] if fd >= 0 else [])

    @staticmethod
    def _answer(sock: socket.socket, answer: fdpass.Record, passed: list[int] | None = None) -> None:
        try:
            fdpass.send(sock, answer, passed or [])
        except OSError:
            return  # the client is gone; its end of file is seen next
        finally:
            _close_all(passed or [])
