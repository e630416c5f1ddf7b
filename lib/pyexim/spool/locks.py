"""The lock of a message: a write lock by fcntl on its -D file.

Exim takes a classic POSIX lock.  That kind is lost as soon as the process closes *any* descriptor of
the file, for instance after reading ``$message_body``, and it is not kept by a child.  Where the system
has them, locks of the open file description are taken instead: they conflict with the classic ones
(so a real Exim respects them and is respected), and last until ``unlock`` or until the last copy of the
descriptor is closed, so that a message stays locked while a delivery child is still writing.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import sys

_OFD = sys.platform == "linux" and sys.maxsize > 2**32 and hasattr(fcntl, "F_OFD_SETLK")
# struct flock: type, whence, start, length (0: to the end), pid (must be 0)
_WRITE = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
_FREE = struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 0, 0, 0)


def try_lock(fd: int) -> bool:
    """Take the lock if nobody has it; False when somebody has.  OSError where locks do not work."""
    try:
        if _OFD:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WRITE)
        else:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def wait_lock(fd: int) -> None:
    """Take the lock of a file that was just made; someone who looked for orphans may hold it a moment."""
    if _OFD:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _WRITE)
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX)


def unlock(fd: int) -> None:
    """Give the lock up, also for copies of the descriptor in other processes."""
    if _OFD:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FREE)
    else:
        fcntl.lockf(fd, fcntl.LOCK_UN)
