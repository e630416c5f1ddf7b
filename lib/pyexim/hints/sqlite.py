"""Hints in SQLite files under ``spool_directory/db``.

One file per database, write-ahead log: readers never wait for writers, and a write costs no fsync but
at checkpoints.  What another process holds for longer than a bounded time is not waited for: a hint
that cannot be read is not there, one that cannot be written is lost.  A file that is damaged is set
aside under another name, logged, and made anew.  A connection is never used across a fork.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyexim.base.directories import make_directories
from pyexim.hints.memory import counted
from pyexim.settings import SPOOL_DIRECTORY_MODE

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

_BUSY_SECONDS: Final = 2.0
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS hints(key TEXT PRIMARY KEY, value TEXT, written REAL) WITHOUT ROWID"
_WAIT_SCHEMA: Final = ("CREATE TABLE IF NOT EXISTS waiting(host TEXT, message_id TEXT, "
                       "PRIMARY KEY(host, message_id)) WITHOUT ROWID")
_IS_SCHEMA: Final = "SELECT 1 FROM sqlite_master WHERE sql = ?"
_GET: Final = "SELECT value, written FROM hints WHERE key = ?"
_PUT: Final = "INSERT OR REPLACE INTO hints(key, value, written) VALUES(?, ?, ?)"
_abandoned: list[Any] = []
"""Connections of a parent process: closing them here could remove its write-ahead log."""


class _Open:
    """An open database file."""

    __slots__ = ("connection", "inode")

    def __init__(self, connection: sqlite3.Connection, inode: int) -> None:
        self.connection = connection
        self.inode = inode


class SqliteHints:
    """A ``Hints`` store in files; ``log`` gets a line when something is wrong with one."""

    def __init__(self, directory: str, *, uid: int = -1, gid: int = -1,
                 log: Callable[[str], None] | None = None, trace: Callable[[str], None] | None = None) -> None:
        """``log`` is told of damage, ``trace`` of each step."""
        self._trace = trace
        self._directory = directory
        self._uid = uid
        self._gid = gid
        self._log = log
        self._pid = os.getpid()
        self._open: dict[str, _Open] = {}
        self._paths: dict[str, str] = {}

    # -- hints

    def get(self, database: str, key: str) -> str | None:
        """Return the value for a key; None where there is none or it cannot be read now."""
        found = self.get_written(database, key)
        return found[0] if found is not None else None

    def get_written(self, database: str, key: str) -> tuple[str, float] | None:
        """Return (value, time of writing) for a key."""
        found = _checked(self._run(database, False, lambda c: c.execute(_GET, (key,)).fetchone(), None))
        if self._trace is not None:
            self._trace(f"{database}: read key={key}{'' if found is not None else ': not found'}")
        return found

    def put(self, database: str, key: str, value: str, now: float) -> None:
        """Write one value."""
        self.update(database, {key: value}, [], now)

    def delete(self, database: str, key: str) -> None:
        """Forget one key."""
        self.update(database, {}, [key], 0.0)

    def delete_prefix(self, database: str, prefix: str) -> None:
        """Forget all keys that begin with a prefix."""
        self._run(database, False, lambda c: c.execute(
            "DELETE FROM hints WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)), None)

    def update(self, database: str, puts: dict[str, str], deletes: list[str], now: float) -> None:
        """Write and delete several in one transaction; nothing happens where nothing can be deleted."""
        def work(c: sqlite3.Connection) -> None:
            if len(puts) + len(deletes) > 1:
                c.execute("BEGIN IMMEDIATE")
            c.executemany("DELETE FROM hints WHERE key = ?", [(k,) for k in deletes])
            c.executemany(_PUT, [(k, v, now) for k, v in puts.items()])
            if c.in_transaction:
                c.execute("COMMIT")
        self._run(database, bool(puts), work, None)
        if self._trace is not None:
            for step, keys in (("write", list(puts)), ("delete", deletes)):
                for key in keys:
                    self._trace(f"{database}: {step} key={key}")

    def count_in(self, database: str, key: str, limit: int, now: float, life: float) -> bool:
        """Add one to a count in one step, unless it has reached the limit; True too where that cannot be done now."""
        def work(c: sqlite3.Connection) -> bool:
            c.execute("BEGIN IMMEDIATE")
            count = counted(_checked(c.execute(_GET, (key,)).fetchone()), now, life)
            if count < limit:
                c.execute(_PUT, (key, str(count + 1), now))
            c.execute("COMMIT")
            return count < limit
        return self._run(database, True, work, True)

    def count_out(self, database: str, key: str, now: float) -> None:
        """Take one off a count in one step."""
        def work(c: sqlite3.Connection) -> None:
            c.execute("BEGIN IMMEDIATE")
            left = counted(_checked(c.execute(_GET, (key,)).fetchone()), now, now) - 1
            if left > 0:
                c.execute(_PUT, (key, str(left), now))
            else:
                c.execute("DELETE FROM hints WHERE key = ?", (key,))
            c.execute("COMMIT")
        self._run(database, False, work, None)

    def items(self, database: str) -> list[tuple[str, str, float]]:
        """Return all (key, value, written), for the maintenance tools."""
        rows: list[tuple[Any, ...]] = self._run(database, False, lambda c: c.execute(
            "SELECT key, value, written FROM hints ORDER BY key").fetchall(), [])
        return [(row[0], *found) for row in rows if _is_text(row[0]) and (found := _checked(row[1:])) is not None]

    # -- messages waiting for a host

    def add_waiting(self, transport: str, hosts: list[str], message_id: str) -> None:
        """Remember that a message waits for each of the hosts."""
        self._waiting(transport, True, "INSERT OR IGNORE INTO waiting(host, message_id) VALUES(?, ?)",
                      [(host, message_id) for host in hosts])

    def next_waiting(self, transport: str, host: str, exclude: set[str], limit: int) -> list[str]:
        """Return up to ``limit`` ids of messages that wait for a host, oldest first, without taking them out."""
        rows: list[tuple[Any]] = self._run("wait-" + transport, False, lambda c: c.execute(
            "SELECT message_id FROM waiting WHERE host = ? ORDER BY message_id LIMIT ?",
            (host, limit + len(exclude))).fetchall(), [])
        return [row[0] for row in rows if _is_text(row[0]) and row[0] not in exclude][:limit]

    def all_waiting(self, transport: str) -> list[tuple[str, str]]:
        """Return all (host, message id), for the maintenance tools."""
        rows: list[tuple[Any, Any]] = self._run("wait-" + transport, False, lambda c: c.execute(
            "SELECT host, message_id FROM waiting ORDER BY host, message_id").fetchall(), [])
        return [(host, message_id) for host, message_id in rows if _is_text(host) and _is_text(message_id)]

    def remove_waiting(self, transport: str, host: str, message_ids: list[str]) -> None:
        """Forget that messages wait for a host."""
        self._waiting(transport, False, "DELETE FROM waiting WHERE host = ? AND message_id = ?",
                      [(host, message_id) for message_id in message_ids])

    def _waiting(self, transport: str, create: bool, statement: str, rows: list[tuple[str, str]]) -> None:
        def work(c: sqlite3.Connection) -> None:
            if len(rows) > 1:
                c.execute("BEGIN IMMEDIATE")
            c.executemany(statement, rows)
            if c.in_transaction:
                c.execute("COMMIT")
        if rows:
            self._run("wait-" + transport, create, work, None)
            if self._trace is not None:
                for host, message_id in rows:
                    self._trace(f"wait-{transport}: {'write' if create else 'delete'} key={host} {message_id}")

    def close(self) -> None:
        """Close the files."""
        self._check_fork()
        for entry in self._open.values():
            with contextlib.suppress(Exception):
                entry.connection.close()
        self._open.clear()

    # -- files

    def _path(self, database: str) -> str:
        path = self._paths.get(database)
        if path is None:
            safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.+") else f"%{ord(c):02x}" for c in database)
            path = self._paths[database] = f"{self._directory}/{safe.lstrip('.')}.sqlite"
        return path

    def _check_fork(self) -> None:
        pid = os.getpid()
        if pid != self._pid:
            self._pid = pid
            _abandoned.extend(e.connection for e in self._open.values())
            self._open = {}

    def _run(self, database: str, create: bool, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Do something with a database, or return the default where that cannot be done now."""
        self._check_fork()
        path = self._path(database)
        try:
            inode = os.stat(path).st_ino
        except OSError:
            if not create:
                return default
            inode = 0
        import sqlite3
        try:
            entry = self._open.get(database)
            if entry is None or entry.inode != inode:
                entry = self._connect(database, path)
            return work(entry.connection)
        except sqlite3.OperationalError as e:
            self._rollback(database)
            if _is_damage(e):
                self._set_aside(database, path, str(e))
            elif "locked" not in str(e):
                self._say(f"hints database {path}: {e}")
                self._forget(database)
        except (sqlite3.Error, UnicodeDecodeError) as e:  # (the other: of a message that quotes the damage)
            self._rollback(database)
            self._set_aside(database, path, str(e))
        except OSError as e:
            self._say(f"hints database {path}: {e.strerror}")
        return default

    def _connect(self, database: str, path: str) -> _Open:
        import sqlite3
        self._forget(database)
        make_directories(self._directory, SPOOL_DIRECTORY_MODE, self._uid, self._gid)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o640))
            self._own(path)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.text_factory = _decode
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            schema = _WAIT_SCHEMA if database.startswith("wait-") else _SCHEMA
            connection.execute(schema)
            if connection.execute(_IS_SCHEMA, (schema.replace("IF NOT EXISTS ", ""),)).fetchone() is None:
                raise sqlite3.DatabaseError("its tables are others")
        except BaseException:
            connection.close()
            raise
        if self._uid >= 0:
            for suffix in ("-wal", "-shm"):
                self._own(path + suffix)
        if self._trace is not None:
            self._trace(f"opened hints database {path}")
        entry = self._open[database] = _Open(connection, os.stat(path).st_ino)
        return entry

    def _own(self, path: str) -> None:
        if self._uid > 0 and os.geteuid() == 0:
            with contextlib.suppress(FileNotFoundError):
                os.chown(path, self._uid, self._gid)

    def _rollback(self, database: str) -> None:
        entry = self._open.get(database)
        if entry is not None:
            with contextlib.suppress(Exception):
                if entry.connection.in_transaction:
                    entry.connection.execute("ROLLBACK")

    def _forget(self, database: str) -> None:
        entry = self._open.pop(database, None)
        if entry is not None:
            with contextlib.suppress(Exception):
                entry.connection.close()

    def _set_aside(self, database: str, path: str, why: str) -> None:
        """Move a damaged file out of the way; the next write makes a new one."""
        self._forget(database)
        aside = f"{path}.damaged.{time.strftime('%Y%m%d%H%M%S')}"
        try:
            os.rename(path, aside)
        except OSError as e:
            self._say(f"hints database {path} is damaged ({why}) and cannot be set aside: {e.strerror}")
            return
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(path + suffix)
        self._say(f"hints database {path} is damaged ({why}): set aside as {aside}")

    def _say(self, text: str) -> None:
        if self._log is not None:
            self._log(text)


_DAMAGE: Final = frozenset({1, 11, 17, 19, 20, 24, 26})
"""SQLite's codes for a file that is none of ours: error in a statement, which are always the same; corrupt; schema;
constraint; mismatch; format; not a database."""


def _is_damage(e: sqlite3.Error) -> bool:
    code = getattr(e, "sqlite_errorcode", 0) & 0xff
    return code in _DAMAGE and "transaction" not in str(e)


def _decode(data: bytes) -> str:
    """Return a stored text; what is none of ours gets characters that ``_is_text`` finds."""
    return data.decode("utf-8", "surrogateescape")


def _is_text(value: object) -> bool:
    """Tell whether something that was read is a text as we write it: one character per octet."""
    return isinstance(value, str) and (value.isascii() or max(value) <= "\xff")


def _checked(row: tuple[Any, ...] | None) -> tuple[str, float] | None:
    """Return (value, time of writing) of a record, whatever the file holds; None where it is none."""
    if row is None or not _is_text(row[0]) or not isinstance(row[1], (int, float)):
        return None
    return row[0], float(row[1])
