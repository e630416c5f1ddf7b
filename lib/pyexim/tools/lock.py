"""exim_lock: run a command while a mailbox is locked as Exim locks it.

Spec: chapter "Exim utilities", mailbox maintenance.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from typing import Final

from pyexim.base.record import dataclass
from pyexim.tools.common import complain

USAGE: Final = """\
usage: exim_lock [-v] [-q] [-lockfile] [-fcntl] [-flock] [-mbx]
       [-retries <n>] [-interval <n>] [-timeout <n>] [-restore-times]
       <file name> [command]
"""
LOCK_FILE_LIFE: Final = 1800
"""Seconds after which a lock file is nobody's any more."""


@dataclass(slots=True)
class Wanted:
    """The options."""

    lockfile: bool = False
    fcntl: bool = False
    flock: bool = False
    mbx: bool = False
    quiet: bool = False
    verbose: bool = False
    restore_times: bool = False
    retries: int = 10
    interval: int = 3
    timeout: int = 0


class Busy(Exception):
    """The lock is somebody else's; the text says which one."""


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    wanted, rest = _options(arguments)
    if wanted is None or not 1 <= len(rest) <= 2:
        complain(USAGE)
        return 1
    path = rest[0]
    command = rest[1] if len(rest) > 1 else os.environ.get("SHELL") or "/bin/sh"
    for attempt in range(max(wanted.retries, 1)):
        if attempt:
            time.sleep(wanted.interval)
        locks = _Locks(path, wanted, first=not attempt)
        try:
            locks.take()
        except Busy as e:
            locks.release()
            locks.say(str(e))
            if not wanted.quiet:
                sys.stdout.write(" ... waiting\n")
                sys.stdout.flush()
            continue
        except OSError as e:
            sys.stdout.write(f"exim_lock: failed to open {e.filename or path} for writing: {e.strerror}\n")
            locks.release()
            return 1
        try:
            _run(command, locks)
        finally:
            locks.release()
        return 0
    sys.stdout.write("exim_lock: locking failed too many times\n")
    return 1


def _options(arguments: list[str]) -> tuple[Wanted | None, list[str]]:
    wanted, rest = Wanted(), list(arguments)
    flags = {"-lockfile": "lockfile", "-fcntl": "fcntl", "-flock": "flock", "-mbx": "mbx", "-q": "quiet",
             "-v": "verbose", "-restore-times": "restore_times", "-restore_times": "restore_times"}
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in flags:
            setattr(wanted, flags[word], True)
        elif word in ("-retries", "-interval", "-timeout") and rest and rest[0].isdigit():
            setattr(wanted, word[1:], int(rest.pop(0)))
        else:
            return None, []
    if not (wanted.lockfile or wanted.fcntl or wanted.flock or wanted.mbx):
        wanted.lockfile = wanted.fcntl = True
    if wanted.mbx and not wanted.flock:
        wanted.fcntl = True
    return wanted, rest


def _run(command: str, locks: _Locks) -> None:
    locks.say(f"locking {locks.path} succeeded: running the command ...")
    sys.stdout.flush()
    before = os.stat(locks.path)
    status = subprocess.run(["/bin/sh", "-c", command], check=False).returncode
    if status:
        shown = status * 256 if status > 0 else -status
        if not locks.wanted.quiet:
            sys.stdout.write(f"warning: nonzero status {shown}\n")
    if locks.wanted.restore_times:
        os.utime(locks.path, ns=(before.st_atime_ns, before.st_mtime_ns))


class _Locks:
    """The locks of one mailbox, and what is said about them."""

    def __init__(self, path: str, wanted: Wanted, *, first: bool) -> None:
        self.path, self.wanted, self.first = path, wanted, first
        self.lock_name = ""
        self.fd = self.mbx_fd = -1
        self.mbx_name = ""

    def say(self, text: str) -> None:
        if not self.wanted.quiet:
            sys.stdout.write(f"exim_lock: {text}\n")
            sys.stdout.flush()

    def verbose(self, text: str) -> None:
        if self.wanted.verbose:
            self.say(text)

    def take(self) -> None:
        """Take all locks; raise Busy, or OSError for a file that cannot be opened."""
        if self.wanted.lockfile:
            self._take_lock_file()
        if not (self.wanted.fcntl or self.wanted.flock):
            return
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | (0 if self.wanted.mbx else os.O_APPEND))
        self._lock(self.fd, shared=self.wanted.mbx, what="")
        if self.wanted.mbx:
            self._take_mbx()

    def _take_lock_file(self) -> None:
        name = self.path + ".lock"
        post = f"{name}.{os.uname().nodename}.{int(time.time()):08x}.{os.getpid():08x}"
        if self.wanted.verbose and not self.wanted.quiet and self.first:
            sys.stdout.write(f"exim_lock: lockname =  {name}\n           hitchname = {post}\n")
        self.verbose("creating lock file")
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(name).st_ctime > LOCK_FILE_LIFE:
                self.say("stale lock file removed")
                os.unlink(name)
        os.close(os.open(post, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o440))
        try:
            os.link(post, name)
        except FileExistsError:
            raise Busy("failed to link hitching post to lock file") from None
        finally:
            os.unlink(post)
        self.lock_name = name
        self.say("lock file successfully created")

    def _lock(self, fd: int, *, shared: bool, what: str) -> None:
        """Take the record locks of one descriptor."""
        wanted = self.wanted
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        shown = "read lock" if shared else "lock"
        for name, chosen, call in (("fcntl", wanted.fcntl, fcntl.lockf), ("flock", wanted.flock, fcntl.flock)):
            if not chosen:
                continue
            try:
                if wanted.timeout and name == "fcntl":
                    self._patiently(lambda call=call: call(fd, kind))
                else:
                    call(fd, kind | fcntl.LOCK_NB)
            except OSError as e:
                raise Busy(f"{name}() failed: {e.strerror or 'timed out'}") from None
            self.say(f"{name}() {shown} successfully applied{what}")

    def _patiently(self, call: object) -> None:
        def ring(_number: int, _frame: object) -> None:
            raise TimeoutError("timed out")

        before = signal.signal(signal.SIGALRM, ring)
        signal.alarm(self.wanted.timeout)
        try:
            call()  # type: ignore[operator]
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    def _take_mbx(self) -> None:
        st = os.fstat(self.fd)
        name = f"/tmp/.{st.st_dev:x}.{st.st_ino:x}"
        # Whoever owns /tmp's file must not be able to lead us elsewhere: no links are followed.
        self.mbx_fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(PermissionError):
            os.fchmod(self.mbx_fd, 0o666)
        if os.fstat(self.mbx_fd).st_nlink > 1:
            raise Busy(f"lock file {name} has more than one link")
        self._lock(self.mbx_fd, shared=False, what=f" to mbx lock file {name}")
        self.mbx_name = name

    def release(self) -> None:
        """Let go of everything that was taken."""
        if self.mbx_fd >= 0:
            if self.mbx_name:
                with contextlib.suppress(OSError):
                    fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(self.mbx_name)
                    self.say(f"{self.mbx_name} unlinked - no sharers")
                self.say(f"{self.mbx_name} closed")
            os.close(self.mbx_fd)
            self.mbx_fd = -1
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.say(f"{self.path} closed")
        if self.lock_name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.lock_name)
            self.lock_name = ""
            self.say("lock file removed")
