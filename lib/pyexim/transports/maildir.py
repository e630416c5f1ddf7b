"""Deliver a message into a maildir.

The message becomes visible in new/ under a unique name when it is complete and on disk; the name itself
is safe too when the delivery counts (``newfile.make_count``), so that nothing is lost when the maildir is
on another file system than the spool.

Spec: chapter "The appendfile transport", sections "Maildir delivery", "Using tags to record message
sizes".
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.transports.base import TransportRun
from pyexim.transports.newfile import NewFile, ensure_directory, make_count
from pyexim.transports.paths import Refused, make_directories, sync_directory
from pyexim.transports.quota import Names

ERRNO_NOTDIRECTORY: Final = -5


def ensure_maildir(directory: str, options: Any, home: str | None, names: Names) -> None:
    """Make what is missing of a maildir: new, cur, tmp, and maildirfolder where it is wanted."""
    there = _is_directory(directory)
    missing = [x for x in ("tmp", "new", "cur") if not there or not _is_directory(f"{directory}/{x}")]
    if missing:
        making = directory
        try:
            ensure_directory(directory, options, home)
            if not options.create_directory:
                raise Refused(f"stat() error for {directory}/{missing[0]}: {os.strerror(errno.ENOENT)}", errno.ENOENT)
            for name in missing:
                making = f"{directory}/{name}"
                make_directories(making, options.directory_mode)
            sync_directory(directory)
        except OSError as e:
            raise Refused(f"cannot create {making}", e.errno or errno.EIO) from None
    if names.is_folder(directory):
        path = f"{directory}/maildirfolder"
        if not os.path.exists(path):
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, options.mode))
            except FileExistsError:
                return
            except OSError as e:
                raise Refused(f"failed to create {path}: {e.strerror}", e.errno or errno.EIO) from None


def _is_directory(path: str) -> bool:
    """Tell whether a directory is there; Refused where it is something else, or cannot be told."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return True
    except FileNotFoundError:
        return False
    except OSError as e:
        raise Refused(f"stat() error for {path}: {e.strerror}", e.errno or errno.EIO) from None
    raise Refused(f"{path} is not a directory", ERRNO_NOTDIRECTORY)


def unique_name(now: float, host: str) -> str:
    """Return the name of a new message: second, microsecond, process, host."""
    second = int(now)
    return f"{second}.M{int((now - second) * 1_000_000)}P{os.getpid()}.{host}"


def deliver_maildir(directory: str, pieces: Iterable[bytes], run: TransportRun, options: Any, mode: int,
                    transport: str, lines: int, batch: list[Address]) -> tuple[int, str]:
    """Write the message and publish it; (octets written, path)."""
    clock, host = run.scope.services.clock, run.scope.services.primary_hostname
    name = unique_name(clock.time(), host)
    try:
        new = NewFile(f"{directory}/tmp", name, mode)
    except OSError as e:
        raise Refused(f"failed to open tmp/{name} (1 tries)", e.errno or errno.EIO) from None
    try:
        new.write(pieces)
        tag = _tag(options.maildir_tag, run, new.written, lines, transport) if options.maildir_tag else ""
        for attempt in range(max(options.maildir_retries, 1)):
            path = f"{directory}/new/{name}{tag}"
            try:
                new.publish(path)
                make_count(path, new.fd, batch, run)
                return new.written, path
            except FileExistsError:
                # Another delivery of this microsecond and process number, on a clock set back, say.
                if attempt:
                    clock.sleep(2)
                name = unique_name(clock.time(), host)
            except OSError as e:
                if e.errno != errno.ENAMETOOLONG or not tag:
                    raise
                tag = ""
        raise Refused(f"unable to find a unique name in maildir {directory}/new", errno.EEXIST)
    finally:
        new.abandon()


def _tag(source: str, run: TransportRun, size: int, lines: int, transport: str) -> str:
    variables = run.scope.vars
    variables["message_size"], variables["message_linecount"] = str(size), str(lines)
    try:
        text = expand(source, run.scope)
    except ForcedFail:
        return ""
    except ExpansionError as e:
        raise Refused(f'Expansion of "{source}" (maildir_tag for {transport} transport) failed: {e.text}',
                      -1) from None
    finally:
        del variables["message_size"], variables["message_linecount"]
    tag = "".join(c for c in text if 32 <= ord(c) < 127 and c != "/")
    if tag and tag[0].isascii() and tag[0].isalnum():
        tag = ":" + tag
    return tag
