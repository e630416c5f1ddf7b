"""Where the files of a message are: directories, split spool, named queues.

Spec: chapters "Format of spool files" and "How Exim receives and delivers mail", options
``split_spool_directory`` and ``spool_directory``.  With a split spool the subdirectory is the sixth
character of the id (the one that changes fastest), whatever the id's length.  Files are looked for in
the split and in the unsplit place, so the option can be changed while messages are queued.
"""

from __future__ import annotations

import contextlib
import os

from pyexim.base.directories import make_directories
from pyexim.base.errors import SpoolError
from pyexim.base.messageid import is_message_id
from pyexim.base.record import dataclass
from pyexim.settings import SPOOL_DIRECTORY_MODE

FILE_MODE = 0o640


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """What the spool needs to know of the configuration."""

    directory: str
    split: bool = False
    uid: int = -1
    """Owner and group of new files; -1 leaves them to the process."""
    gid: int = -1
    message_logs: bool = True
    fsync: bool = True
    queue_name: str = ""
    primary_hostname: str = ""
    """The -active_hostname line is left out for this name."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message found by scanning: where it is, without having read it."""

    message_id: str
    queue_name: str
    subdirectory: str
    """"" or the letter of a split spool."""


def queue_directory(settings: SpoolSettings, kind: str = "input") -> str:
    """Return the directory of a queue's ``input`` or ``msglog``."""
    if settings.queue_name:
        return f"{settings.directory}/{settings.queue_name}/{kind}"
    return f"{settings.directory}/{kind}"


def directory_for(settings: SpoolSettings, subdirectory: str, kind: str = "input") -> str:
    """Return the directory of a message whose place is known."""
    base = queue_directory(settings, kind)
    return f"{base}/{subdirectory}" if subdirectory else base


def places(settings: SpoolSettings, message_id: str) -> tuple[str, str]:
    """Return the subdirectories to look in, the one for new messages first."""
    return (message_id[5], "") if settings.split else ("", message_id[5])


def check_id(message_id: str) -> None:
    """Raise SpoolError unless the text is a message id, which alone may become a file name."""
    if not is_message_id(message_id):
        raise SpoolError(f"{message_id!r} is not a message id", 22)


def make_directory(settings: SpoolSettings, path: str) -> None:
    """Make a directory of the spool with those above it that are missing; owner as configured."""
    for made in make_directories(path, SPOOL_DIRECTORY_MODE, settings.uid, settings.gid):
        if settings.fsync:
            with contextlib.suppress(PermissionError):  # above the spool directory others rule
                sync_directory(os.path.dirname(made))


def own(settings: SpoolSettings, target: str | int) -> None:
    """Give a new file or directory to the configured owner, where this process is another user."""
    if settings.uid >= 0 and os.geteuid() == 0 and settings.uid != 0:
        os.chown(target, settings.uid, settings.gid)


def open_new(settings: SpoolSettings, path: str, flags: int) -> int:
    """Open a file for creation with the configured owner and mode, making its directory if need be."""
    try:
        fd = os.open(path, flags | os.O_CREAT, FILE_MODE)
    except FileNotFoundError:
        make_directory(settings, os.path.dirname(path))
        fd = os.open(path, flags | os.O_CREAT, FILE_MODE)
    try:
        own(settings, fd)
    except OSError:
        os.close(fd)
        if flags & os.O_EXCL:
            os.unlink(path)
        raise
    return fd


def write_all(fd: int, data: bytes) -> None:
    """Write all octets; OSError where the disk does not take them."""
    written = os.write(fd, data)
    if written != len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(fd, view[written:])


def append_line(fd: int, line: bytes, *, sync: bool) -> None:
    """Append a line to a file (a journal) and make it safe; what fails is tried once more, then OSError.

    The second try goes on where the first one stopped: no part of the line is written twice.
    """
    second = False
    while line:
        try:
            line = line[os.write(fd, line):]
        except OSError:
            if second:
                raise
            second = True
    if not sync:
        return
    try:
        os.fsync(fd)
    except OSError:
        os.fsync(fd)


def sync_directory(path: str) -> None:
    """Make the names in a directory safe against a power failure."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
