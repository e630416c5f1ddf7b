"""redis: commands to a Redis server; needs the package redis.  Spec: sections "More about Redis", 9.22, 9.23."""

from __future__ import annotations

from typing import Any, Final

import redis  # type: ignore[import-not-found, import-untyped, unused-ignore]

from pyexim.base.octets import SPACE
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome
from pyexim.lookup.sql import Server, first_that_answers, servers_for

_TIMEOUT: Final = 10.0
_CHANGING: Final = frozenset({"set", "del", "incr", "decr", "incrby", "decrby", "setex", "setnx", "expire", "lpush",
                              "rpush", "lpop", "rpop", "hset", "hdel", "sadd", "srem", "append", "getset"})


class Redis(Lookup):
    """The query is a command with its arguments; servers are host:port/database/password."""

    query_style = True
    quoter = "redis"
    keeps_results = True

    def __init__(self) -> None:
        self._connections: dict[Server, Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        listed = getattr(scope.config.main, "redis_servers", None)
        found = servers_for(key, options, listed, "Redis", "redis_servers", parts=1)
        if isinstance(found, Deferred):
            return found
        query, servers = found
        command = split_command(query)
        if not command:
            return Deferred("REDIS: query is empty")
        return first_that_answers(servers, lambda server: self._ask(server, command), "Redis")

    def _ask(self, server: Server, command: list[str]) -> Outcome | None:
        try:
            client = self._connections.get(server)
            if client is None:
                client = self._connections[server] = _connect(server)
            answer = client.execute_command(*[part.encode("latin-1") for part in command])
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            self._connections.pop(server, None)
            return None
        except redis.exceptions.ResponseError as e:
            if str(e).startswith("MOVED"):
                return None  # another server of the cluster has it
            return Deferred(f"REDIS: query failed: {e}")
        except (redis.exceptions.RedisError, OSError) as e:
            self._connections.pop(server, None)
            return Deferred(f"REDIS: {e}")
        if answer is None or answer == []:
            return NOT_FOUND
        return Found(_text(answer), changed=command[0].lower() in _CHANGING)

    def close(self, handle: Any) -> None:
        for client in self._connections.values():
            client.close()
        self._connections.clear()


def _connect(server: Server) -> Any:
    # the list's items are host/database/password: the third field is the password
    shared = {"db": int(server.database) if server.database.isascii() and server.database.isdigit() else 0,
              "password": server.user or None, "socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT,
              "protocol": 2}  # what every server understands
    if server.host.startswith("("):
        return redis.Redis(unix_socket_path=server.host[1:].rstrip(")"), **shared)
    host, _, port = server.host.partition(":")
    return redis.Redis(host=host, port=int(port) if port.isdigit() else 6379, **shared)


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
    if isinstance(answer, bool):
        return "OK" if answer else ""
    return "" if answer is None else str(answer)
