"""Deliver a message into a new file: a file in a directory, and mailstore's pair of files.

A message exists under its final name only when it is complete and safe.  Where the system has unnamed
temporary files the new file is one until then, so that a process that dies leaves nothing behind.

Spec: chapter "The appendfile transport", sections "Operational details for delivery to a new file",
"Mailstore delivery" and "Non-special new file delivery".  Maildir is in ``transports.maildir``.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.messageid import base62
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.transports.base import TransportRun
from pyexim.transports.paths import (
    Refused,
    link_open_file,
    make_directories,
    may_create,
    sync_directory,
    syncs_in_order,
)
from pyexim.transports.write import write_fd

ERRNO_BADCREATE: Final = -34
DEFAULT_FILE: Final = "q${base62:$tod_epoch}-$inode"
_NO_TMPFILE: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


class NewFile:
    """A file being written in a directory; ``publish`` gives it its name, ``abandon`` removes it."""

    def __init__(self, directory: str, temporary: str, mode: int) -> None:
        self.directory = directory
        self.temporary: str | None = None
        try:
            self.fd = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
        except OSError as e:
            if e.errno not in _NO_TMPFILE or not os.path.isdir(directory):
                raise
            name = os.path.join(directory, temporary)
            self.fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            self.temporary = name
        self.written = 0
        try:
            os.fchmod(self.fd, mode)
        except OSError:
            self.abandon()
            raise

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write the content and make it safe."""
        for piece in pieces:
            write_fd(self.fd, piece)
            self.written += len(piece)
        os.fsync(self.fd)

    def publish(self, path: str, *, replace: bool = False) -> None:
        """Give the file its name; FileExistsError unless ``replace``."""
        if self.temporary is not None:
            if replace:
                os.rename(self.temporary, path)
            else:
                os.link(self.temporary, path)
                with contextlib.suppress(OSError):  # a second name in tmp: mail readers remove old ones
                    os.unlink(self.temporary)
            self.temporary = None
        else:
            if replace and os.path.lexists(path):
                os.unlink(path)
            link_open_file(self.fd, path)

    def abandon(self) -> None:
        """Close, and remove what has no final name; never fails: what was delivered is synced by now."""
        with contextlib.suppress(OSError):
            os.close(self.fd)
        if self.temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.temporary)


def make_count(path: str, fd: int, batch: list[Address], run: TransportRun) -> None:
    """Make the name safe that a file has just got, and the delivery count; OSError with the file taken back.

    A journal that does not take the entry has it taken back, too: it would be delivered again.
    A crash between the two steps would have the message lost (the journal is first) or delivered again (the
    name is first).  On the spool's file system both become safe by one sync, where that keeps the order; where it
    does not, the entry is at least written before the name is synced, which leaves the least time for a second
    delivery.  On another file system the name has to be safe before the journal speaks of it.
    """
    directory = os.path.dirname(path)
    device = os.fstat(fd).st_dev
    together = device == os.fstat(run.data_fd).st_dev
    at_once = together and syncs_in_order(device)
    if not together:
        _sync_or_take_back(directory, path)
    failed = run.delivered(*batch, sync=at_once or not together)
    if failed and _take_back(path):
        raise OSError(failed, os.strerror(failed))
    if at_once or not together:
        return
    for _ in range(2):
        with contextlib.suppress(OSError):  # the entry is written: it has been delivered
            sync_directory(directory)
            break
    run.delivered(*batch)


def _sync_or_take_back(directory: str, path: str) -> None:
    """Sync the directory of a file that has just got its name; take it back where that cannot be done, OSError.

    A file that a mail reader has taken away meanwhile is delivered all the same.
    """
    try:
        sync_directory(directory)
    except OSError:
        try:
            sync_directory(directory)  # a passing fault is no reason to do it all again
        except OSError:
            if _take_back(path):
                raise


def _take_back(path: str) -> bool:
    """Remove a file that does not count; False where it is out of our hands, and so has been delivered."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def ensure_directory(path: str, options: Any, home: str | None) -> None:
    """Make the delivery directory if it is missing and may be made; Refused where it may not be, or OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(path)
        return
    if not options.create_directory:
        raise Refused(f"stat() error for {path}: {os.strerror(errno.ENOENT)}", errno.ENOENT)
    if not may_create(path, options.create_file, home):
        raise Refused(f"tried to create file in {path}, but file creation outside the home directory is not permitted",
                      ERRNO_BADCREATE)
    make_directories(path, options.directory_mode)


def _new_file(directory: str, name: str, mode: int, shown: str) -> NewFile:
    try:
        return NewFile(directory, name, mode)
    except OSError as e:
        raise not_created(f"{directory}/{shown}", e) from None


def not_created(path: str, e: OSError) -> Refused:
    """Return the refusal for a file that could not be created."""
    return Refused(f"while creating file {path}", e.errno or errno.EIO)


def temporary_name(directory: str, run: TransportRun, *, mailstore: bool) -> str:
    """Return the name by which errors before the first octet is written speak of the new file."""
    if mailstore:
        return f"{directory}/{_base_name(run)}.tmp"
    return f"{directory}/temp.{os.getpid()}.{run.scope.services.primary_hostname}"


def _base_name(run: TransportRun) -> str:
    return f"{run.message.message_id}-{base62(os.getpid(), 6)}"


def deliver_file(directory: str, pieces: Iterable[bytes], batch: list[Address], run: TransportRun, options: Any,
                 mode: int, name: str) -> tuple[int, str]:
    """Deliver into a file named by directory_file; (octets written, path)."""
    temporary = temporary_name(directory, run, mailstore=False)
    file = os.path.basename(temporary)
    new = _new_file(directory, file, mode, file)
    try:
        new.write(pieces)
        variables = run.scope.vars
        variables["inode"] = str(os.fstat(new.fd).st_ino)
        source = options.directory_file if options.directory_file is not None else DEFAULT_FILE
        try:
            file = expand(source, run.scope)
        except ExpansionError as e:
            raise Refused(f'Expansion of "{source}" (directory_file for {name} transport) failed: {e.text}') from None
        finally:
            del variables["inode"]
        path = f"{directory}/{file}"
        try:
            new.publish(path)
        except OSError as e:
            raise Refused(f"while renaming {temporary} as {path}", e.errno or errno.EIO) from None
        make_count(path, new.fd, batch, run)
        return new.written, path
    finally:
        new.abandon()


def deliver_mailstore(directory: str, pieces: Iterable[bytes], batch: list[Address], run: TransportRun,
                      options: Any, mode: int, name: str) -> tuple[int, str]:
    """Deliver a pair of files, envelope and message; (octets written, path of the message)."""
    base = _base_name(run)
    path = os.path.join(directory, base)
    variables = run.scope.vars
    variables["mailstore_basename"] = base
    try:
        envelope = _text(options.mailstore_prefix, "mailstore prefix", run, name)
        envelope += "".join(f"{x}\n" for x in [run.return_path, *(a.address for a in batch)])
        envelope += _text(options.mailstore_suffix, "mailstore suffix", run, name)
    finally:
        del variables["mailstore_basename"]
    # The .tmp name is part of the format: it tells other programs that the pair is not complete.
    tmp = path + ".tmp"
    try:
        fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as e:
        raise not_created(tmp, e) from None
    try:
        try:
            os.fchmod(fd, mode)
            write_fd(fd, envelope.encode("latin-1"))
            os.fsync(fd)
        finally:
            os.close(fd)
        new = _new_file(directory, base + ".new", mode, base + ".msg")
        try:
            new.write(pieces)
            new.publish(path + ".msg", replace=True)
            os.rename(tmp, path + ".env")
            make_count(path + ".env", new.fd, batch, run)
        finally:
            new.abandon()
        return new.written, path + ".msg"
    except BaseException:
        for left in (tmp, path + ".msg"):
            if os.path.lexists(left):
                os.unlink(left)
        raise


def _text(source: str | None, option: str, run: TransportRun, name: str) -> str:
    if source is None:
        return ""
    try:
        text = expand(source, run.scope)
    except ForcedFail:
        return ""
    except ExpansionError as e:
        raise Refused(f'Expansion of "{source}" ({option} for {name} transport) failed: {e.text}', -1) from None
    return text if not text or text.endswith("\n") else text + "\n"
