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
from pyexim.lookup.mysql_options import read_options
from pyexim.lookup.sql import Kind, Server, ask_servers, four_fields, row_text

KIND: Final = Kind("MySQL", "MySQL", "mysql_servers", four_fields)
_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\]|(?P<name>[^:(\[]*))(?::(?P<port>[^(\[]*))?"
    r"(?:\((?P<socket>[^)]*)\)?)?(?:\[(?P<group>[^\]]*)\]?)?", re.ASCII)
DEFAULT_SOCKET: Final = "/run/mysqld/mysqld.sock"
DEFAULT_GROUP: Final = "exim"
CONNECT_SECONDS: Final = 20
READ_SECONDS: Final = 300
"""How long a query may take: nobody waits for ever on a connection that has died."""


class Mysql(Lookup):
    """A query's rows, or the number of rows that a change affected."""

    query_style = True
    quoter = "mysql"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        return ask_servers(key, options, scope.config.main.mysql_servers, KIND, self._ask)

    def _ask(self, server: Server, query: str) -> Outcome:
        connection = self._connections.get(server)
        kept = connection is not None
        if connection is None:
            try:
                connection = self._connections[server] = _connect(server)
            except (pymysql.err.MySQLError, OSError, ValueError) as e:
                return Deferred(f"MYSQL connection failed: {_unconnected(e) or _complaint(e)}")
        try:
            return _obey(connection, query)
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as e:
            if connection.open:  # the server is there and refuses the query
                return Deferred(f"MYSQL: query failed: {_complaint(e)}\n")
            del self._connections[server]
            if kept:
                return self._ask(server, query)  # the server had closed an idle connection
            return Deferred(f"MYSQL: query failed: {_complaint(e)}\n")
        except (pymysql.err.MySQLError, ValueError) as e:
            return Deferred(f"MYSQL: query failed: {_complaint(e)}\n")

    def close(self, handle: Any) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def _obey(connection: Any, query: str) -> Outcome:
    with connection.cursor() as cursor:
        cursor.execute(query.encode("latin-1"))
        if cursor.description is None:
            return Found(str(cursor.rowcount), changed=True)
        names = [_octets(d[0]) for d in cursor.description]
        text: str | None = None
        for row in cursor.fetchall():
            if text is not None:
                text += "\n"
            if len(names) > 1:
                text = (text or "") + row_text(names, [_text(v) for v in row])
            elif row[0] is not None:  # rows of one NULL before the first value leave no trace
                text = (text or "") + _text(row[0])
        return NOT_FOUND if text is None else Found(text)


def _connect(server: Server) -> Any:
    arguments: dict[str, Any] = {}
    group = DEFAULT_GROUP
    if is_ip(server.host) == 6:
        arguments["host"] = server.host
    else:
        m = _HOST.match(server.host)
        assert m is not None  # every part may be missing
        host = m["v6"] or m["name"]
        group = m["group"] or group
        if m["socket"] or host in ("", "localhost"):
            arguments["unix_socket"] = m["socket"] or None
        else:
            arguments["host"] = host
            port = re.match(r"\d*", m["port"] or "", re.ASCII)
            arguments["port"] = int(port[0]) if port is not None and port[0] else 0
    options = read_options(("client", "client-mariadb", group))
    if "host" not in arguments and not arguments.get("unix_socket"):
        arguments["unix_socket"] = options.get("socket") or DEFAULT_SOCKET
    if arguments.get("port") == 0:
        arguments["port"] = int(options.get("port") or 3306)
    for name in ("ssl_ca", "ssl_cert", "ssl_key"):
        if options.get(name):
            arguments[name] = options[name]
    if server.database:
        arguments["database"] = server.database
    seconds = options.get("connect_timeout", "")
    connection = pymysql.connect(
        defer_connect=True, user=server.user or options.get("user"),
        password=server.password or options.get("password", ""), autocommit=True, use_unicode=False, conv={},
        charset=options.get("default_character_set") or "utf8mb4",
        connect_timeout=int(seconds) if seconds.isdecimal() and int(seconds) else CONNECT_SECONDS,
        read_timeout=READ_SECONDS, **arguments)
    try:
        connection.connect()
    except pymysql.err.OperationalError as e:
        path = arguments.get("unix_socket")
        e.where = f"local server through socket '{path}'" if path else f"server on '{arguments['host']}'"
        raise
    return connection


def _unconnected(e: Exception) -> str:
    """Return the words of MySQL's own library for a server that is not there; "" for other errors."""
    cause = getattr(e, "original_exception", None)
    if not isinstance(cause, OSError) or cause.errno is None:
        return ""
    where = getattr(e, "where", "")
    return f"Can't connect to {where} ({cause.errno})"


def _complaint(e: Exception) -> str:
    """Return the words of the server, without the number in front."""
    text = str(e.args[1] if len(e.args) > 1 else e)
    return _octets(text)


def _octets(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
