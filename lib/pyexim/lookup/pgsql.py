"""pgsql: SQL on a PostgreSQL server; needs the package psycopg, of which only the layer over libpq is used.

Spec: sections "More about MySQL, PostgreSQL...", "Special PostgreSQL features".
"""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg
from psycopg import pq

from pyexim.base.ipaddress import is_ip
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, OBEYED, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import Kind, Server, ask_servers, four_fields, row_text

KIND: Final = Kind("PostgreSQL", "pgSQL", "pgsql_servers", four_fields)
_SOCKET: Final = re.compile(r"\(([^)]*)/[^)/]*\.([^)/.]*)\)?", re.ASCII)
_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^:]*))(?::(?P<port>.*))?\Z", re.ASCII | re.DOTALL)
_GONE_STATES: Final = (b"57P", b"08")
"""SQLSTATE of a shutdown, and of a broken connection: the class of an error's last words."""
CONNECT_SECONDS: Final = 20
"""How long a server may take to accept a connection; Exim waits as long as the system does."""


class Gone(Deferred):
    """The server has ended the connection."""


class Pgsql(Lookup):
    """A query's rows, or the number of rows that a change affected."""

    query_style = True
    quoter = "pgsql"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        return ask_servers(key, options, scope.config.main.pgsql_servers, KIND, self._ask)

    def _ask(self, server: Server, query: str) -> Outcome:
        connection = self._connections.get(server)
        kept = connection is not None
        if connection is None:
            made = _connect(server)
            if isinstance(made, Deferred):
                return made
            connection = self._connections[server] = made
        outcome = _obey(connection, query)
        if isinstance(outcome, Gone) or (isinstance(outcome, Deferred) and connection.status != pq.ConnStatus.OK):
            connection.finish()
            del self._connections[server]
            if kept:
                return self._ask(server, query)  # the server had closed an idle connection
        return outcome

    def close(self, handle: Any) -> None:
        for connection in self._connections.values():
            connection.finish()
        self._connections.clear()


def _obey(connection: Any, query: str) -> Outcome:
    """Send a query (or several; the last counts) and make text of the result."""
    if "\0" in query:
        return Deferred("PGSQL: query failed: it contains a NUL")
    try:
        result = connection.exec_(query.encode("latin-1"))
    except psycopg.OperationalError as e:  # no result at all: the connection is gone
        return Gone(f"PGSQL: query failed: {e}\n")
    if result.status in (pq.ExecStatus.EMPTY_QUERY, pq.ExecStatus.COMMAND_OK):
        affected = result.command_tuples
        return OBEYED if affected is None else Found(str(affected), changed=True)
    if result.status != pq.ExecStatus.TUPLES_OK:
        text = (result.error_message or connection.error_message).decode("latin-1")
        if result.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH):
            connection.reset()  # nobody is there for the data
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        # an error that the library found itself has no state
        gone = result.status == pq.ExecStatus.FATAL_ERROR and (not state or state.startswith(_GONE_STATES))
        kind = Gone if gone else Deferred
        return kind(f"PGSQL: query failed: {text} (PGRES_{pq.ExecStatus(result.status).name}) ({query})\n")
    names = [_text(result.fname(i)) for i in range(result.nfields)]
    rows = [row_text(names, [_text(result.get_value(r, c)) for c in range(result.nfields)])
            for r in range(result.ntuples)]
    return Found("\n".join(rows)) if rows else NOT_FOUND


def _connect(server: Server) -> Any | Deferred:
    arguments: dict[str, str] = {"dbname": server.database, "user": server.user, "password": server.password,
                                 "connect_timeout": str(CONNECT_SECONDS)}
    h = _HOST.match(server.host)
    if server.host.startswith("("):
        m = _SOCKET.match(server.host)
        if m is None:
            return Deferred(f"PGSQL invalid filename for socket: {server.host[1:].partition(')')[0]}")
        arguments["host"], arguments["port"] = m[1], m[2]
    elif "/" in server.host:
        return Deferred(f"unexpected slash in pgSQL server hostname: {server.host}")
    elif is_ip(server.host) == 6 or h is None:
        arguments["host"] = server.host
    else:
        arguments["host"], arguments["port"] = h["v6"] or h["name"], h["port"] or ""
    text = " ".join(f"{k}={_quoted(v)}" for k, v in arguments.items() if v)
    connection = pq.PGconn.connect(text.encode("latin-1"))
    if connection.status != pq.ConnStatus.OK:
        wrong = connection.error_message.decode("latin-1")
        connection.finish()
        return Deferred(f"PGSQL connection failed: {wrong}")
    connection.exec_(b"SET client_encoding TO SQL_ASCII")  # octets are passed as they are
    return connection


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _text(value: bytes | None) -> str:
    return "" if value is None else bytes(value).decode("latin-1")
