"""Quoting text for queries, by type of lookup; needs none of the packages that obeying the queries needs.

Spec: sections "Quoting lookup data", "LDAP quoting" and those of the SQL lookups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.base.octets import SPACE

_MYSQL: Final = str.maketrans({"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "'": "\\'", '"': '\\"',
                               "\\": "\\\\"})
_PGSQL: Final = str.maketrans({"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "'": "''", '"': '\\"',
                               "\\": "\\\\"})
_REDIS: Final = str.maketrans({c: "\\" + c for c in SPACE + "\\"})
_FILTER: Final = str.maketrans({"*": "\\2A", "(": "\\28", ")": "\\29", "\\": "\\5C"})
_DN: Final = str.maketrans({c: "\\" + c for c in ',+"\\<>;'})
_URL_SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$'-._()*+")


def _percent(text: str) -> str:
    return "".join(c if c in _URL_SAFE else f"%{ord(c):02X}" for c in text)


def mysql(text: str) -> str:
    """Escape what has a meaning in a MySQL string."""
    return text.translate(_MYSQL)


def pgsql(text: str) -> str:
    """Escape what has a meaning in a PostgreSQL string; single quotes are doubled."""
    return text.translate(_PGSQL)


def sqlite(text: str) -> str:
    """Double single quotes."""
    return text.replace("'", "''")


def redis(text: str) -> str:
    """Put a backslash before white space and backslashes."""
    return text.translate(_REDIS)


def nisplus(text: str) -> str:
    """Double double quotes."""
    return text.replace('"', '""')


def ldap_filter(text: str) -> str:
    """Escape for a filter (RFC 2254), then for a URL."""
    return _percent(text.translate(_FILTER))


def ldap_dn(text: str) -> str:
    """Escape for a distinguished name (RFC 2253), then for a URL."""
    body = text.lstrip(" #")
    core = body.rstrip(" ")
    head = "".join("\\" + c for c in text[:len(text) - len(body)])
    return _percent(head + core.translate(_DN) + "\\ " * (len(body) - len(core)))


QUOTERS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "mysql": ("mysql", mysql), "pgsql": ("pgsql", pgsql), "sqlite": ("sqlite", sqlite), "redis": ("redis", redis),
    "nisplus": ("nisplus", nisplus), "oracle": ("oracle", mysql), "ibase": ("ibase", sqlite),
    "ldap": ("ldap", ldap_filter), "ldapm": ("ldap", ldap_filter), "ldapdn": ("ldap", ldap_filter),
    "ldap_dn": ("ldap", ldap_dn), "ldapm_dn": ("ldap", ldap_dn), "ldapdn_dn": ("ldap", ldap_dn)}
"""Operator name without "quote_" -> (mark of the quoted text, function)."""
