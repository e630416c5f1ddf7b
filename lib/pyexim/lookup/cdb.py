"""cdb: constant databases, read from the file's own tables.  Format: https://cr.yp.to/cdb/cdb.txt."""

from __future__ import annotations

import mmap
import os
from struct import Struct
from typing import Any, Final

from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, check_file, identity, unchanged

_PAIR: Final = Struct("<II")
_TABLES: Final = 2048


@dataclass(slots=True)
class CdbFile:
    """An open database."""

    path: str
    identity: Identity
    map: mmap.mmap


def hash_of(key: bytes) -> int:
    """Return the hash of a key as the format defines it."""
    h = 5381
    for c in key:
        h = ((h << 5) + h ^ c) & 0xFFFFFFFF
    return h


class Cdb(Lookup):
    """A key without terminating zero."""

    def open(self, name: str, scope: Scope) -> CdbFile | Deferred:
        try:
            fd = os.open(name.encode("latin-1"), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            return Deferred(f"failed to open {name} for cdb lookup: {e.strerror}")
        try:
            st = os.fstat(fd)
            complaint = check_file(st, name, "cdb")
            if complaint:
                return Deferred(complaint)
            if st.st_size < _TABLES:
                return Deferred(f"{name} is too short for cdb lookup")
            return CdbFile(name, identity(st), mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
        except OSError as e:
            return Deferred(f"failed to read {name} for cdb lookup: {e.strerror}")
        finally:
            os.close(fd)

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def close(self, handle: Any) -> None:
        handle.map.close()

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        data = handle.map
        wanted = key.encode("latin-1")
        h = hash_of(wanted)
        table, slots = _PAIR.unpack_from(data, (h & 255) * 8)
        if table + slots * 8 > len(data):
            return Deferred(f"{name} is corrupt (cdb lookup): a table runs past the end")
        start = (h >> 8) % slots if slots else 0
        for i in range(slots):
            have, place = _PAIR.unpack_from(data, table + (start + i) % slots * 8)
            if place == 0:
                return NOT_FOUND
            if have != h:
                continue
            if place + 8 > len(data):
                return Deferred(f"{name} is corrupt (cdb lookup): a record runs past the end")
            key_size, value_size = _PAIR.unpack_from(data, place)
            if key_size == len(wanted) and data[place + 8:place + 8 + key_size] == wanted:
                end = place + 8 + key_size + value_size
                if end > len(data):
                    return Deferred(f"{name} is corrupt (cdb lookup): a record runs past the end")
                return Found(data[end - value_size:end].decode("latin-1"))
        return NOT_FOUND
