"""Locks on a mailbox file: lock files, fcntl and flock.

A lock file is linked to its name in one step, so that it works over NFS, and holds who made it: process
id and its start, host, and where the message begins and will end in the mailbox.  A later delivery that
finds the lock file of a process of this host that is dead breaks it at once, and cuts off what that
process had written only in part: the mailbox is longer than at its start and shorter than it was to be.
Whole messages are never cut.

Where the system has unnamed temporary files, the "hitching post" of the specification is one of them, so
that nothing is left behind by a process that dies before linking it.

Spec: chapter "The appendfile transport", section "Operational details for appending".
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

from pyexim.base.clock import Clock
from pyexim.transports.paths import Refused, link_open_file

ERRNO_LOCKFAILED: Final = -9
UNKNOWN_END: Final = -1

_NO_TMPFILE: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


def process_start(pid: int) -> str | None:
    """Return when a process started, as the kernel counts it; None where there is none, "" if not known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[19].decode("ascii")
    except (FileNotFoundError, ProcessLookupError):
        pass
    except (OSError, IndexError):
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            return f.read().strip()
    except OSError:
        return ""


class LockFile:
    """A lock file that we hold; ``release`` removes it."""

    def __init__(self, path: str, fd: int, owner: str) -> None:
        self.path = path
        self._fd = fd
        self._owner = owner

    def note(self, inode: int, start: int, end: int, *, sync: bool = False) -> None:
        """Record what we are about to write: from ``start`` to ``end`` (UNKNOWN_END) of the mailbox."""
        os.pwrite(self._fd, f"{self._owner} {inode} {start} {end:<12}\n".encode("latin-1"), 0)
        if sync:
            os.fsync(self._fd)

    def release(self) -> None:
        """Remove the lock file, if it is still ours.

        It never fails: the message is in the mailbox by now.  A lock file that cannot be removed is stale once
        this process is dead, and is none for this process itself.
        """
        for _ in range(2):
            try:
                st = os.fstat(self._fd)
                now = os.lstat(self.path)
                if (now.st_ino, now.st_dev) == (st.st_ino, st.st_dev):
                    os.unlink(self.path)
                break
            except FileNotFoundError:
                break
            except OSError:
                continue
        os.close(self._fd)


def take_lockfile(mailbox: str, *, host: str, mode: int, timeout: int, retries: int, interval: int,
                  clock: Clock) -> LockFile:
    """Make the lock file of a mailbox, waiting for another's to go; Refused when it stays."""
    path = mailbox + ".lock"
    pid = os.getpid()
    owner = f"{pid} {process_start(pid) or '-'} {host} {_boot() or '-'}"
    for attempt in range(max(retries, 1)):
        if attempt:
            clock.sleep(interval)
        for _ in range(3):
            fd = _link_new(path, owner, host, mode, clock)
            if fd >= 0:
                return LockFile(path, fd, owner)
            if not break_stale(path, mailbox, host=host, timeout=timeout, now=clock.time()):
                break
    raise Refused(f"failed to lock mailbox {mailbox} (lock file)", ERRNO_LOCKFAILED)


def _hitching_name(path: str, host: str, clock: Clock) -> str:
    return f"{path}.{host}.{int(clock.time()):08x}.{os.getpid():08x}"


def _cannot(path: str, host: str, clock: Clock, error: OSError) -> Refused:
    name = _hitching_name(path, host, clock)
    return Refused(f"creating lock file hitching post {name} (euid={os.geteuid()} egid={os.getegid()})",
                   error.errno or errno.EIO)


def _link_new(path: str, owner: str, host: str, mode: int, clock: Clock) -> int:
    """Link a new file to the lock's name: its descriptor, or -1 where the name is taken."""
    content = f"{owner}\n".encode("latin-1")
    fd = -1
    try:
        fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
        os.fchmod(fd, mode)
        os.write(fd, content)
        link_open_file(fd, path)
        return fd
    except FileExistsError:
        os.close(fd)
        return -1
    except OSError as e:
        if fd >= 0:
            os.close(fd)
        if e.errno not in _NO_TMPFILE:
            raise _cannot(path, host, clock, e) from None
    return _link_hitching_post(path, content, host, mode, clock)


def _link_hitching_post(path: str, content: bytes, host: str, mode: int, clock: Clock) -> int:
    name = _hitching_name(path, host, clock)
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as e:
        raise _cannot(path, host, clock, e) from None
    try:
        os.write(fd, content)
        try:
            os.link(name, path)
            return fd
        except OSError:
            # Over NFS the link may have been made and the answer lost.
            if os.fstat(fd).st_nlink == 2:
                return fd
        os.close(fd)
        return -1
    except OSError as e:
        os.close(fd)
        raise _cannot(path, host, clock, e) from None
    finally:
        os.unlink(name)


def break_stale(path: str, mailbox: str, *, host: str, timeout: int, now: float) -> bool:
    """Remove a lock file whose owner is dead or that is older than lockfile_timeout; tell whether to try again.

    Whoever breaks one holds flock on it meanwhile, so that two do not break each other's successors.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        fd = -1
    try:
        st = os.fstat(fd) if fd >= 0 else os.lstat(path)
        content = b""
        if fd >= 0:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            seen = os.lstat(path)
            if (seen.st_ino, seen.st_dev) != (st.st_ino, st.st_dev):
                return True
            content = os.pread(fd, 512, 0)
        note = _parse(content, host)
        if note is not None and _is_dead(note):
            _cut(mailbox, note)
        elif now - st.st_ctime < timeout:
            return False
        os.unlink(path)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        if fd >= 0:
            os.close(fd)


def _parse(content: bytes, host: str) -> list[str] | None:
    """Return the words of a lock file of ours on this host: pid, start, host, boot, inode, start, end."""
    fields = content.decode("latin-1").partition("\n")[0].split(" ")
    fields = [f for f in fields if f]
    if len(fields) not in (4, 7) or fields[2] != host or not (fields[0].isascii() and fields[0].isdigit()):
        return None
    return fields


def _is_dead(note: list[str]) -> bool:
    boot = _boot()
    if boot and note[3] != "-" and boot != note[3]:
        return True
    if int(note[0]) == os.getpid():
        return True  # what this process could not remove: it has one mailbox at a time
    started = process_start(int(note[0]))
    return started is None or (started != "" and note[1] != "-" and started != note[1])


def _cut(mailbox: str, note: list[str]) -> None:
    """Take away the half message that a dead process left at the end of a mailbox."""
    if len(note) != 7:
        return
    inode, start, end = (int(x) for x in note[4:])
    fd = os.open(mailbox, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        st = os.fstat(fd)
        if st.st_ino == inode and start < st.st_size and (end == UNKNOWN_END or st.st_size < end):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, start)
            os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Interrupt a blocking call after a time; the process of a local delivery has no other use of SIGALRM."""
    def ring(_number: int, _frame: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def lock_open_file(fd: int, *, use_fcntl: bool, fcntl_timeout: int, use_flock: bool, flock_timeout: int,
                   shared: bool = False) -> bool:
    """Lock an open file with fcntl and/or flock, exclusively or not; False where another process has it."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    steps: list[tuple[Callable[[int, int], None], int]] = []
    if use_fcntl:
        steps.append((fcntl.lockf, fcntl_timeout))
    if use_flock:
        steps.append((fcntl.flock, flock_timeout))
    try:
        for lock, timeout in steps:
            if timeout > 0:
                with _alarm(timeout):
                    lock(fd, kind)
            else:
                lock(fd, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError, TimeoutError):
        return False
    return True
