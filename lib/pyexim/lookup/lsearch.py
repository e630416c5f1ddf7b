"""Linear search and its relatives: text files of "key: data" lines.

The file is read once and kept while it does not change: its text, and for lsearch an index of the places
of the keys, so that only the first look-up in a process costs a scan.  Spec: section "Single-key lookup
types".
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.ipaddress import NetworkTable, parse, parse_network, unmapped_key
from pyexim.base.octets import SPACE, lower
from pyexim.base.taint import Tainted
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.scope import Scope
from pyexim.lookup import table
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, check_file, identity, unchanged

_KEY: Final = re.compile(rb'^[^#\s:"][^:\s]*', re.MULTILINE)
SEARCHES: Final = 32
"""Look-ups in a file before an index is made of it: making it takes as long as some fifty of them."""
MAX_INDEXED: Final = 1 << 28
"""Octets of the largest file that gets an index."""
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_NAMED: Final = {"n": "\n", "r": "\r", "t": "\t"}


class TextFile:
    """A file as read.

    The first look-ups search the text; after some of them an index is made: sorted numbers of 64 bits, half
    of each a hash of the key and half the place of its entry, so that it takes 8 octets an entry.
    """

    __slots__ = ("_folded", "_odd", "data", "entries", "identity", "index", "networks", "path", "patterns", "searches")

    def __init__(self, path: str, was: Identity, data: bytes) -> None:
        self.path, self.identity, self.data = path, was, data
        self._folded = b""
        self._odd: list[int] = []
        self.index: array[int] | None = None
        self.searches = 0
        self.entries: list[tuple[str, str, str]] | None = None
        self.networks: NetworkTable[tuple[str, str]] | None = None
        """For iplsearch: (data, the whole entry) by network."""
        self.patterns: list[tuple[int, Any]] | None = None
        """For wildlsearch: its keys, compiled where they need no expansion."""

    def offset_of(self, key: str) -> int:
        """Return where the first entry of a key begins, or -1."""
        wanted = lower(key).encode("latin-1", "replace")
        if self.index is None:
            if self.searches < SEARCHES or len(self.data) > MAX_INDEXED:
                self.searches += 1
                return self._search(wanted)
            self._make_index()
        assert self.index is not None
        first = (hash(wanted) & 0xFFFFFFFF) << 32
        at = bisect_left(self.index, first)
        while at < len(self.index) and self.index[at] >> 32 == first >> 32:
            offset = self.index[at] & 0xFFFFFFFF
            if self._key_at(offset) == wanted:
                return offset
            at += 1
        return -1

    def _key_at(self, offset: int) -> bytes:
        """Return the key of the line at an offset, in lower case."""
        m = _KEY.match(self.data, offset)
        if m is not None:
            return m[0].lower()
        end = self.data.find(b"\n", offset)
        name = split_key(self.data[offset:end if end >= 0 else len(self.data)].decode("latin-1"))[0]
        return lower(name).encode("latin-1")

    def _search(self, wanted: bytes) -> int:
        """Find the first entry by going through the text."""
        if not self._folded:
            self._folded = self.data.lower()
            self._odd = odd_lines(self.data)
        folded = self._folded
        best = -1
        if wanted and wanted[0] not in b'#":' and not any(c in wanted for c in b": \t\n\v\f\r"):
            at = 0 if folded.startswith(wanted) else folded.find(b"\n" + wanted) + 1
            while at or folded.startswith(wanted):
                after = folded[at + len(wanted):at + len(wanted) + 1]
                if not after or after in b": \t\n\v\f\r":
                    best = at
                    break
                at = folded.find(b"\n" + wanted, at) + 1
                if not at:
                    break
        for at in self._odd:
            if best >= 0 and at > best:
                break
            if self._key_at(at) == wanted:
                return at
        return best

    def _make_index(self) -> None:
        data = self.data
        entries = [(hash(m[0].lower()) & 0xFFFFFFFF) << 32 | m.start() for m in _KEY.finditer(data)]
        entries += [(hash(self._key_at(at)) & 0xFFFFFFFF) << 32 | at for at in odd_lines(data)]
        entries.sort()
        self.index = array("Q", entries)
        self._folded, self._odd = b"", []

    def entry_at(self, offset: int) -> tuple[str, str, str]:
        """Return (key, data, the whole entry with its key unquoted) of the entry at an offset."""
        for entry in _entries(self.data, offset):
            return entry
        return "", "", ""

    def all_entries(self) -> list[tuple[str, str, str]]:
        """Return all entries in order."""
        if self.entries is None:
            self.entries = list(_entries(self.data, 0))
        return self.entries


def odd_lines(data: bytes) -> list[int]:
    """Return where lines begin whose key is quoted or empty; few files have any."""
    out = [0] if data[:1] in (b'"', b":") else []
    for mark in (b'\n"', b"\n:"):
        at = data.find(mark)
        while at >= 0:
            out.append(at + 1)
            at = data.find(mark, at + 1)
    return sorted(out)


def _entries(data: bytes, offset: int) -> Iterator[tuple[str, str, str]]:
    """Read entries from an offset; lines that begin with white space continue one, comments do not end it."""
    line_at = offset
    head: tuple[str, str] | None = None
    between = ""
    parts: list[str] = []
    size = len(data)
    while line_at < size:
        end = data.find(b"\n", line_at)
        if end < 0:
            end = size
        line = data[line_at:end].decode("latin-1")
        line_at = end + 1
        if not line or line[0] == "#":
            continue
        if line[0] in SPACE:
            more = line.strip(SPACE)
            if more and head is not None:
                parts.append(more)
            continue
        if head is not None:
            yield _entry(head, between, parts)
        key, rest = split_key(line)
        head, parts = (key, ""), [rest.strip(SPACE)]
        between = line[:len(line) - len(rest)] if line[0] != '"' else key + _after_quotes(line, rest)
    if head is not None:
        yield _entry(head, between, parts)


def _entry(head: tuple[str, str], between: str, parts: list[str]) -> tuple[str, str, str]:
    data = " ".join(parts)
    return head[0], data, (between if parts[0] else between.rstrip(SPACE)) + data


def _after_quotes(line: str, rest: str) -> str:
    """Return what stands between a quoted key and its data."""
    tail = line[:len(line) - len(rest)]
    return tail[tail.rfind('"') + 1:]


def split_key(line: str) -> tuple[str, str]:
    """Return (key, the data after it, white space before it taken off): the key ends at ":" or space, or is quoted."""
    if line[:1] == '"':
        at = 1
        while at < len(line) and line[at] != '"':
            at += 2 if line[at] == "\\" else 1
        key = _ESCAPE.sub(_unescaped, line[1:at])
        rest = line[at + 1:]
    else:
        at = 0
        while at < len(line) and line[at] != ":" and line[at] not in SPACE:
            at += 1
        key, rest = line[:at], line[at:]
    rest = rest.lstrip(SPACE)
    if rest[:1] == ":":
        rest = rest[1:]
    return key, rest.lstrip(SPACE)


def _unescaped(m: re.Match[str]) -> str:
    if m[1]:
        return chr(int(m[1], 16))
    if m[2]:
        return chr(int(m[2], 8) & 255)
    return _NAMED.get(m[3], m[3])


class Lsearch(Lookup):
    """The key is compared without regard to case."""

    kind = "lsearch"
    """What complaints about the file call the type: the same for all relatives."""

    def open(self, name: str, scope: Scope) -> TextFile | Deferred:
        try:
            fd = os.open(name.encode("latin-1"), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            return Deferred(f"failed to open {name} for linear search: {e.strerror}")
        try:
            st = os.fstat(fd)
            complaint = check_file(st, name, self.kind)
            if complaint:
                return Deferred(complaint)
            with os.fdopen(fd, "rb", closefd=False) as f:
                return TextFile(name, identity(st), f.read())
        except OSError as e:
            return Deferred(f"failed to read {name} for linear search: {e.strerror}")
        finally:
            os.close(fd)

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        offset = handle.offset_of(key)
        if offset < 0:
            return NOT_FOUND
        entry = handle.entry_at(offset)
        return Found(entry[2] if options.get("ret") == "full" else entry[1])


class Wildlsearch(Lsearch):
    """Keys in the file are patterns, expanded before use."""

    expands = True
    keeps_results = True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        wanted = Tainted(key)
        saved = {k: v for k, v in scope.vars.items() if k.isdigit()}
        try:
            for start, pattern in self._patterns(handle, scope):
                if isinstance(pattern, str):
                    try:
                        first = table.load(table.COMPILE_KEYS)([expand(pattern, scope)], scope)
                    except ExpansionError as e:
                        return Deferred(f'failed to expand "{pattern}" while checking a list: {e.text}')
                else:
                    first = pattern
                number = first(wanted, scope)
                if not isinstance(number, int):
                    return Deferred(number.error)
                if number >= 0:
                    _, data, whole = handle.entries[start + number]
                    return Found(whole if options.get("ret") == "full" else data)
            return NOT_FOUND
        finally:
            for k in [k for k in scope.vars if k.isdigit()]:
                del scope.vars[k]
            scope.vars.update(saved)

    def _patterns(self, handle: TextFile, scope: Scope) -> list[tuple[int, Any]]:
        """Return (number of an entry, its key to be expanded), or what is compiled of it and those after it."""
        if handle.patterns is None:
            handle.patterns = []
            compile_keys = table.load(table.COMPILE_KEYS)
            numbered = enumerate(entry[0] for entry in handle.all_entries())
            for fixed, group in groupby(numbered, key=lambda key: not self.expands or is_literal(key[1])):
                keys = list(group)
                handle.patterns += ([(keys[0][0], compile_keys([key for _, key in keys], scope))] if fixed else keys)
        return handle.patterns


class Nwildlsearch(Wildlsearch):
    """Like wildlsearch, without expansion of the keys."""

    expands = False


class Iplsearch(Lsearch):
    """Keys in the file are IP addresses and networks; the first that fits counts."""

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        entries = handle.all_entries()
        full = options.get("ret") == "full"
        if key == "*":
            return next((Found(whole if full else data) for text, data, whole in entries if text == "*"), NOT_FOUND)
        address = parse(key)
        if address is None:
            return Deferred(f'"{key}" is not a valid iplsearch key (an IP address, with optional CIDR mask, is '
                            'wanted): in a host list, use net-iplsearch as the search type')
        address = unmapped_key(address)
        if handle.networks is None:
            handle.networks = NetworkTable()
            for written, data, whole in entries:
                network = parse_network(written)
                if network is not None:
                    handle.networks.add(network, (data, whole))
        found = handle.networks.find(address)
        return NOT_FOUND if found is None else Found(found[1 if full else 0])
