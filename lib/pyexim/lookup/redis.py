"""redis: commands to a Redis server; needs the package redis.  Spec: sections "More about Redis", 9.22, 9.23."""

from __future__ import annotations

from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pyexim.base.octets import SPACE, is_digits, lower
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, OBEYED, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import Kind, Server, ask_servers

_TIMEOUT: Final = 10.0
_READING: Final = frozenset({
    "bitcount", "dbsize", "echo", "exists", "get", "getbit", "getrange", "hexists", "hget", "hgetall", "hkeys", "hlen",
    "hmget", "hstrlen", "hvals", "keys", "lindex", "llen", "lrange", "mget", "ping", "scard", "sdiff", "sinter",
    "sismember", "smembers", "smismember", "strlen", "sunion", "type", "zcard", "zcount", "zmscore", "zrange",
    "zrangebyscore", "zrank", "zrevrange", "zscore"})
"""Commands whose results may be kept; any other may change the data."""


def parse_server(entry: str) -> Server:
    """Take host/database/password apart; a socket in parentheses has slashes of its own.  Only the host must be."""
    close = entry.find(")") + 1 if entry[:1] == "(" else 0
    rest = entry[close:]
    host, _, more = rest.partition("/")
    database, _, password = more.partition("/")
    return Server(entry[:close] + host, database, "", password)


KIND: Final = Kind("Redis", "Redis", "redis_servers", parse_server)


class Redis(Lookup):
    """The query is a command with its arguments; servers are host:port/database/password."""

    query_style = True
    quoter = "redis"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        return ask_servers(key, options, scope.config.main.redis_servers, KIND, self._ask)

    def _ask(self, server: Server, query: str) -> Outcome:
        command = split_command(query)
        if not command:
            return Deferred("REDIS: query failed: it is empty")
        try:
            client = self._connections.get(server)
            if client is None:
                client = self._connections[server] = _connect(server)
            answer = client.execute_command(*[part.encode("latin-1") for part in command])
        except redis.exceptions.ResponseError as e:  # MOVED too: another server of the cluster has it
            return Deferred(f"REDIS: query failed: {e}")
        except (redis.exceptions.RedisError, OSError, ValueError) as e:
            self._connections.pop(server, None)
            return Deferred(f"REDIS connection failed: {e}")
        changed = lower(command[0]) not in _READING
        if answer is None or answer == []:
            return OBEYED if changed else NOT_FOUND
        return Found(_text(answer), changed=changed)

    def close(self, handle: Any) -> None:
        for client in self._connections.values():
            client.close()
        self._connections.clear()


def _connect(server: Server) -> Any:
    if server.database and not is_digits(server.database):
        raise ValueError(f'the database "{server.database}" is no number')
    shared: dict[str, Any] = {"db": int(server.database or 0), "password": server.password or None,
                              "socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT,
                              "protocol": 2,  # what every server understands
                              # once at once, for a kept connection that was closed; the list has other servers
                              "retry": Retry(NoBackoff(), 1)}
    if server.host.startswith("("):
        client = redis.Redis(unix_socket_path=server.host[1:].rstrip(")"), **shared)
    else:
        host, _, port = server.host.partition(":")
        client = redis.Redis(host=host, port=int(port) if is_digits(port) else 6379, **shared)
    client.response_callbacks.clear()  # answers as the server gives them, of whatever command
    return client


def split_command(query: str) -> list[str]:
    """Split a command at white space; a backslash takes the next character as it is."""
    out: list[str] = []
    current: list[str] = []
    inside = False
    i = 0
    while i < len(query):
        c = query[i]
        if c == "\\" and i + 1 < len(query):
            current.append(query[i + 1])
            inside = True
            i += 2
            continue
        if c in SPACE:
            if inside:
                out.append("".join(current))
                current, inside = [], False
        else:
            current.append(c)
            inside = True
        i += 1
    if inside:
        out.append("".join(current))
    return out


def _text(answer: Any) -> str:
    if isinstance(answer, list):
        return "\n".join(_text(a) for a in answer)
    if isinstance(answer, bytes):
        return answer.decode("latin-1")
    return "" if answer is None else str(answer)
