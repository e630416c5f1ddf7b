"""testdb: answers that the query itself asks for, for testing.  Spec: section "Query-style lookup types"."""

from __future__ import annotations

from typing import Any

from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome


class Testdb(Lookup):
    """"fail" is not found, "defer" defers, "nocache" is found and not kept; anything else is its own answer."""

    query_style = True
    keeps_results = True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        if key == "fail":
            return NOT_FOUND
        if key == "defer":
            return Deferred("testdb lookup forced DEFER")
        return Found(key, seconds=0 if key == "nocache" else float("inf"))
