"""Where a file may be created, its missing directories, and what makes names safe.

Spec: option create_file of appendfile.
"""

from __future__ import annotations

import functools
import os
import stat

from pyexim.base.taint import is_tainted, untaint
from pyexim.transports.base import DEFER


class Refused(Exception):
    """The delivery cannot be made now (or, with another status, at all)."""

    def __init__(self, text: str, errno: int = 0, *, status: str = DEFER, freeze: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno
        self.status = status
        self.freeze = freeze


def may_create(path: str, create_file: str | None, home: str | None) -> bool:
    """Tell whether create_file lets a file or directory be created at a path."""
    if create_file is None or create_file == "anywhere":
        return True
    top = home if create_file in ("inhome", "belowhome") else create_file
    if top is None:
        return True  # no home directory is known, so that nothing is outside
    if not top:
        return False
    top = top.rstrip("/")
    if not path.startswith(top + "/"):
        return False
    if create_file == "inhome":
        return True
    rest = path[len(top) + 1:]
    if "../" in rest + "/":
        return False
    # A symbolic link below the top directory must not lead outside.
    existing = os.path.dirname(path)
    while not os.path.lexists(existing) and len(existing) > len(top):
        existing = os.path.dirname(existing)
    real_top = os.path.realpath(top)
    real = os.path.realpath(existing)
    return real == real_top or real.startswith(real_top + "/")


def detaint(path: str, create_file: str | None, home: str | None) -> str:
    """Return the path without its taint where create_file confirms it, else as it is."""
    if is_tainted(path) and create_file not in (None, "anywhere", "inhome") and may_create(path, create_file, home):
        return untaint(path)
    return path


def make_directories(path: str, mode: int) -> None:
    """Make a directory and those above it that are missing, each with the mode; OSError.

    A file where a directory should be is left for the caller to stumble over.
    """
    missing = []
    while path not in ("", "/") and not _is_there(path):
        missing.append(path)
        path = os.path.dirname(path)
    for name in reversed(missing):
        try:
            os.mkdir(name, mode)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name).st_mode):
                raise
            continue
        os.chmod(name, mode)


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


def sync_directory(path: str) -> None:
    """Make the names in a directory safe; a file system that cannot sync directories is taken as it is."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@functools.cache
def syncs_in_order(device: int) -> bool:
    """Tell whether a sync on a file system (its st_dev) makes safe all that happened to names on it before.

    True of ext3, ext4 and XFS, which write one log in the order of events: a name is on disk when a file that
    was changed later and synced is, so that one sync settles both or, after a power failure, neither.  Not true of
    ext4 without its journal and of btrfs; whatever cannot be told apart is taken for one of these.
    """
    try:
        name = os.path.basename(os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
    except OSError:
        return False
    if os.path.isdir(f"/sys/fs/xfs/{name}"):
        return True
    try:
        logs = os.listdir("/proc/fs/jbd2")
    except OSError:
        return False
    # The number is the inode of the journal; a partition's own name never ends in a hyphen and digits.
    return any(log.startswith(f"{name}-") and log[len(name) + 1:].isdecimal() for log in logs)


def link_open_file(fd: int, path: str) -> None:
    """Give an open file (unnamed, O_TMPFILE) a name; OSError.

    A directory descriptor is given only because Python otherwise calls link(), which would link the
    symbolic link in /proc instead of the file; the path is absolute, so it is not looked at.
    """
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
