"""The file of a redirect router: opened as the user, checked, read.

Spec: chapter "The redirect router", options file, check_owner, check_group, modemask, ignore_eacces,
ignore_enotdir.
"""

from __future__ import annotations

import errno
import os
import stat

from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.expand.scope import Scope
from pyexim.routers.files import open_as

MAX_SIZE = 1024 * 1024


class Unusable(Exception):
    """The file cannot be used: the address is deferred with ``text``."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class FileRules:
    """What a file must be like."""

    ignore_eacces: bool = False
    ignore_enotdir: bool = False
    modemask: int = 0o22
    owners: frozenset[int] | None = None
    """User ids that may own it; None where that is not checked."""
    groups: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a file is opened as: None leaves it to this process."""

    uid: int | None = None
    gid: int | None = None
    user_name: str | None = None


def read_redirect_file(path: str, rules: FileRules, reader: Reader, scope: Scope) -> str | None:
    """Return the content of a file; None where it does not exist.  Raises Unusable."""
    if is_tainted(path):
        raise Unusable(f"Tainted name '{path}' for file read not permitted")
    if not path.startswith("/"):
        raise Unusable(f'"{path}" is not an absolute path')
    fd, number = open_as(path, scope, reader.uid, reader.gid, reader.user_name)
    if fd < 0:
        _check_absence(path, number, rules, reader)
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable(f"{path} is not a regular file")
        if status.st_mode & rules.modemask:
            raise Unusable(f"bad mode (0{status.st_mode:o}) for {path}: "
                           f"{status.st_mode & rules.modemask:03o} bit(s) unexpected")
        if rules.owners is not None and status.st_uid not in rules.owners:
            raise Unusable(f"bad owner for {path}")
        if rules.groups is not None and status.st_gid not in rules.groups:
            raise Unusable(f"bad group for {path}")
        if status.st_size > MAX_SIZE:
            raise Unusable(f"file {path} is too big (max = {MAX_SIZE})")
        return read_all(fd, path)
    finally:
        os.close(fd)


def _check_absence(path: str, number: int, rules: FileRules, reader: Reader) -> None:
    """Return where a file that could not be opened counts as one that does not exist; else Unusable."""
    if number == errno.ENOENT:
        if not rules.ignore_enotdir:
            directory = os.path.dirname(path) + "/."
            try:
                os.stat(directory)
            except OSError as e:
                if e.errno != errno.EACCES:
                    raise Unusable(f"failed to stat {directory} ({e.strerror})") from None
        return
    if number == errno.ENOTDIR and rules.ignore_enotdir:
        return
    if number == errno.EACCES and rules.ignore_eacces:
        return
    text = f"failed to open {path}: {os.strerror(number)}"
    if number == errno.EACCES:
        uid = reader.uid if reader.uid is not None else os.geteuid()
        gid = reader.gid if reader.gid is not None else os.getegid()
        text += f" (euid={uid} egid={gid})"
    raise Unusable(text)


def read_all(fd: int, path: str) -> str:
    """Return the content of an open file; Unusable where it cannot be read."""
    chunks = []
    size = 0
    try:
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_SIZE:
                raise Unusable(f"file {path} is too big (max = {MAX_SIZE})")
    except OSError as e:
        raise Unusable(f"error while reading {path}: {e.strerror}") from None
    return b"".join(chunks).decode("latin-1")
