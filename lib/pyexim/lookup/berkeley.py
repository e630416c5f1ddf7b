"""Berkeley DB files, read only: hash and btree databases as exim_dbmbuild, makemap and others write them.

The pages are gone through once and what they hold is kept; no library is needed.  Only what the lookups
want is read: no duplicates beyond the first, no encryption, no sub-databases.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

_HASH_MAGIC: Final = 0x061561
_BTREE_MAGIC: Final = 0x053162
_HEADER_SIZE: Final = 26
_HASH_UNSORTED, _BTREE_LEAF, _OVERFLOW, _HASH = 2, 5, 7, 13
_KEYDATA, _DUPLICATE, _OFFPAGE = 1, 2, 3


class NotBerkeley(Exception):
    """The file is no Berkeley DB file, or of a kind that is not read; the text says why."""


class _Pages:
    def __init__(self, data: bytes) -> None:
        self.data = data
        for order in "<>":
            magic = Struct(order + "I").unpack_from(data, 12)[0]
            if magic in (_HASH_MAGIC, _BTREE_MAGIC):
                break
        else:
            raise NotBerkeley("it is no Berkeley DB hash or btree file")
        self.u16, self.u32 = Struct(order + "H"), Struct(order + "I")
        self.size = self.u32.unpack_from(data, 20)[0]
        if self.size < 512 or self.size > 65536 or self.size & (self.size - 1):
            raise NotBerkeley("its page size is wrong")
        if data[24]:
            raise NotBerkeley("it is encrypted")

    def short(self, at: int) -> int:
        value: int = self.u16.unpack_from(self.data, at)[0]
        return value

    def long(self, at: int) -> int:
        value: int = self.u32.unpack_from(self.data, at)[0]
        return value

    def overflow(self, page: int, total: int) -> bytes:
        """Return data that is kept on pages of its own."""
        out = bytearray()
        seen: set[int] = set()
        while page and len(out) < total and page not in seen:
            seen.add(page)
            at = page * self.size
            if self.data[at + 25] != _OVERFLOW:
                raise NotBerkeley("an overflow page is missing")
            out += self.data[at + _HEADER_SIZE:at + _HEADER_SIZE + self.short(at + 22)]
            page = self.long(at + 16)
        return bytes(out[:total])


def read(data: bytes) -> dict[bytes, bytes]:
    """Return the records of a database file; NotBerkeley where it cannot be read."""
    if len(data) < 512:
        raise NotBerkeley("it is too short")
    pages = _Pages(data)
    out: dict[bytes, bytes] = {}
    try:
        for at in range(pages.size, len(data) - pages.size + 1, pages.size):
            kind = data[at + 25]
            if kind in (_HASH, _HASH_UNSORTED):
                items = _hash_items(pages, at)
            elif kind == _BTREE_LEAF:
                items = _btree_items(pages, at)
            else:
                continue
            for i in range(0, len(items) - 1, 2):
                out.setdefault(items[i], items[i + 1])
    except (IndexError, ValueError) as e:
        raise NotBerkeley(f"a page is damaged: {e}") from None
    return out


def _hash_items(pages: _Pages, at: int) -> list[bytes]:
    items = []
    end = pages.size
    for i in range(pages.short(at + 20)):
        start = pages.short(at + _HEADER_SIZE + 2 * i)
        if not _HEADER_SIZE <= start < end:
            raise ValueError("item outside of its page")
        place = at + start
        kind = pages.data[place]
        if kind == _OFFPAGE:
            items.append(pages.overflow(pages.long(place + 4), pages.long(place + 8)))
        elif kind == _DUPLICATE:
            size = pages.short(place + 1)
            items.append(pages.data[place + 3:place + 3 + size])
        elif kind == _KEYDATA:
            items.append(pages.data[place + 1:at + end])
        else:
            items.append(b"")
        end = start
    return items


def _btree_items(pages: _Pages, at: int) -> list[bytes]:
    items = []
    for i in range(pages.short(at + 20)):
        place = at + pages.short(at + _HEADER_SIZE + 2 * i)
        kind = pages.data[place + 2]
        if kind & 0x80:  # deleted
            items.append(b"")
        elif kind & 0x7F == _OFFPAGE:
            items.append(pages.overflow(pages.long(place + 4), pages.long(place + 8)))
        else:
            size = pages.short(place)
            items.append(pages.data[place + 3:place + 3 + size])
    return items
