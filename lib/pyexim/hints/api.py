"""The entrance to the hints: what is remembered between deliveries, and may be lost.

SQLite files under ``spool_directory/db/``: retry, wait-TRANSPORT, callout, ratelimit, misc, seen.  A
corrupt file is set aside, logged and made anew; a locked or failing one gives no answer rather than
an error.  Losing hints costs efficiency, never mail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Hints(Protocol):
    """One store of named databases: key -> (value, time of writing)."""

    def get(self, database: str, key: str) -> str | None: ...
    def get_written(self, database: str, key: str) -> tuple[str, float] | None: ...
    def put(self, database: str, key: str, value: str, now: float) -> None: ...
    def delete(self, database: str, key: str) -> None: ...
    def delete_prefix(self, database: str, prefix: str) -> None: ...

    def update(self, database: str, puts: dict[str, str], deletes: list[str], now: float) -> None:
        """Write and delete several in one transaction."""
        ...

    def count_in(self, database: str, key: str, limit: int, now: float, life: float) -> bool:
        """Add one to a count in one step, unless it has reached the limit: then False.

        A count that was written longer than ``life`` seconds ago was left by a crash, and begins anew.
        """
        ...

    def count_out(self, database: str, key: str, now: float) -> None:
        """Take one off a count in one step; it is forgotten when nothing is left."""
        ...

    def items(self, database: str) -> list[tuple[str, str, float]]:
        """All (key, value, written), for the maintenance tools."""
        ...

    # -- messages waiting for a host: a table of its own, for speed

    def add_waiting(self, transport: str, hosts: list[str], message_id: str) -> None:
        """Remember that a message waits for each of the hosts."""
        ...

    def next_waiting(self, transport: str, host: str, exclude: set[str], limit: int) -> list[str]:
        """Return up to ``limit`` ids of messages that wait for a host, oldest first, without taking them out."""
        ...

    def remove_waiting(self, transport: str, host: str, message_ids: list[str]) -> None:
        """Forget that messages wait for a host."""
        ...

    def close(self) -> None: ...


def open_hints(spool_directory: str, *, uid: int = -1, gid: int = -1,
               log: Callable[[str], None] | None = None) -> Hints:
    """Return the store under a spool directory; nothing is opened, or imported, before its first use.

    ``uid`` and ``gid`` own new files; ``log`` gets a line when a file is damaged.
    """
    from pyexim.hints.sqlite import SqliteHints
    return SqliteHints(f"{spool_directory}/db", uid=uid, gid=gid, log=log)
