"""lmdb: LMDB databases, read only; needs the package lmdb.  Spec: section "Single-key lookup types"."""

from __future__ import annotations

import os
from typing import Any

import lmdb  # type: ignore[import-untyped, unused-ignore]

from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, identity, unchanged


@dataclass(slots=True)
class LmdbFile:
    """An open environment."""

    path: str
    identity: Identity
    environment: Any


class Lmdb(Lookup):
    """The file itself is named, not a directory."""

    def open(self, name: str, scope: Scope) -> LmdbFile | Deferred:
        try:
            was = identity(os.stat(name.encode("latin-1")))
            environment = lmdb.open(name.encode("latin-1"), subdir=False, readonly=True, lock=False, max_dbs=0)
        except (lmdb.Error, OSError) as e:
            return Deferred(f"LMDB: Unable to open {name}: {e}")
        return LmdbFile(name, was, environment)

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def close(self, handle: Any) -> None:
        handle.environment.close()

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        try:
            with handle.environment.begin(buffers=False) as transaction:
                data = transaction.get(key.encode("latin-1"))
        except lmdb.Error as e:
            return Deferred(f"LMDB: error reading {name}: {e}")
        return NOT_FOUND if data is None else Found(data.decode("latin-1"))
