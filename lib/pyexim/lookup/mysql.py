"""mysql: SQL on a MySQL or MariaDB server; needs the package pymysql.

Spec: sections "More about MySQL, PostgreSQL...", "Special MySQL features".
"""

from __future__ import annotations

import re
from typing import Any, Final

import pymysql  # type: ignore[import-untyped, unused-ignore]

from pyexim.base.ipaddress import is_ip
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import Server, first_that_answers, row_text, servers_for

_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^:(\[]*))(?::(?P<port>\d+))?"
    r"(?:\((?P<socket>[^)]*)\))?(?:\[(?P<group>[^\]]*)\])?\Z", re.ASCII)
_TIMEOUT: Final = 20


class Mysql(Lookup):
    """A query's rows, or the number of rows that a change affected."""

    query_style = True
    quoter = "mysql"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        found = servers_for(key, options, scope.config.main.mysql_servers, "MySQL", "mysql_servers")
        if isinstance(found, Deferred):
            return found
        query, servers = found
        trouble: list[str] = []
        outcome = first_that_answers(servers, lambda server: self._ask(server, query, trouble), "MySQL")
        return Deferred(trouble[-1]) if isinstance(outcome, Deferred) and trouble else outcome

    def _ask(self, server: Server, query: str, trouble: list[str]) -> Outcome | None:
        connection = self._connections.pop(server, None)
        fresh = connection is None
        try:
            if connection is None:
                connection = _connect(server)
            with connection.cursor() as cursor:
                cursor.execute(query.encode("latin-1"))
                if cursor.description is None:
                    outcome: Outcome = Found(str(cursor.rowcount), changed=True)
                else:
                    names = [str(d[0]) for d in cursor.description]
                    rows = [row_text(names, [_text(v) for v in row]) for row in cursor.fetchall()]
                    outcome = Found("\n".join(rows)) if rows else NOT_FOUND
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as e:
            if not fresh:
                return self._ask(server, query, trouble)  # the server had closed an idle connection
            trouble.append(f"MYSQL connection failed: {e}")
            return None
        except pymysql.err.MySQLError as e:
            trouble.append(f"MYSQL: query failed: {e}")
            return Deferred(trouble[-1])
        self._connections[server] = connection
        return outcome

    def close(self, handle: Any) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def _connect(server: Server) -> Any:
    arguments: dict[str, Any] = {"user": server.user, "password": server.password, "autocommit": True,
                                 "charset": "latin1", "use_unicode": False, "connect_timeout": _TIMEOUT,
                                 "read_timeout": _TIMEOUT}
    if server.database:
        arguments["database"] = server.database
    if is_ip(server.host) == 6:
        return pymysql.connect(host=server.host, **arguments)
    m = _HOST.match(server.host)
    if m is None:
        raise OSError(f"bad MySQL host {server.host}")
    host = m["v6"] or m["name"]
    if m["socket"] or host in ("", "localhost"):
        arguments["unix_socket"] = m["socket"] or "/var/run/mysqld/mysqld.sock"
    else:
        arguments["host"] = host
        if m["port"]:
            arguments["port"] = int(m["port"])
    if m["group"]:
        arguments["read_default_group"] = m["group"]
    return pymysql.connect(**arguments)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
