"""dbm, dbmnz, dbmjz: keyed databases of the dbm family.

Read are Berkeley DB hash and btree files: what exim_dbmbuild makes with Debian's Exim, which reads these two
as well.  Spec: section "Single-key lookup types".
"""

from __future__ import annotations

import os
from typing import Any

from pyexim.base.lists import split_list
from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, check_file, identity, unchanged
from pyexim.lookup.berkeley import NotBerkeley, read


@dataclass(slots=True)
class DbmFile:
    """A database that was read."""

    path: str
    identity: Identity
    records: dict[bytes, bytes]


class Dbm(Lookup):
    """The key with a terminating zero."""

    def key_of(self, key: str) -> bytes:
        return key.encode("latin-1") + b"\0"

    def open(self, name: str, scope: Scope) -> DbmFile | Deferred:
        try:
            with open(name.encode("latin-1"), "rb") as f:
                st = os.fstat(f.fileno())
                complaint = check_file(st, name, "dbm")
                if complaint:
                    return Deferred(complaint)
                data = f.read()
        except OSError as e:
            return Deferred(f"failed to open {name} as a db (v4.1+) file: {e.strerror}")
        try:
            return DbmFile(name, identity(st), read(data))
        except NotBerkeley as e:
            return Deferred(f"failed to open {name} as a db (v4.1+) file: {e}")

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        data = handle.records.get(self.key_of(key))
        if data is None:
            return NOT_FOUND
        return Found(data.partition(b"\0")[0].decode("latin-1"))


class Dbmnz(Dbm):
    """The key without a terminating zero."""

    def key_of(self, key: str) -> bytes:
        return key.encode("latin-1")


class Dbmjz(Dbm):
    """The key is a list, its items joined with zeros."""

    def key_of(self, key: str) -> bytes:
        return "\0".join(split_list(key)).encode("latin-1")
