"""Write a Berkeley DB hash file (version 9) from a dictionary, without the library.

The file is made in one go: a metadata page, a page for each bucket in its place, then the pages that are full
buckets' continuations and the long items'.  Any program with the library can read and change it.
"""

from __future__ import annotations

import os
import struct
from typing import Final

_MAGIC: Final = 0x061561
_VERSION: Final = 9
_PAGE: Final = 4096
_HEADER: Final = 26
_META, _BUCKET, _OVERFLOW = 8, 2, 7
"""Page types: hash metadata, unsorted hash page, overflow."""
_KEYDATA, _OFFPAGE = 1, 3
_OFFPAGE_ITEM: Final = struct.Struct("<B3xII")
_PAGE_HEAD: Final = struct.Struct("<8xIIIHHBB")
_NONE: Final = 0
_LONGEST: Final = _PAGE // 4
"""Longer items have pages of their own."""


def fnv(data: bytes) -> int:
    """Return the library's default hash of a key."""
    value = 0
    for octet in data:
        value = (value * 16777619 & 0xFFFFFFFF) ^ octet
    return value


def hash_file(records: dict[bytes, bytes]) -> bytes:
    """Return the octets of a file with these records."""
    buckets = 1
    total = sum(min(len(k), _LONGEST) + min(len(v), _LONGEST) + 6 for k, v in records.items())
    while buckets < 2 or buckets * _PAGE * 3 // 4 < total:
        buckets *= 2
    writer = _Writer(buckets)
    for key, value in records.items():
        writer.add(fnv(key) & buckets - 1, key, value)
    return writer.meta(len(records)) + b"".join(page.octets() for page in writer.pages)


class _Page:
    """One page; items grow from the end, their offsets from the beginning."""

    def __init__(self, number: int, kind: int) -> None:
        self.number, self.kind = number, kind
        self.previous = self.following = _NONE
        self.items: list[bytes] = []
        self.free = _PAGE - _HEADER
        self.data = b""
        self.references = 0

    def octets(self) -> bytes:
        """Return the page as it is in the file."""
        if self.kind == _OVERFLOW:
            head = _PAGE_HEAD.pack(self.number, self.previous, self.following, self.references, len(self.data), 0,
                                   self.kind)
            return (head + self.data).ljust(_PAGE, b"\0")
        offsets = []
        end = _PAGE
        for item in self.items:
            end -= len(item)
            offsets.append(end)
        head = _PAGE_HEAD.pack(self.number, self.previous, self.following, len(self.items), end, 0, self.kind)
        index = struct.pack(f"<{len(offsets)}H", *offsets)
        return (head + index).ljust(end, b"\0") + b"".join(reversed(self.items))


class _Writer:
    def __init__(self, buckets: int) -> None:
        self.buckets = buckets
        self.pages = [_Page(number + 1, _BUCKET) for number in range(buckets)]
        self.last = list(self.pages)

    def _new(self, kind: int) -> _Page:
        page = _Page(len(self.pages) + 1, kind)
        self.pages.append(page)
        return page

    def add(self, bucket: int, key: bytes, value: bytes) -> None:
        """Put a record into its bucket."""
        items = [self._item(key), self._item(value)]
        need = sum(len(item) + 2 for item in items)
        page = self.last[bucket]
        if page.free < need:
            more = self._new(_BUCKET)
            page.following, more.previous = more.number, page.number
            page = self.last[bucket] = more
        page.items += items
        page.free -= need

    def _item(self, data: bytes) -> bytes:
        if len(data) <= _LONGEST:
            return bytes([_KEYDATA]) + data
        room = _PAGE - _HEADER
        first = previous = None
        for start in range(0, len(data), room):
            page = self._new(_OVERFLOW)
            page.data, page.references = data[start:start + room], 1
            if previous is not None:
                previous.following, page.previous = page.number, previous.number
            first, previous = first or page, page
        assert first is not None
        return _OFFPAGE_ITEM.pack(_OFFPAGE, first.number, len(data))

    def meta(self, records: int) -> bytes:
        """Return the metadata page."""
        top = self.buckets - 1
        bits = self.buckets.bit_length() - 1
        # Bucket b is on page b + spares[bits of b]: all of them were made at once, one page after the first.
        spares = [1] * (bits + 1) + [0] * (31 - bits)
        head = struct.pack("<8xIIIIBBBxIIII20s", 0, _MAGIC, _VERSION, _PAGE, 0, _META, 0, _NONE, len(self.pages),
                           records, records, b"")
        head = head[:52] + os.urandom(20)
        own = struct.pack("<IIIIII32I", top, top, top >> 1, 0, records, fnv(b"%$sniglet^&\0"), *spares)
        return (head + own).ljust(_PAGE, b"\0")
