"""Hints in memory: for tests, and where nothing may be written (-bh, -bt of an ordinary user)."""

from __future__ import annotations


def counted(found: tuple[str, float] | None, now: float, life: float) -> int:
    """Return the count that a record holds; 0 where there is none, or a crash has left it long ago."""
    if found is None or now - found[1] > life or not (found[0].isascii() and found[0].isdigit()):
        return 0
    return int(found[0])


class MemoryHints:
    """A ``Hints`` store that is gone with its process."""

    def __init__(self) -> None:
        self._data: dict[str, dict[str, tuple[str, float]]] = {}
        self._waiting: dict[tuple[str, str], set[str]] = {}

    def get(self, database: str, key: str) -> str | None:
        """Return the value for a key."""
        found = self._data.get(database, {}).get(key)
        return found[0] if found is not None else None

    def get_written(self, database: str, key: str) -> tuple[str, float] | None:
        """Return (value, time of writing) for a key."""
        return self._data.get(database, {}).get(key)

    def put(self, database: str, key: str, value: str, now: float) -> None:
        """Write one value."""
        self._data.setdefault(database, {})[key] = (value, now)

    def delete(self, database: str, key: str) -> None:
        """Forget one key."""
        self._data.get(database, {}).pop(key, None)

    def delete_prefix(self, database: str, prefix: str) -> None:
        """Forget all keys that begin with a prefix."""
        data = self._data.get(database, {})
        for key in [k for k in data if k.startswith(prefix)]:
            del data[key]

    def update(self, database: str, puts: dict[str, str], deletes: list[str], now: float) -> None:
        """Write and delete several at once."""
        for key in deletes:
            self.delete(database, key)
        for key, value in puts.items():
            self.put(database, key, value, now)

    def count_in(self, database: str, key: str, limit: int, now: float, life: float) -> bool:
        """Add one to a count, unless it has reached the limit."""
        count = counted(self.get_written(database, key), now, life)
        if count < limit:
            self.put(database, key, str(count + 1), now)
        return count < limit

    def count_out(self, database: str, key: str, now: float) -> None:
        """Take one off a count."""
        left = counted(self.get_written(database, key), now, now) - 1
        if left > 0:
            self.put(database, key, str(left), now)
        else:
            self.delete(database, key)

    def items(self, database: str) -> list[tuple[str, str, float]]:
        """Return all (key, value, written)."""
        return sorted((k, v, w) for k, (v, w) in self._data.get(database, {}).items())

    def add_waiting(self, transport: str, hosts: list[str], message_id: str) -> None:
        """Remember that a message waits for each of the hosts."""
        for host in hosts:
            self._waiting.setdefault((transport, host), set()).add(message_id)

    def next_waiting(self, transport: str, host: str, exclude: set[str], limit: int) -> list[str]:
        """Return up to ``limit`` ids of messages that wait for a host, oldest first."""
        return sorted(self._waiting.get((transport, host), set()) - exclude)[:limit]

    def remove_waiting(self, transport: str, host: str, message_ids: list[str]) -> None:
        """Forget that messages wait for a host."""
        self._waiting.get((transport, host), set()).difference_update(message_ids)

    def close(self) -> None:
        """Nothing to close."""
