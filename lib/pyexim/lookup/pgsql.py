"""pgsql: SQL on a PostgreSQL server; needs the package psycopg.

Spec: sections "More about MySQL, PostgreSQL...", "Special PostgreSQL features".
"""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg  # type: ignore[import-not-found, unused-ignore]

from pyexim.base.ipaddress import is_ip
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import Server, first_that_answers, row_text, servers_for

_SOCKET: Final = re.compile(r"\((.*)/\.s\.PGSQL\.(\d+)\)\Z", re.ASCII)
_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^:]*))(?::(?P<port>\d+))?\Z", re.ASCII)
_TIMEOUT: Final = 20


class Pgsql(Lookup):
    """A query's rows, or the number of rows that a change affected."""

    query_style = True
    quoter = "pgsql"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        found = servers_for(key, options, scope.config.main.pgsql_servers, "PostgreSQL", "pgsql_servers")
        if isinstance(found, Deferred):
            return found
        query, servers = found
        trouble: list[str] = []
        outcome = first_that_answers(servers, lambda server: self._ask(server, query, trouble), "PostgreSQL")
        return Deferred(trouble[-1]) if isinstance(outcome, Deferred) and trouble else outcome

    def _ask(self, server: Server, query: str, trouble: list[str]) -> Outcome | None:
        connection = self._connections.pop(server, None)
        fresh = connection is None
        try:
            if connection is None:
                connection = psycopg.connect(**_arguments(server))
                # Exim writes its escapes with backslashes; the server must read them so
                connection.execute("SET standard_conforming_strings TO off")
                connection.execute("SET escape_string_warning TO off")
            cursor = connection.execute(query.encode("latin-1"))
            if cursor.description is None:
                outcome: Outcome = Found(str(max(cursor.rowcount, 0)), changed=True)
            else:
                names = [d.name for d in cursor.description]
                rows = [row_text(names, [_text(v) for v in row]) for row in _raw_rows(cursor)]
                outcome = Found("\n".join(rows)) if rows else NOT_FOUND
        except psycopg.OperationalError as e:
            if not fresh:
                return self._ask(server, query, trouble)  # the server had closed an idle connection
            trouble.append(f"PGSQL connection failed: {e}")
            return None
        except (psycopg.Error, OSError) as e:
            trouble.append(f"PGSQL: query failed: {e}")
            return Deferred(trouble[-1])
        self._connections[server] = connection
        return outcome

    def close(self, handle: Any) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def _raw_rows(cursor: Any) -> list[list[bytes | None]]:
    """Return the rows as the server wrote them, in text form."""
    result = cursor.pgresult
    return [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]


def _arguments(server: Server) -> dict[str, Any]:
    arguments: dict[str, Any] = {"dbname": server.database, "user": server.user, "password": server.password,
                                 "connect_timeout": _TIMEOUT, "autocommit": True}
    m = _SOCKET.match(server.host)
    if m is not None:
        arguments["host"], arguments["port"] = m[1], int(m[2])
        return arguments
    if is_ip(server.host) == 6:
        arguments["host"] = server.host
        return arguments
    h = _HOST.match(server.host)
    if h is None:
        raise OSError(f"bad PostgreSQL host {server.host}")
    arguments["host"] = h["v6"] or h["name"]
    if h["port"]:
        arguments["port"] = int(h["port"])
    return arguments


def _text(value: bytes | None) -> str:
    return "" if value is None else bytes(value).decode("latin-1")
