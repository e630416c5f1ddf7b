"""Linear search and its relatives: text files of "key: data" lines.

An index of a file is kept in memory as long as the file does not change, so that only the first look-up
in a process reads it.  Spec: section "Single-key lookup types".
"""

from __future__ import annotations

import os
import stat
from typing import Any, Final

from pyexim.base.ipaddress import parse, parse_network
from pyexim.base.octets import SPACE, lower
from pyexim.base.taint import Tainted
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome

_KEY_END: Final = ": \t"


class Index:
    """A file as read: its entries in order, and by key."""

    __slots__ = ("_by_key", "entries", "identity", "path")

    def __init__(self, path: str, identity: tuple[int, int, int, int], text: str) -> None:
        self.path, self.identity = path, identity
        self.entries = _read_entries(text)
        self._by_key: dict[str, str] | None = None

    def by_key(self) -> dict[str, str]:
        """Return the data by lower-case key; the first entry of a key counts."""
        if self._by_key is None:
            table: dict[str, str] = {}
            for key, data in self.entries:
                table.setdefault(lower(key), data)
            self._by_key = table
        return self._by_key


def _identity(st: os.stat_result) -> tuple[int, int, int, int]:
    return st.st_dev, st.st_ino, st.st_mtime_ns, st.st_size


def _read_entries(text: str) -> list[tuple[str, str]]:
    """Split a file into (key, raw data) entries; continuation lines begin with white space.

    Comment lines and empty lines do not end an entry.  The data of all lines of an entry is joined by
    single spaces.
    """
    out: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if not line or line[0] == "#":
            continue
        if line[0] in " \t":
            more = line.strip(SPACE)
            if more and out and more[0] != "#":
                key, data = out[-1]
                out[-1] = key, f"{data} {more}" if data else more
            continue
        key, rest = split_key(line)
        out.append((key, rest.strip(SPACE)))
    return out


def split_key(line: str) -> tuple[str, str]:
    """Return (key, the rest after its end): the key ends at a colon or white space, or is quoted."""
    if line[0] == '"':
        key = []
        i = 1
        while i < len(line) and line[i] != '"':
            if line[i] == "\\" and i + 1 < len(line):
                i += 1
                key.append({"n": "\n", "r": "\r", "t": "\t"}.get(line[i], line[i]))
            else:
                key.append(line[i])
            i += 1
        return "".join(key), _after_key(line[i + 1:])
    end = len(line)
    for c in _KEY_END:
        at = line.find(c, 0, end)
        if at >= 0:
            end = at
    return line[:end], _after_key(line[end:])


def _after_key(rest: str) -> str:
    rest = rest.lstrip(SPACE)
    return rest[1:] if rest[:1] == ":" else rest


class Lsearch(Lookup):
    """The key is compared without regard to case."""

    name = "lsearch"

    def open(self, name: str, scope: Scope) -> Index | Deferred:
        try:
            fd = os.open(name.encode("latin-1"), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            return Deferred(f"failed to open {name} for linear search: {e.strerror}")
        with os.fdopen(fd, "rb") as f:
            st = os.fstat(f.fileno())
            if not stat.S_ISREG(st.st_mode):
                return Deferred(f"{name} is not a regular file ({self.name} lookup)")
            try:
                text = f.read().decode("latin-1")
            except OSError as e:
                return Deferred(f"failed to read {name}: {e.strerror}")
        return Index(name, _identity(st), text)

    def current(self, handle: Any) -> bool:
        try:
            return bool(_identity(os.stat(handle.path.encode("latin-1"))) == handle.identity)
        except OSError:
            return False

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        data = handle.by_key().get(lower(key))
        return _with_return(data, key, handle, options) if data is not None else NOT_FOUND


def _with_return(data: str, key: str, handle: Index, options: dict[str, str]) -> Outcome:
    """Return the data, or with ret=full the whole entry."""
    if options.get("ret") == "full":
        found = next((k for k, d in handle.entries if lower(k) == lower(key)), key)
        return Found(f"{found}: {data}")
    return Found(data)


class Wildlsearch(Lsearch):
    """Keys in the file are patterns, expanded before use."""

    name = "wildlsearch"
    expands = True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        from pyexim.match.names import name_item  # the rooms to the right are reached as features

        wanted = Tainted(key)
        for pattern, data in handle.entries:
            source = expand(pattern, scope) if self.expands else pattern
            if source.startswith("+"):
                continue
            outcome = name_item(source, scope, "localpart", False)(wanted, scope)
            if outcome is not None and outcome.deferred:
                return Deferred(outcome.error)
            if outcome is not None and outcome.found:
                return _with_return(data, pattern, handle, options)
        return NOT_FOUND


class Nwildlsearch(Wildlsearch):
    """Like wildlsearch, without expansion of the keys."""

    name = "nwildlsearch"
    expands = False


class Iplsearch(Lsearch):
    """Keys in the file are IP addresses and networks; "*" is the default."""

    name = "iplsearch"

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        if key == "*":
            data = dict(handle.entries).get("*")
            return Found(data) if data is not None else NOT_FOUND
        address = parse(key)
        if address is None:
            return Deferred(f'"{key}" is not a valid iplsearch key (an IP address, with optional CIDR mask)'
                            if "/" not in key else f'"{key}" is not an IP address')
        for pattern, data in handle.entries:
            network = parse_network(pattern)
            if network is not None and address & network[0] == network[1]:
                return _with_return(data, pattern, handle, options)
        return NOT_FOUND
