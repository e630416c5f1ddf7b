"""sqlite: SQL queries on a file.  Spec: section "More about SQLite"."""

from __future__ import annotations

import re
from typing import Any

from pyexim.base.octets import SPACE
from pyexim.base.taint import is_tainted
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, OBEYED, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import row_text

_FILE_FIRST = re.compile(r"(/\S*)\s+", re.ASCII)


class Sqlite(Lookup):
    """The file is given by the option ``file``, before the query, or by sqlite_dbfile."""

    query_style = True
    quoter = "sqlite"
    keeps_results = True

    def file_of(self, query: str, options: dict[str, str], scope: Scope) -> str | Deferred:
        name = options.get("file")
        if not name:
            m = _FILE_FIRST.match(query.lstrip(SPACE))
            if m is not None:
                if is_tainted(query):
                    return Deferred(f"Tainted filename for search '{m[1]}'")
                name = m[1]
            else:
                name = scope.config.main.sqlite_dbfile or ""
        if not name.startswith("/"):
            return Deferred('absolute file name expected for "sqlite" lookup')
        return name

    def open(self, name: str, scope: Scope) -> Any | Deferred:
        import sqlite3  # heavy: only where it is used

        try:
            connection = sqlite3.connect(name, timeout=scope.config.main.sqlite_lock_timeout, isolation_level=None)
        except (sqlite3.Error, ValueError) as e:
            return Deferred(str(e))
        connection.text_factory = lambda data: data.decode("latin-1")
        return connection

    def close(self, handle: Any) -> None:
        handle.close()

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        import sqlite3

        text = key.lstrip(SPACE)
        if not options.get("file"):
            m = _FILE_FIRST.match(text)
            if m is not None:
                text = text[m.end():]
        before = handle.total_changes
        try:
            rows = []
            cursor: Any = None
            for statement in statements(text):
                # octets are the database's UTF-8
                cursor = handle.execute(statement.encode("latin-1").decode("utf-8", "surrogateescape"))
                names = [d[0].encode("utf-8", "replace").decode("latin-1") for d in cursor.description or ()]
                rows += [row_text(names, [_text(v) for v in row]) for row in cursor]
        except (sqlite3.Error, sqlite3.Warning, ValueError, UnicodeError) as e:
            return Deferred(f"sqlite3_exec: {e}")
        changed = handle.total_changes != before
        if not rows:
            return OBEYED if changed or cursor.description is None else NOT_FOUND
        return Found("\n".join(rows), changed=changed)


def statements(text: str) -> list[str]:
    """Split a query into its statements: only one at a time can be obeyed."""
    import sqlite3

    out = []
    start = 0
    at = text.find(";")
    while at >= 0 and text[at + 1:].strip(SPACE):
        if sqlite3.complete_statement(text[start:at + 1]):
            out.append(text[start:at + 1])
            start = at + 1
        at = text.find(";", at + 1)
    return [*out, text[start:]]


def _text(value: Any) -> str:
    if value is None:
        return "<NULL>"
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)
