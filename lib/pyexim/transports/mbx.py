"""MBX mailboxes, as the c-client library and the programs on top of it know them.

The file begins with 2048 octets of header; a line with date, length and flags stands before each message, whose
lines end in CRLF.  Readers keep a shared lock on the mailbox all the time; who changes it locks a file under /tmp,
named after device and inode of the mailbox, exclusively.

Spec: chapter "The appendfile transport", options mbx_format and use_mbx_lock; the octets as Exim writes them.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pyexim.transports.locking import ERRNO_LOCKFAILED, lock_open_file
from pyexim.transports.paths import Refused

_HEADER_SIZE: Final = 2048
_KEYWORDS: Final = 30
"""Lines for the names of keywords, all of them empty in a new mailbox."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CHUNK: Final = 65536


def file_header(now: float) -> bytes:
    """Return what a new mailbox begins with; the time is its validity value for unique identifiers."""
    return (b"*mbx*\r\n%08x%08x\r\n" % (int(now), 0) + b"\r\n" * _KEYWORDS).ljust(_HEADER_SIZE, b"\0")


def message_line(now: float, size: int) -> bytes:
    """Return the line before a message of ``size`` octets that nobody has seen yet."""
    t = time.localtime(now)
    offset = t.tm_gmtoff // 60
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}{abs(offset) % 60:02d}"
    date = f"{t.tm_mday:2d}-{_MONTHS[t.tm_mon - 1]}-{t.tm_year:04d} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
    return f"{date} {zone},{size};{0:012x}-{0:08x}\r\n".encode("ascii")


def measured(pieces: Iterable[bytes], now: float) -> tuple[Iterator[bytes], int]:
    """Return (the pieces of a message after its line, their length): they are written aside to be counted."""
    aside = tempfile.TemporaryFile(buffering=0)
    size = 0
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[aside.write(view) or 0:]
        size += len(piece)
    line = message_line(now, size)
    aside.seek(0)

    def again() -> Iterator[bytes]:
        yield line
        with aside:
            while chunk := aside.read(_CHUNK):
                yield chunk

    return again(), len(line) + size


class MbxLock:
    """The lock file under /tmp of an open mailbox."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    def release(self, mailbox_fd: int, options: Any) -> None:
        """Give the lock up; the file goes if nobody else has the mailbox open.  Never fails."""
        with contextlib.suppress(OSError):
            if lock_open_file(mailbox_fd, use_fcntl=options.use_fcntl_lock, fcntl_timeout=0,
                              use_flock=options.use_flock_lock, flock_timeout=0):
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            os.close(self.fd)


def take_lock(mailbox_fd: int, options: Any) -> MbxLock | None:
    """Lock the file that stands for an open mailbox; None while another process has it, Refused where it is a trap."""
    st = os.fstat(mailbox_fd)
    path = f"/tmp/.{st.st_dev:x}.{st.st_ino:x}"  # c-client's name
    if os.path.islink(path):
        raise Refused(f"symbolic link on MBX lock file {path}", ERRNO_LOCKFAILED)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, options.lockfile_mode)
    except OSError as e:
        raise Refused(f"failed to open MBX lock file {path} :{e.strerror}", ERRNO_LOCKFAILED) from None
    try:
        with contextlib.suppress(OSError):  # the file of another user of the mailbox
            os.fchmod(fd, options.lockfile_mode)
        locked = lock_open_file(fd, use_fcntl=options.use_fcntl_lock, fcntl_timeout=options.lock_fcntl_timeout,
                                use_flock=options.use_flock_lock, flock_timeout=options.lock_flock_timeout)
        if locked and _is_ours(path, fd):
            return MbxLock(path, fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _is_ours(path: str, fd: int) -> bool:
    """Tell whether a name still leads to the open file: its last user may have removed it before we had the lock."""
    have = os.fstat(fd)
    try:
        now = os.lstat(path)
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(now.st_mode):
        raise Refused(f"symbolic link on MBX lock file {path}", ERRNO_LOCKFAILED)
    if have.st_nlink > 1:
        raise Refused(f"hard link to MBX lock file {path}", ERRNO_LOCKFAILED)
    return (now.st_ino, now.st_dev) == (have.st_ino, have.st_dev)
