"""A message being received: its -D file is made and locked first, its -H file makes it exist.

Spec: chapter "How Exim receives and delivers mail".  The order of the system calls is what makes "250"
a promise: data synced, header written under a temporary name and synced, renamed, directory synced.
"""

from __future__ import annotations

import contextlib
import os

from pyexim.model.message import Message
from pyexim.spool.header_write import format_header_file
from pyexim.spool.locks import unlock, wait_lock
from pyexim.spool.names import (
    SpoolSettings,
    check_id,
    directory_for,
    open_new,
    places,
    sync_directory,
    write_all,
)

_BUFFER = 256 * 1024


class NewMessage:
    """A message being received: its data file, open and locked.

    ``write`` collects; ``commit`` makes it exist; ``abort`` removes every trace.  A crash at any step
    leaves the whole message or none (an orphan -D file at most, which ``remove_orphans`` takes away).
    ``size`` counts the octets of the body so far; ``data_path`` and ``data_start`` are what the Message
    needs for $message_body, once ``flush`` has been called.
    """

    __slots__ = ("_buffer", "_buffered", "_committed", "_directory", "_settings", "data_fd", "data_path", "data_start",
                 "message_id", "size")

    def __init__(self, settings: SpoolSettings, message_id: str, directory: str, data_fd: int) -> None:
        self._settings = settings
        self._directory = directory
        self._buffer: list[bytes] = [b"%b-D\n" % message_id.encode("ascii")]
        self._buffered = 0
        self._committed = False
        self.message_id = message_id
        self.data_fd = data_fd
        self.data_path = f"{directory}/{message_id}-D"
        self.data_start = len(message_id) + 3
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append body octets (LF line ends, or CRLF with spool_wireformat); OSError where the disk fails."""
        self._buffer.append(data)
        self.size += len(data)
        self._buffered += len(data)
        if self._buffered > _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand what was collected to the system, so that the file can be read."""
        if self._buffer:
            data = b"".join(self._buffer)
            self._buffer.clear()
            self._buffered = 0
            write_all(self.data_fd, data)

    def commit(self, message: Message) -> None:
        """Sync the data file, write and sync the header file, rename it into place, sync the directory.

        When this returns the message is safe.  Raises OSError; then nothing remains but what
        ``abort`` removes.  The lock is kept until ``close``, so that no queue runner takes the
        message before its receiver has logged it.  SpoolError where an address cannot be written.
        """
        self.flush()
        if self._settings.fsync:
            os.fsync(self.data_fd)
        header = format_header_file(message, self._settings.primary_hostname)
        write_header(self._settings, self._directory, self.message_id, header)
        self._committed = True

    def write_message_log(self, text: str) -> None:
        """Begin the message's own log (not synced: losing it loses no mail); OSError."""
        settings = self._settings
        directory = directory_for(settings, places(settings, self.message_id)[0], "msglog")
        fd = open_new(settings, f"{directory}/{self.message_id}", os.O_WRONLY | os.O_APPEND)
        try:
            write_all(fd, text.encode("latin-1", "replace"))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give up the lock; the message may now be delivered."""
        if self.data_fd >= 0:
            fd, self.data_fd = self.data_fd, -1
            try:
                unlock(fd)
            finally:
                os.close(fd)

    def left_to_another(self) -> None:
        """Another process, forked from this one, goes on with the message: only forget the descriptor."""
        if self.data_fd >= 0:
            fd, self.data_fd = self.data_fd, -1
            os.close(fd)  # no unlock: the lock is that of the open file, which is the other's now

    def taken_over(self) -> None:
        """This process goes on with a message that the one it was forked from began: see to the lock; OSError."""
        if self.data_fd >= 0:
            wait_lock(self.data_fd)

    def abort(self) -> None:
        """Remove the files of a message that is not accepted; never called once ``commit`` has succeeded."""
        if self._committed:
            raise RuntimeError("abort of a message that has been committed")
        for name in (f"{self.message_id}-H", f"hdr.{self.message_id}", f"{self.message_id}-D"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self._directory}/{name}")
        self.close()


def create(settings: SpoolSettings, message_id: str) -> NewMessage:
    """Create and lock the data file of a new message, making directories as needed; OSError."""
    check_id(message_id)
    directory = directory_for(settings, places(settings, message_id)[0])
    fd = open_new(settings, f"{directory}/{message_id}-D", os.O_RDWR | os.O_EXCL)
    try:
        wait_lock(fd)
    except OSError:
        os.unlink(f"{directory}/{message_id}-D")
        os.close(fd)
        raise
    return NewMessage(settings, message_id, directory, fd)


def write_header(settings: SpoolSettings, directory: str, message_id: str, content: bytes) -> None:
    """Put a -H file into place, atomically and synced; OSError, then the previous one is still there.

    The caller holds the lock of the message, so that a temporary file that is in the way is stale.
    """
    temporary = f"{directory}/hdr.{message_id}"
    final = f"{directory}/{message_id}-H"
    fd = open_new(settings, temporary, os.O_WRONLY | os.O_TRUNC)
    try:
        try:
            write_all(fd, content)
            if settings.fsync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, final)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if settings.fsync:
        sync_directory(directory)
