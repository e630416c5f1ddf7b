"""A queued message in the hands of the process that works on it: locked, read, journalled, rewritten, removed.

Spec: chapters "Format of spool files" (journal) and "How Exim receives and delivers mail" (message log).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from pyexim.base.errors import SpoolError
from pyexim.model.message import Message
from pyexim.spool.header_read import parse_header_file
from pyexim.spool.header_write import format_header_file
from pyexim.spool.incoming import write_header
from pyexim.spool.locks import try_lock, unlock
from pyexim.spool.names import (
    SpoolSettings,
    append_line,
    check_id,
    directory_for,
    make_directory,
    open_new,
    places,
    sync_directory,
    write_all,
)

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class LockedMessage:
    """A queued message, locked by this process, with its header file read."""

    __slots__ = ("_directory", "_journal_fd", "_msglog_fd", "_settings", "_subdirectory", "data_fd", "message")

    def __init__(self, settings: SpoolSettings, subdirectory: str, data_fd: int, message: Message) -> None:
        self._settings = settings
        self._subdirectory = subdirectory
        self._directory = directory_for(settings, subdirectory)
        self._journal_fd = -1
        self._msglog_fd = -1
        self.data_fd = data_fd
        self.message = message

    def _path(self, suffix: str) -> str:
        return f"{self._directory}/{self.message.message_id}{suffix}"

    def msglog_path(self) -> str:
        """Return the name of the message log."""
        return f"{directory_for(self._settings, self._subdirectory, 'msglog')}/{self.message.message_id}"

    def rewrite_header(self) -> None:
        """Replace the header file by what ``message`` now says, atomically and synced, unless it says that already."""
        content = format_header_file(self.message, self._settings.primary_hostname)
        with contextlib.suppress(OSError), open(self._path("-H"), "rb") as f:
            if f.read() == content:
                return
        write_header(self._settings, self._directory, self.message.message_id, content)

    def journal(self, *uniques: str) -> None:
        """Record at once that the deliveries to these addresses (their ``unique`` form) are complete; OSError."""
        append_line(self.journal_fd(), journal_lines(uniques), sync=self._settings.fsync)

    def journalled(self) -> set[str]:
        """Return what the journal says by now: deliveries of this attempt, also those of other processes."""
        if self._journal_fd < 0:
            return set()
        for again in (True, False):
            try:
                return read_journal(self._directory, self.message.message_id)
            except SpoolError:
                if not again:
                    break
        return set()

    def journal_fd(self) -> int:
        """Return the descriptor of the journal, opened for appending, to be passed to a delivery process."""
        if self._journal_fd < 0:
            fd = open_new(self._settings, self._path("-J"), os.O_RDWR | os.O_APPEND | _NOFOLLOW)
            if size := os.fstat(fd).st_size:
                # What a crash has left: an entry that was cut off must not run into the next one.
                whole = os.pread(fd, size, 0).rfind(b"\n") + 1
                if whole < size:
                    os.ftruncate(fd, whole)
            self._journal_fd = fd
        return self._journal_fd

    def check_journal(self, *, probe: bool = False) -> None:
        """See that the journal can take entries; OSError where it cannot.

        Written is only when ``probe`` says so or the file system has no block left: an empty line, which is no entry.
        """
        fd = self.journal_fd()
        if probe or os.fstatvfs(fd).f_bavail == 0:
            append_line(fd, b"\n", sync=self._settings.fsync)

    def msglog(self, text: str) -> None:
        """Append a line (time stamp added by the caller) to the message log, if message_logs is set.

        A message log that cannot be written stops nothing; OSError is for the caller to log.
        """
        if not self._settings.message_logs:
            return
        if self._msglog_fd < 0:
            self._msglog_fd = open_new(self._settings, self.msglog_path(), os.O_WRONLY | os.O_APPEND | _NOFOLLOW)
        line = text if text.endswith("\n") else text + "\n"
        write_all(self._msglog_fd, line.encode("latin-1"))

    def remove(self, *, keep_message_log: bool = False) -> None:
        """Remove the message: the -H file first (it is gone from then on), then the rest.

        With ``keep_message_log`` (preserve_message_logs) the log moves to ``msglog.OLD``.
        The -D file goes last: as long as it is there the lock is, and an interrupted removal can be
        completed by ``remove_orphans``.  OSError where the -H file cannot be removed; the rest is left
        to the next removal of orphans.
        """
        _unlink(self._path("-H"))
        with contextlib.suppress(OSError):
            _unlink(self._path("-J"))
        if self._settings.message_logs:
            with contextlib.suppress(OSError):
                if keep_message_log:
                    self._keep_message_log()
                else:
                    _unlink(self.msglog_path())
        with contextlib.suppress(OSError):
            _unlink(self._path("-D"))

    def move_frozen(self) -> None:
        """Move the message out of the queue, to Finput and Fmsglog (move_frozen_messages); OSError.

        Both names of a file are there for a moment, so that a crash loses none.
        """
        settings, message_id = self._settings, self.message.message_id
        target = directory_for(settings, self._subdirectory, "Finput")
        make_directory(settings, target)
        for suffix in ("-D", "-H"):
            new = f"{target}/{message_id}{suffix}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            os.link(self._path(suffix), new)
        if settings.fsync:
            sync_directory(target)
        _unlink(self._path("-H"))
        _unlink(self._path("-D"))
        logs = directory_for(settings, self._subdirectory, "Fmsglog")
        make_directory(settings, logs)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.msglog_path(), f"{logs}/{message_id}")

    def _keep_message_log(self) -> None:
        base = self._settings.directory
        if self._settings.queue_name:
            base = f"{base}/{self._settings.queue_name}"
        target = f"{base}/msglog.OLD/{self.message.message_id}"
        try:
            os.rename(self.msglog_path(), target)
        except FileNotFoundError:
            make_directory(self._settings, os.path.dirname(target))
            os.rename(self.msglog_path(), target)

    def remove_journal(self) -> None:
        """Remove the journal after its content has gone into the header file."""
        if self._journal_fd >= 0:
            os.close(self._journal_fd)
            self._journal_fd = -1
        with contextlib.suppress(OSError):  # one that stays says nothing that is not true
            os.unlink(self._path("-J"))

    def close(self) -> None:
        """Give up the lock."""
        for fd in (self._journal_fd, self._msglog_fd):
            if fd >= 0:
                os.close(fd)
        self._journal_fd = self._msglog_fd = -1
        if self.data_fd >= 0:
            fd, self.data_fd = self.data_fd, -1
            try:
                unlock(fd)
            finally:
                os.close(fd)


def _unlink(path: str) -> None:
    """Remove a file, at the second try where the first one fails; OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        raise
    except OSError:
        os.unlink(path)


def lock(settings: SpoolSettings, message_id: str) -> LockedMessage | None:
    """Lock a message and read its header file and journal; None where another process has the lock.

    ``message.nonrecipients`` includes what the journal says.  Raises SpoolError where the message does
    not exist (errno ENOENT) or its files are malformed (errno EINVAL; the caller logs and keeps them).
    """
    check_id(message_id)
    for subdirectory in places(settings, message_id):
        directory = directory_for(settings, subdirectory)
        try:
            fd = os.open(f"{directory}/{message_id}-D", os.O_RDWR | os.O_APPEND | _NOFOLLOW)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            continue
        except OSError as e:
            raise SpoolError(f"{directory}/{message_id}-D: {e.strerror}", e.errno) from None
        try:
            if not try_lock(fd):
                os.close(fd)
                return None
            message = _read_files(settings, directory, message_id, fd)
        except SpoolError:
            os.close(fd)
            raise
        except OSError as e:
            os.close(fd)
            raise SpoolError(f"{directory}/{message_id}-D: {e.strerror}", e.errno) from None
        return LockedMessage(settings, subdirectory, fd, message)
    raise SpoolError(f"no message {message_id} on the spool", errno.ENOENT)


def read(settings: SpoolSettings, message_id: str, *, headers: bool = True) -> Message:
    """Read a message without locking it, for listings; without ``headers`` only the envelope part.

    Raises SpoolError like ``lock``.
    """
    check_id(message_id)
    for subdirectory in places(settings, message_id):
        directory = directory_for(settings, subdirectory)
        try:
            message = _read_header(directory, message_id, headers)
        except SpoolError as e:
            if e.errno == errno.ENOENT:
                continue
            raise
        message.queue_name = settings.queue_name
        _set_sizes(message, directory, _size_of(f"{directory}/{message_id}-D"))
        message.nonrecipients |= read_journal(directory, message_id)
        return message
    raise SpoolError(f"no message {message_id} on the spool", errno.ENOENT)


def _read_files(settings: SpoolSettings, directory: str, message_id: str, fd: int) -> Message:
    """Read what belongs to a locked message."""
    message = _read_header(directory, message_id, True)
    message.queue_name = settings.queue_name
    name = f"{message_id}-D\n".encode("ascii")
    if os.pread(fd, len(name), 0) != name:
        raise _error(f"{directory}/{message_id}-D", "its first line is not its name", errno.EINVAL)
    _set_sizes(message, directory, os.fstat(fd).st_size)
    message.nonrecipients |= read_journal(directory, message_id)
    return message


def _read_header(directory: str, message_id: str, headers: bool) -> Message:
    path = f"{directory}/{message_id}-H"
    try:
        data = read_file(path)
    except OSError as e:
        raise _error(path, e.strerror, e.errno) from None
    try:
        message = parse_header_file(data, headers=headers)
    except SpoolError as e:
        raise _error(path, e.text, e.errno) from None
    if message.message_id != message_id:
        raise _error(path, "its first line is not its name", errno.EINVAL)
    return message


def _error(path: str, what: str | None, number: int | None) -> SpoolError:
    return SpoolError(f"{path}: {what}", number, os.path.basename(path))


def remove_malformed(settings: SpoolSettings, message_id: str) -> bool:
    """Remove a message whose header file is malformed, with all that belongs to it; tell whether it is gone.

    It stays where another process has it, or where the header file is not malformed (any more).  OSError.
    """
    check_id(message_id)
    for subdirectory in places(settings, message_id):
        directory = directory_for(settings, subdirectory)
        try:
            fd = os.open(f"{directory}/{message_id}-D", os.O_RDWR | _NOFOLLOW)
        except OSError:
            continue
        try:
            if not try_lock(fd):
                return False
            try:
                _read_header(directory, message_id, True)
                return False
            except SpoolError as e:
                if e.errno != errno.EINVAL:
                    return False
            _unlink(f"{directory}/{message_id}-H")
            log = f"{directory_for(settings, subdirectory, 'msglog')}/{message_id}"
            for path in (f"{directory}/{message_id}-J", log, f"{directory}/{message_id}-D"):
                with contextlib.suppress(OSError):  # what stays is an orphan, and goes with the next removal of these
                    _unlink(path)
            return True
        finally:
            os.close(fd)
    return False


def read_file(path: str) -> bytes:
    """Return the content of a file of the spool; OSError."""
    fd = os.open(path, os.O_RDONLY | _NOFOLLOW)
    try:
        data = os.read(fd, 16384)
        if len(data) == 16384:
            chunks = [data]
            while chunk := os.read(fd, 1 << 20):
                chunks.append(chunk)
            data = b"".join(chunks)
    finally:
        os.close(fd)
    return data


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _set_sizes(message: Message, directory: str, data_size: int) -> None:
    message.data_path = f"{directory}/{message.message_id}-D"
    message.data_start = len(message.message_id) + 3
    message.body_size = max(0, data_size - message.data_start)
    message.message_size += message.body_size + 1
    message.message_linecount += message.body_linecount


def journal_lines(uniques: Iterable[str]) -> bytes:
    """Return the lines of a journal for these addresses."""
    return "".join([u.replace("\n", " ") + "\n" for u in uniques]).encode("latin-1")


def read_journal(directory: str, message_id: str) -> set[str]:
    """Return the addresses of a journal that a crash left; a last line without end was not complete."""
    try:
        data = read_file(f"{directory}/{message_id}-J")
    except FileNotFoundError:
        return set()
    except OSError as e:
        raise SpoolError(f"{directory}/{message_id}-J: {e.strerror}", e.errno) from None
    return {line for line in data.decode("latin-1").split("\n")[:-1] if line}
