"""The entrance to list matching.

Every function takes the source text of a list as the configuration has it; it is expanded (unless it
has nothing to expand), split and compiled once per text, and kept with the configuration.  A forced
failure of the expansion means "not in the list", another failure is a Match with ``deferred``.

Spec: chapter "Domain, host, address, and local part lists".
"""

from __future__ import annotations

from pyexim.expand.lists import split_list as _split
from pyexim.expand.scope import Scope
from pyexim.match.addresses import match_addresses
from pyexim.match.hosts import HostSubject, match_hosts
from pyexim.match.items import Match
from pyexim.match.names import match_names
from pyexim.model.connection import Connection

__all__ = ["Match", "match_address", "match_domain", "match_host", "match_host_address", "match_local_part",
           "match_string", "split_list"]


def match_domain(domain: str, source: str, scope: Scope) -> Match:
    """Match a domain against a domain list.  Sets numeric variables in ``scope.vars`` as the spec says."""
    return match_names(domain, source, scope, "domain", False)


def match_local_part(local_part: str, source: str, scope: Scope, *, caseful: bool = False) -> Match:
    """Match a local part against a local part list."""
    return match_names(local_part, source, scope, "localpart", caseful)


def match_address(address: str, source: str, scope: Scope, *, caseful: bool = False) -> Match:
    """Match an address ("" is the empty sender) against an address list.

    The domain is matched without regard to case; the local part likewise unless ``caseful`` or the
    list says +caseful.
    """
    return match_addresses(address, source, scope, caseful)


def match_host(conn: Connection, source: str, scope: Scope, *, name: str = "host") -> Match:
    """Match the connected host against a host list; names are looked up only when an item needs it.

    A connection without address matches only an empty item.  ``name`` is the option, for log texts.
    """
    return match_hosts(HostSubject(conn.sender_host_address, None, conn), source, scope, name)


def match_host_address(host_name: str | None, address: str, source: str, scope: Scope, *,
                       name: str = "host") -> Match:
    """Match a host that is not the connected client (hosts_avoid_tls and the like)."""
    return match_hosts(HostSubject(address, host_name or None), source, scope, name)


def match_string(subject: str, source: str, scope: Scope, *, caseful: bool = True) -> Match:
    """Match a string against a plain string list, patterns as in local part lists."""
    return match_names(subject, source, scope, "string", caseful)


def split_list(text: str, separator: str = ":") -> list[str]:
    """Split an expanded list into its items: changed separators ("<;"), doubling, trimming."""
    return _split(text, separator)
