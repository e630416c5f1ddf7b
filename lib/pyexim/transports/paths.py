"""Where a file may be created, and its missing directories.  Spec: option create_file of appendfile."""

from __future__ import annotations

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
    """Make a directory and those above it that are missing, each with the mode; OSError."""
    missing = []
    while path not in ("", "/") and not os.path.isdir(path):
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


def sync_directory(path: str) -> None:
    """Make the names in a directory safe; a file system that cannot sync directories is taken as it is."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def link_open_file(fd: int, path: str) -> None:
    """Give an open file (unnamed, O_TMPFILE) a name; OSError.

    A directory descriptor is given only because Python otherwise calls link(), which would link the
    symbolic link in /proc instead of the file; the path is absolute, so it is not looked at.
    """
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
