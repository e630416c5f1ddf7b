"""Walk a queue: which messages there are, and which files belong to none.

Spec: chapter "Format of spool files".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pyexim.base.messageid import is_message_id, process_id
from pyexim.spool.locks import try_lock
from pyexim.spool.names import QueuedMessage, SpoolSettings, check_id, directory_for, places, queue_directory

_PATIENCE = 300.0
"""Seconds after which a file without a lock is an orphan although a process with its maker's id lives."""


def find(settings: SpoolSettings, message_id: str) -> QueuedMessage | None:
    """Find a message by its id, in the split and the unsplit place."""
    check_id(message_id)
    for subdirectory in places(settings, message_id):
        if os.path.exists(f"{directory_for(settings, subdirectory)}/{message_id}-H"):
            return QueuedMessage(message_id, settings.queue_name, subdirectory)
    return None


def subdirectories(settings: SpoolSettings, kind: str = "input") -> list[tuple[str, list[str]]]:
    """Return ("", names) of the queue's input (or msglog) directory, then (letter, names) of each subdirectory."""
    base = queue_directory(settings, kind)
    try:
        names = os.listdir(base)
    except OSError:
        return []
    found = [("", names)]
    for name in sorted(names):
        if len(name) == 1 and name.isascii() and name.isalnum():
            with contextlib.suppress(OSError):
                found.append((name, os.listdir(f"{base}/{name}")))
    return found


def scan(settings: SpoolSettings) -> Iterator[QueuedMessage]:
    """Yield the messages of the queue ``settings.queue_name``, in no particular order."""
    for subdirectory, names in subdirectories(settings):
        for name in names:
            if name.endswith("-H") and len(name) in (18, 25) and is_message_id(name[:-2]):
                yield QueuedMessage(name[:-2], settings.queue_name, subdirectory)


def queue_names(settings: SpoolSettings) -> list[str]:
    """Return the names of the named queues that exist."""
    try:
        names = os.listdir(settings.directory)
    except OSError:
        return []
    return sorted(n for n in names if n not in ("input", "msglog", "msglog.OLD", "db", "scan", "tls", "log")
                  and os.path.isdir(f"{settings.directory}/{n}/input"))


def remove_orphans(settings: SpoolSettings, now: float) -> list[str]:
    """Remove files that belong to no message (and whose maker is dead); their names, for the log.

    A file whose -D file is locked is at work and left alone.  Else it goes when the process that its
    id names is dead, or when the file has not been touched for some minutes (a later process may bear
    the same number).
    """
    removed: list[str] = []
    # Listed before the messages: the log of a message that comes meanwhile is not among them.
    logs = subdirectories(settings, "msglog")
    for subdirectory, names in subdirectories(settings):
        directory = directory_for(settings, subdirectory)
        present = set(names)
        for name in names:
            message_id = _stray(name, present)
            if message_id is not None and _remove_stray(settings, subdirectory, directory, message_id, name, now):
                removed.append(name)
    for subdirectory, names in logs:
        removed += [f"msglog/{name}" for name in names if _remove_log(settings, subdirectory, name, now)]
    return removed


def _remove_log(settings: SpoolSettings, subdirectory: str, message_id: str, now: float) -> bool:
    """Remove a message log if it is that of a message which is gone; tell whether it was."""
    if not is_message_id(message_id):
        return False
    for place in places(settings, message_id):
        base = f"{directory_for(settings, place)}/{message_id}"
        if os.path.exists(f"{base}-H") or os.path.exists(f"{base}-D"):
            return False
    path = f"{directory_for(settings, subdirectory, 'msglog')}/{message_id}"
    try:
        if not _is_dead(message_id) and now - os.stat(path).st_mtime < _PATIENCE:
            return False
        os.unlink(path)
    except OSError:
        return False
    return True


def _stray(name: str, present: set[str]) -> str | None:
    """Return the message id in the name of a file that may be an orphan."""
    if name.startswith("hdr."):
        message_id = name[4:]
    elif name.endswith(("-D", "-J", "-K")):
        message_id = name[:-2]
        if f"{message_id}-H" in present:
            return None
    else:
        return None
    return message_id if is_message_id(message_id) else None


def _remove_stray(settings: SpoolSettings, subdirectory: str, directory: str, message_id: str, name: str,
                  now: float) -> bool:
    path = f"{directory}/{name}"
    fd = -1
    try:
        try:
            fd = os.open(f"{directory}/{message_id}-D", os.O_RDWR)
        except FileNotFoundError:
            fd = -1
        if fd >= 0 and not try_lock(fd):
            return False
        # With the lock in hand the message may have been completed since the directory was read.
        if not name.startswith("hdr.") and os.path.exists(f"{directory}/{message_id}-H"):
            return False
        if not _is_dead(message_id) and now - os.stat(path).st_mtime < _PATIENCE:
            return False
        os.unlink(path)
        if name.endswith("-D"):
            with contextlib.suppress(OSError):
                os.unlink(f"{directory_for(settings, subdirectory, 'msglog')}/{message_id}")
        return True
    except OSError:
        return False  # gone meanwhile, or not ours to remove
    finally:
        if fd >= 0:
            os.close(fd)


def _is_dead(message_id: str) -> bool:
    """Tell whether no process has the number in the id."""
    pid = process_id(message_id)
    if not 0 < pid < 1 << 31:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def message_log(settings: SpoolSettings, message_id: str) -> bytes | None:
    """Return the content of a message's log (-Mvl); None where there is none."""
    check_id(message_id)
    for subdirectory in places(settings, message_id):
        path = f"{directory_for(settings, subdirectory, 'msglog')}/{message_id}"
        with contextlib.suppress(OSError), open(path, "rb") as f:
            return f.read()
    return None


