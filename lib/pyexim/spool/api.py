"""The entrance to the spool: queued messages as files, in Exim's own format.

Spec: chapters "Format of spool files" and "How Exim receives and delivers mail".  The directory is
``spool_directory[/queue]/input[/c]/ID-{D,H,J}``; ``c`` is the sixth character of the id when the spool
is split (files are looked for in both places).  The -D file is locked with fcntl while a process works
on the message; a message exists from the moment its -H file has its final name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyexim.model.message import Message


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


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message found by scanning: where it is, without having read it."""

    message_id: str
    queue_name: str
    subdirectory: str
    """"" or the letter of a split spool."""


class NewMessage:
    """A message being received: its data file, open and locked.

    ``write`` collects; ``commit`` makes it exist; ``abort`` removes every trace.  A crash at any step
    leaves the whole message or none (an orphan -D file at most, which ``remove_orphans`` takes away).
    """

    message_id: str
    data_fd: int

    def write(self, data: bytes) -> None:
        """Append body octets (LF line ends, or CRLF with spool_wireformat); OSError where the disk fails."""
        raise NotImplementedError

    def commit(self, message: Message) -> None:
        """Sync the data file, write and sync the header file, rename it into place, sync the directory.

        When this returns the message is safe.  Raises OSError; then nothing remains but what
        ``abort`` removes.  The lock is kept until ``close``, so that no queue runner takes the
        message before its receiver has logged it.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give up the lock; the message may now be delivered."""
        raise NotImplementedError

    def abort(self) -> None:
        """Remove the files of a message that is not accepted; never called once ``commit`` has succeeded."""
        raise NotImplementedError


class LockedMessage:
    """A queued message, locked by this process, with its header file read."""

    message: Message
    data_fd: int

    def rewrite_header(self) -> None:
        """Replace the header file by what ``message`` now says, atomically and synced."""
        raise NotImplementedError

    def journal(self, unique: str) -> None:
        """Record at once that the delivery to this address (its ``unique`` form) is complete."""
        raise NotImplementedError

    def journal_fd(self) -> int:
        """Return the descriptor of the journal, opened for appending, to be passed to a delivery process."""
        raise NotImplementedError

    def msglog(self, text: str) -> None:
        """Append a line (time stamp added by the caller) to the message log, if message_logs is set."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove the message: the -H file first (it is gone from then on), then the rest."""
        raise NotImplementedError

    def remove_journal(self) -> None:
        """Remove the journal after its content has gone into the header file."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the lock."""
        raise NotImplementedError


def create(settings: SpoolSettings, message_id: str) -> NewMessage:
    """Create and lock the data file of a new message, making directories as needed; OSError."""
    raise NotImplementedError


def find(settings: SpoolSettings, message_id: str) -> QueuedMessage | None:
    """Find a message by its id, in the split and the unsplit place."""
    raise NotImplementedError


def lock(settings: SpoolSettings, message_id: str) -> LockedMessage | None:
    """Lock a message and read its header file and journal; None where another process has the lock.

    ``message.nonrecipients`` includes what the journal says.  Raises SpoolError where the message does
    not exist (errno ENOENT) or its files are malformed (errno EINVAL; the caller logs and keeps them).
    """
    raise NotImplementedError


def read(settings: SpoolSettings, message_id: str, *, headers: bool = True) -> Message:
    """Read a message without locking it, for listings; without ``headers`` only the envelope part."""
    raise NotImplementedError


def scan(settings: SpoolSettings) -> Iterator[QueuedMessage]:
    """Yield the messages of the queue ``settings.queue_name``, in no particular order."""
    raise NotImplementedError


def remove_orphans(settings: SpoolSettings, now: float) -> list[str]:
    """Remove files that belong to no message (and whose maker is dead); their names, for the log."""
    raise NotImplementedError


def parse_header_file(data: bytes) -> Message:
    """Read the content of a -H file; SpoolError says which part is malformed.  Never anything else."""
    raise NotImplementedError


def format_header_file(message: Message) -> bytes:
    """Return the content of the -H file of a message, as Exim writes it."""
    raise NotImplementedError
