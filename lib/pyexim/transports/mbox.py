"""Append a message to a single file.

The file is checked before and after opening, locked, and written: a small message with one call, so that
a process that is killed leaves no half of it; a large one in pieces, with the lock file telling where it
began.  It is synced before the delivery counts.  After a failure the file gets its old length back.

Spec: chapter "The appendfile transport", section "Operational details for appending".
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.clock import Clock
from pyexim.base.record import dataclass
from pyexim.transports.locking import ERRNO_LOCKFAILED, UNKNOWN_END, LockFile, lock_open_file, take_lockfile
from pyexim.transports.paths import Refused, make_directories, may_create, sync_directory

if TYPE_CHECKING:
    from pyexim.transports.mbx import MbxLock

ERRNO_SYMLINK: Final = -3
ERRNO_NOTREGULAR: Final = -4
ERRNO_BADUGID: Final = -6
ERRNO_BADMODE: Final = -7
ERRNO_INODECHANGED: Final = -8
ERRNO_BADCREATE: Final = -34
ERRNO_EXISTRACE: Final = -18 - 9


@dataclass(slots=True)
class Mailbox:
    """An open and locked mailbox."""

    path: str
    fd: int
    lock: LockFile | None
    size: int
    """Length before the message."""
    is_file: bool = True
    """Not a named pipe."""
    locked_open: bool = False
    """The open file is locked too, so that the lock file may go first."""
    mbx_lock: MbxLock | None = None
    options: Any = None

    def unlock(self) -> None:
        """Remove the lock file while the open file keeps its own lock.

        So the sync of the mailbox takes the removal along: a lock file can outlive its owner only
        together with a message that is not yet in the mailbox, whose next delivery breaks it.
        """
        if self.lock is not None and self.locked_open:
            self.lock.release()
            self.lock = None

    def close(self) -> None:
        """Give up the locks, the file's first; never fails: what was delivered is synced by now."""
        if self.mbx_lock is not None:
            self.mbx_lock.release(self.fd, self.options)
        with contextlib.suppress(OSError):
            os.close(self.fd)
        if self.lock is not None:
            self.lock.release()


def open_mailbox(path: str, options: Any, *, mode: int, host: str, home: str | None, clock: Clock) -> Mailbox:
    """Check, open (or create) and lock a mailbox; Refused says why not."""
    if options.create_directory and options.create_file != "inhome" and may_create(path, options.create_file, home):
        try:
            make_directories(os.path.dirname(path), options.directory_mode)
        except OSError as e:
            raise Refused(f"failed to create directories for {path}: {e.strerror}", e.errno or errno.EIO) from None
    lock = None
    if options.use_lockfile:
        lock = take_lockfile(path, host=host, mode=options.lockfile_mode, timeout=options.lockfile_timeout,
                             retries=options.lock_retries, interval=options.lock_interval, clock=clock)
    try:
        fd, mbx_lock = _open_locked(path, options, mode, home, clock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    st = os.fstat(fd)
    is_file = stat.S_ISREG(st.st_mode)
    return Mailbox(path, fd, lock, st.st_size, is_file, is_file and bool(options.use_fcntl_lock),
                   mbx_lock, options)


def _tries(options: Any) -> int:
    """How often the open file is to be locked: fewer times when each try waits by itself."""
    tries: int = max(options.lock_retries, 1)
    timeout = max(options.lock_fcntl_timeout, options.lock_flock_timeout)
    if timeout > 0:
        tries = max((tries * options.lock_interval + timeout - 1) // timeout, 1)
    return tries


def _open_locked(path: str, options: Any, mode: int, home: str | None, clock: Clock,
                 ) -> tuple[int, MbxLock | None]:
    blocking = options.lock_fcntl_timeout > 0 or options.lock_flock_timeout > 0
    for attempt in range(_tries(options)):
        if attempt and not blocking:
            clock.sleep(options.lock_interval)
        fd = _open_checked(path, options, mode, home)
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                return fd, None
            if lock_open_file(fd, use_fcntl=options.use_fcntl_lock, fcntl_timeout=options.lock_fcntl_timeout,
                              use_flock=options.use_flock_lock, flock_timeout=options.lock_flock_timeout,
                              shared=options.use_mbx_lock):
                if not options.use_mbx_lock:
                    return fd, None
                from pyexim.transports.mbx import take_lock  # rarely used

                mbx_lock = take_lock(fd, options)
                if mbx_lock is not None:
                    return fd, mbx_lock
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise Refused(f"failed to lock mailbox {path} (fcntl/flock)", ERRNO_LOCKFAILED)


def _open_checked(path: str, options: Any, mode: int, home: str | None) -> int:
    for _ in range(10):
        try:
            before = os.lstat(path)
        except FileNotFoundError:
            before = None
        except OSError as e:
            raise Refused(f"attempting to stat mailbox {path}", e.errno or errno.EIO) from None
        through_link = False
        if before is not None and stat.S_ISLNK(before.st_mode):
            before = _follow(path, before, options)
            through_link = True
        if before is None:
            fd = _create(path, options, mode, home, through_link)
        else:
            _check(path, before, options, mode)
            fd = _reopen(path, before, options, through_link)
        if fd >= 0:
            return fd
    raise Refused(f"mailbox {path}: existence unclear", ERRNO_EXISTRACE, freeze=True)


def _follow(path: str, link: os.stat_result, options: Any) -> os.stat_result | None:
    if options.check_owner and link.st_uid != os.geteuid():
        raise Refused(f"mailbox {path} (symlink) has wrong uid ({link.st_uid} != {os.geteuid()})", ERRNO_BADUGID)
    if options.check_group and link.st_gid != os.getegid():
        raise Refused(f"mailbox {path} (symlink) has wrong gid ({link.st_gid} != {os.getegid()})", ERRNO_BADUGID)
    if not options.allow_symlink:
        raise Refused(f"mailbox {path} is a symlink", ERRNO_SYMLINK)
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise Refused(f"attempting to stat mailbox {path}", e.errno or errno.EIO) from None


def _check(path: str, st: os.stat_result, options: Any, mode: int) -> None:
    """Refuse a file that is not what the options want; reduce too generous permissions."""
    if options.check_owner and st.st_uid != os.geteuid():
        raise Refused(f"mailbox {path} has wrong uid ({st.st_uid} != {os.geteuid()})", ERRNO_BADUGID)
    if options.check_group and st.st_gid != os.getegid():
        raise Refused(f"mailbox {path} has wrong gid ({st.st_gid} != {os.getegid()})", ERRNO_BADUGID)
    if st.st_nlink != 1:
        raise Refused(f"mailbox {path} has too many links ({st.st_nlink})", ERRNO_NOTREGULAR)
    fifo = stat.S_ISFIFO(st.st_mode)
    if not stat.S_ISREG(st.st_mode) and not (fifo and options.allow_fifo):
        raise Refused(f"mailbox {path} is not a regular file{' or named pipe' if options.allow_fifo else ''}",
                      ERRNO_NOTREGULAR)
    have = stat.S_IMODE(st.st_mode)
    if have == mode:
        return
    if have & mode != mode:
        if options.mode_fail_narrower:
            raise Refused(f"mailbox {path} has the wrong mode {have:o} ({mode:o} expected)", ERRNO_BADMODE)
    else:
        try:
            os.chmod(path, mode)
        except OSError as e:
            raise Refused(f"attempting to chmod mailbox {path}", e.errno or errno.EIO) from None


def _reopen(path: str, before: os.stat_result, options: Any, through_link: bool) -> int:
    """Open an existing file and see that it is still the same; -1 where it has vanished."""
    fifo = stat.S_ISFIFO(before.st_mode)
    flags = (os.O_WRONLY | os.O_NONBLOCK if fifo else os.O_RDWR | os.O_APPEND) | os.O_CLOEXEC
    try:
        fd = os.open(path, flags if through_link else flags | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1
    except OSError as e:
        text = f"while opening named pipe {path} (could mean no process is reading it)" if fifo \
            else f"while opening mailbox {path}"
        raise Refused(text, e.errno or errno.EIO) from None
    after = os.fstat(fd)
    if (after.st_ino, after.st_dev) != (before.st_ino, before.st_dev):
        os.close(fd)
        raise Refused(f"opened mailbox {path} inode number changed from {before.st_ino} to {after.st_ino}",
                      ERRNO_INODECHANGED, freeze=True)
    if stat.S_IFMT(after.st_mode) != stat.S_IFMT(before.st_mode) or \
            (options.check_owner and after.st_uid != os.geteuid()) or \
            (options.check_group and after.st_gid != os.getegid()):
        os.close(fd)
        raise Refused(f"opened mailbox {path}: its type or owner has changed", ERRNO_BADUGID, freeze=True)
    if fifo:
        os.set_blocking(fd, True)
    return fd


def _create(path: str, options: Any, mode: int, home: str | None, through_link: bool) -> int:
    """Create the file: its descriptor, or -1 where it exists now."""
    if options.file_must_exist:
        raise Refused(f"mailbox {path} does not exist, but file_must_exist is set", errno.ENOENT)
    if not may_create(path, options.create_file, home):
        raise Refused(f"mailbox {path} does not exist, but creation outside the home directory is not permitted",
                      ERRNO_BADCREATE)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(path, flags if through_link else flags | os.O_EXCL, mode)
    except FileExistsError:
        return -1
    except OSError as e:
        raise Refused(f"while creating mailbox {path}", e.errno or errno.EIO) from None
    os.fchmod(fd, mode)
    return fd


def append(box: Mailbox, whole: bytes | None, pieces: Iterable[bytes], created_in: str) -> int:
    """Write the message and make it safe; the octets written.  Raises OSError with the file as it was."""
    if not box.is_file:
        return _to_fifo(box.fd, whole, pieces)
    written = 0
    try:
        if whole is not None:
            if box.lock is not None:
                box.lock.note(os.fstat(box.fd).st_ino, box.size, box.size + len(whole))
            written = os.write(box.fd, whole)
            while written < len(whole):
                written += os.write(box.fd, whole[written:])
        else:
            inode = os.fstat(box.fd).st_ino
            if box.lock is not None:
                box.lock.note(inode, box.size, UNKNOWN_END)
            for piece in pieces:
                done = os.write(box.fd, piece)
                while done < len(piece):
                    done += os.write(box.fd, piece[done:])
                written += done
            if box.lock is not None:
                # Synced: the record must not be older than the journal entry that follows.
                box.lock.note(inode, box.size, box.size + written, sync=True)
        box.unlock()
        os.fsync(box.fd)
        if box.size == 0:
            sync_directory(created_in)
        return written
    except BaseException:
        take_back(box, written)
        raise


def take_back(box: Mailbox, written: int) -> bool:
    """Give the mailbox its old length back; False where that cannot be done, so that the message stays; OSError."""
    # Once the lock file is gone, someone who locks by lock files only may have appended.
    if not box.is_file or (box.lock is None and os.fstat(box.fd).st_size > box.size + written):
        return False
    os.ftruncate(box.fd, box.size)
    return True


def _to_fifo(fd: int, whole: bytes | None, pieces: Iterable[bytes]) -> int:
    written = 0
    for piece in [whole] if whole is not None else pieces:
        done = 0
        while done < len(piece):
            done += os.write(fd, piece[done:])
        written += done
    return written
