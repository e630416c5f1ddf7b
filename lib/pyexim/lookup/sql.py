"""What the lookups on SQL and Redis servers share: lists of servers, rows as text.

Spec: sections "SQL lookups" to "Special PostgreSQL features".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from pyexim.base.lists import split_list
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.lookup.base import Deferred, Outcome

_SERVERS: Final = re.compile(r"\s*servers\s*=\s*([^;]*)(;?)\s*", re.ASCII)


def quoted_value(text: str) -> str:
    """Return a field's data for a row of several: in quotes where it is empty or has white space."""
    if text and not any(c in text for c in SPACE) and text[0] != '"':
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def row_text(names: list[str], values: list[str], *, trailing: bool = True) -> str:
    """Return a row: the value alone where there is one field, else name=value pairs."""
    if len(values) == 1:
        return values[0]
    text = " ".join(f"{n}={quoted_value(v)}" for n, v in zip(names, values, strict=False))
    return text + " " if trailing else text


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a list: host (as written, without its password and the like), database, user, password."""

    host: str
    database: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of server: what error texts call it, the option with its servers, how an entry is taken apart."""

    label: str
    short: str
    option: str
    parse: Callable[[str], Server | None]
    """None where the entry is incomplete."""


def four_fields(entry: str) -> Server | None:
    """Take host/database/user/password apart; the last three slashes count, as a socket's path has some too."""
    fields = entry.rsplit("/", 3)
    return Server(*fields) if len(fields) == 4 else None


def ask_servers(query: str, options: dict[str, str], listed: str | None, kind: Kind,
                ask: Callable[[Server, str], Outcome]) -> Outcome:
    """Ask the servers of a query in order until one answers; ``listed`` is the value of the main option.

    A server that defers (no connection, or it refuses the query) makes room for the next; an entry that is wrong
    ends the search.
    """
    chosen = options.get("servers")
    m = _SERVERS.match(query) if chosen is None else None
    if m is not None:
        if not m[2]:
            return Deferred(f'missing ; after "servers=" in {kind.label} lookup')
        if is_tainted(query):
            return Deferred(f"WARNING: obsolete syntax used for lookup: a tainted query must not say servers "
                            f"({kind.label} lookup: use the option servers)")
        chosen, query = m[1], query[m.end():]
    if chosen is None and not listed:
        return Deferred(f"no {kind.label} servers defined ({kind.option} option)")
    outcome: Outcome = Deferred(f"{kind.label} lookup: the list of servers is empty")
    for server in _servers(split_list(listed or "" if chosen is None else chosen), listed or "", kind):
        if isinstance(server, Deferred):
            return server
        outcome = ask(server, query)
        if not isinstance(outcome, Deferred):
            break
    return outcome


def _servers(names: list[str], listed: str, kind: Kind) -> Iterator[Server | Deferred]:
    """Take a list of servers apart; a name without slashes stands for the entry in the main option."""
    for name in names:
        entry: str | None = name
        if "/" not in name:
            entry = next((k for k in split_list(listed) if k.partition("/")[0] == name), None)
            if entry is None:
                yield Deferred(f'{kind.label} server "{name}" not found in {kind.option}')
                return
        server = kind.parse(entry or "")
        yield server if server is not None else Deferred(
            f"incomplete {kind.short} server data: {(entry or '').partition('/')[0]}")


__all__ = ["Kind", "Server", "ask_servers", "four_fields", "quoted_value", "row_text"]
