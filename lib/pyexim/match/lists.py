"""The entrance to list matching.

Every function takes the source text of a list as the configuration has it; it is expanded (unless it
has nothing to expand), split and compiled once per text, and kept.  A forced failure of the
expansion means "not in the list", another failure is a Match with ``deferred``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.expand.scope import Scope
from pyexim.model.connection import Connection


@dataclass(frozen=True, slots=True)
class Match:
    """What a list said.

    ``found`` is the answer; with ``deferred`` there is none, and ``error`` says why.  ``value`` is
    the data of the match ($domain_data and so on; untainted), None where nothing matched.  It is
    true in a boolean context when found.
    """

    found: bool
    value: str | None = None
    deferred: bool = False
    error: str = ""

    def __bool__(self) -> bool:
        return self.found


def match_domain(domain: str, source: str, scope: Scope) -> Match:
    """Match a domain against a domain list.  Sets numeric variables in ``scope.vars`` as the spec says."""
    raise NotImplementedError


def match_local_part(local_part: str, source: str, scope: Scope, *, caseful: bool = False) -> Match:
    """Match a local part against a local part list."""
    raise NotImplementedError


def match_address(address: str, source: str, scope: Scope, *, caseful: bool = False) -> Match:
    """Match an address ("" is the empty sender) against an address list.

    The domain is matched without regard to case; the local part likewise unless ``caseful`` or the
    list says +caseful.
    """
    raise NotImplementedError


def match_host(conn: Connection, source: str, scope: Scope, *, name: str = "host") -> Match:
    """Match the connected host against a host list; names are looked up only when an item needs it.

    A connection without address matches only an empty item.  ``name`` is the option, for log texts.
    """
    raise NotImplementedError


def match_host_address(host_name: str | None, address: str, source: str, scope: Scope, *,
                       name: str = "host") -> Match:
    """Match a host that is not the connected client (hosts_avoid_tls and the like)."""
    raise NotImplementedError


def match_string(subject: str, source: str, scope: Scope, *, caseful: bool = True) -> Match:
    """Match a string against a plain string list, patterns as in local part lists."""
    raise NotImplementedError


def split_list(text: str, separator: str = ":") -> list[str]:
    """Split an expanded list into its items: changed separators ("<;"), doubling, trimming."""
    raise NotImplementedError
