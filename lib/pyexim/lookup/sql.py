"""What the SQL lookups share: rows as text, lists of servers, quoting, taint.

Spec: sections "SQL lookups" to "Special PostgreSQL features".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.lists import split_list
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.expand.scope import Scope
from pyexim.lookup.base import Deferred, NotFound, Outcome

_SERVERS: Final = re.compile(r"\s*servers\s*=\s*([^;]*);\s*", re.ASCII)


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
    """One server of a list: host, database, user, password."""

    host: str
    database: str
    user: str
    password: str


def servers_for(query: str, options: dict[str, str], listed: str | None, label: str, option: str,
                parts: int = 4) -> tuple[str, list[Server]] | Deferred:
    """Return the query without its "servers=" and the servers to try; ``listed`` is the global option."""
    text = options.get("servers")
    m = _SERVERS.match(query)
    if text is not None:
        names = split_list(text)
    elif m is not None:
        if is_tainted(query):
            return Deferred(f'lookup of type "{label}" with a tainted query must not say servers in the query')
        names, query = split_list(m[1]), query[m.end():]
    elif not listed:
        return Deferred(f"no {label} servers defined ({option} option)")
    else:
        names = split_list(listed)
    known = split_list(listed or "")
    out = []
    for name in names:
        entry: str | None = name
        if "/" not in name:
            entry = next((k for k in known if k.partition("/")[0] == name), None)
            if entry is None:
                return Deferred(f'{label} server "{name}" not found in {option}')
        fields = (entry or "").split("/")
        if entry is not None and entry.startswith("("):
            socket_path, _, rest = entry.partition(")")
            fields = [socket_path + ")", *rest.split("/")[1:]]
        if len(fields) < parts:
            return Deferred(f"incomplete {label if label != 'PostgreSQL' else 'pgSQL'} server data: {fields[0]}")
        fields += [""] * (4 - len(fields))
        out.append(Server(fields[0], fields[1], fields[2], "/".join(fields[3:])))
    return query, out


def first_that_answers(servers: list[Server], query: Callable[[Server], Outcome | None], label: str) -> Outcome:
    """Ask servers in order; one that returns None could not be reached, the next is tried."""
    for server in servers:
        outcome = query(server)
        if outcome is not None:
            return outcome
    return Deferred(f"{label}: no server could be reached")


__all__ = ["NotFound", "Scope", "Server", "first_that_answers", "quoted_value", "row_text",
           "servers_for"]
