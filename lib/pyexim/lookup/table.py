"""Which lookup types there are: name -> "module:Class", imported on first use.

An extra of setup.py is named after a second colon; a type that is documented but not there has a
sentence instead.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from pyexim.lookup.base import Absent, Lookup

DRIVERS: Final[dict[str, str]] = {
    "lsearch": "pyexim.lookup.lsearch:Lsearch",
    "wildlsearch": "pyexim.lookup.lsearch:Wildlsearch",
    "nwildlsearch": "pyexim.lookup.lsearch:Nwildlsearch",
    "iplsearch": "pyexim.lookup.lsearch:Iplsearch",
    "dsearch": "pyexim.lookup.dsearch:Dsearch",
    "passwd": "pyexim.lookup.passwd:Passwd",
    "cdb": "pyexim.lookup.cdb:Cdb",
    "dbm": "pyexim.lookup.dbm:Dbm",
    "dbmnz": "pyexim.lookup.dbm:Dbmnz",
    "dbmjz": "pyexim.lookup.dbm:Dbmjz",
    "dnsdb": "pyexim.lookup.dnsdb:Dnsdb",
    "json": "pyexim.lookup.json:Json",
    "sqlite": "pyexim.lookup.sqlite:Sqlite",
    "testdb": "pyexim.lookup.testdb:Testdb",
    "lmdb": "pyexim.lookup.lmdb:Lmdb",
    "psl": "pyexim.lookup.psl:Psl",
    "regdom": "pyexim.lookup.psl:Regdom",
    "redis": "pyexim.lookup.redis:Redis",
    "mysql": "pyexim.lookup.mysql:Mysql",
    "pgsql": "pyexim.lookup.pgsql:Pgsql",
    "ldap": "pyexim.lookup.ldap:Ldap",
    "ldapdn": "pyexim.lookup.ldap:Ldapdn",
    "ldapm": "pyexim.lookup.ldap:Ldapm",
}

EXTRAS: Final[dict[str, str]] = {
    "lmdb": "lmdb", "redis": "redis", "mysql": "pymysql", "pgsql": "psycopg",
    "ldap": "ldap3", "ldapdn": "ldap3", "ldapm": "ldap3"}
"""Types that need a package of an extra: type -> package."""

ABSENT: Final[dict[str, str]] = {
    "spf": "the lookup type spf is not there yet",
    "oracle": "the lookup type oracle is not part of pyexim", "nis": "the lookup type nis is not part of pyexim",
    "nis0": "the lookup type nis0 is not part of pyexim", "nisplus": "the lookup type nisplus is not part of pyexim",
    "ibase": "the lookup type ibase is not part of pyexim", "whoson": "the lookup type whoson is not part of pyexim"}

QUERY_STYLE: Final = frozenset({"dnsdb", "ibase", "ldap", "ldapdn", "ldapm", "mysql", "nisplus", "oracle", "passwd",
                                "pgsql", "psl", "redis", "regdom", "sqlite", "testdb", "whoson"})

COMPILE_KEYS: Final = "pyexim.match.names:compile_keys"
"""The patterns of lists, for wildlsearch: the room is to the right of this one."""

_drivers: dict[str, Lookup] = {}


def load(where: str) -> Any:
    """Return what a string "module:name" names."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def driver(name: str) -> Lookup | None:
    """Return the driver of a lookup type, None for a type that nobody knows; Absent where something is missing."""
    found = _drivers.get(name)
    if found is not None:
        return found
    if name in ABSENT:
        raise Absent(ABSENT[name])
    where = DRIVERS.get(name)
    if where is None:
        return None
    module, _, attribute = where.partition(":")
    try:
        made: Lookup = getattr(import_module(module), attribute)()
    except ImportError as e:
        raise Absent(f"the lookup type {name} needs the package {EXTRAS.get(name, e.name)}, "
                     f"which is not installed") from None
    _drivers[name] = made
    return made


def forget_drivers() -> list[Lookup]:
    """Begin anew, in a forked process; the drivers of the parent, which hold its connections."""
    old = list(_drivers.values())
    _drivers.clear()
    return old


def available(find_spec: Callable[[str], Any]) -> list[str]:
    """Return the types that work on this machine, for -bV."""
    return sorted(n for n in DRIVERS if n not in EXTRAS or find_spec(EXTRAS[n]) is not None)


def optional() -> list[str]:
    """Return the types that need an extra, for -bI:modules."""
    return sorted(EXTRAS)
