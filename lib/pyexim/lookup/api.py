"""The entrance to lookups: a type as written in the configuration, a key or query, an answer.

Here are the parts that all types share: prefixes (partial-), defaults (``*``, ``*@``), options after commas,
handles kept open in a process, results kept for a message, taint.  Spec: chapter "File and database lookups".
"""

from __future__ import annotations

import os
import re
import weakref
from collections import OrderedDict
from functools import lru_cache
from typing import Any, Final

from pyexim.base.octets import SPACE
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass, replace
from pyexim.base.taint import Quoted, is_tainted, untaint
from pyexim.expand.scope import Scope
from pyexim.lookup.base import Absent, Deferred, Found, Lookup, NotFound, Outcome
from pyexim.lookup.quoting import QUOTERS
from pyexim.lookup.table import ABSENT, DRIVERS, QUERY_STYLE, driver, forget_drivers

_TYPE: Final = lazy_pattern(
    r"(?:partial(\d*)(?:\(([^)a-zA-Z0-9]*)\)|-))?([A-Za-z0-9_@]+?)(\*@|\*)?\**((?:,[^,]*)*)\Z", re.ASCII | re.DOTALL)
_PARTIAL: Final = lazy_pattern(r"partial\d*(?:\([^)]*\)|-)", re.ASCII)
_SERVERS: Final = lazy_pattern(r"\s*servers\s*=\s*([^;]*);\s*", re.ASCII | re.IGNORECASE)
RESULT_LIMIT: Final = 1000
MAX_KEPT_VALUE: Final = 4096
"""Longer results are not kept."""
MAX_PARTIAL_KEY: Final = 4096
"""Longer keys are looked up whole only: one of a megabyte would have as many parts to try."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a lookup came to: found with a value, not found, or deferred with an error.

    With partial matching or a default, ``wild`` is the part of the key that the match left open and
    ``fixed`` the other; the caller sets $1 and $2.
    """

    found: bool
    value: str = ""
    deferred: bool = False
    error: str = ""
    wild: str | None = None
    fixed: str = ""
    at_open: bool = False
    """A deferral because the file cannot be used (Exim words the complaint in another way then)."""
    key: str = ""
    """The key under which the data was found."""


NOTHING: Final = LookupResult(False)


@dataclass(frozen=True, slots=True)
class Spec:
    """A lookup type as written, taken apart."""

    name: str
    partial: int = -1
    """The least number of components that must remain, or -1 without partial matching."""
    affix: str = "*."
    default: str = ""
    """"", "*" or "*@"."""
    options: tuple[tuple[str, str], ...] = ()
    no_read: bool = False
    """cache=no_rd: the kept results are not read."""
    no_write: bool = False
    """cache=no_wr: the result is not kept."""
    return_key: bool = False


@lru_cache(maxsize=512)
def parse_spec(text: str) -> Spec | str:
    """Take a lookup type apart; an error text where it is none."""
    m = _TYPE.match(text)
    if text.startswith("partial") and (m is None or m[1] is None):
        return f'format error in lookup type "{text}"' if _PARTIAL.fullmatch(text) is None else 'unknown lookup type ""'
    if m is None:
        return f'unknown lookup type "{text.partition(",")[0]}"'
    number, affix, name, default, options_text = m.groups()
    options = []
    no_read = no_write = return_key = False
    for item in options_text.split(",")[1:]:
        key, _, value = item.strip(SPACE).partition("=")
        if key == "cache":
            no_read = value in ("no_rd", "no")
            no_write = value in ("no_wr", "no")
        elif key == "ret" and value == "key":
            return_key = True
        elif key:
            options.append((key, value))
    return Spec(name, int(number or 2) if number is not None else -1, "*." if affix is None else affix,
                default or "", tuple(options), no_read, no_write, return_key)


def is_query_style(text: str) -> bool:
    """Tell whether a lookup type, as written, takes a query rather than a key and a file."""
    spec = parse_spec(text)
    return not isinstance(spec, str) and spec.name in QUERY_STYLE


def without_partial(text: str) -> str:
    """Return a lookup type without its prefix for partial matching."""
    return _PARTIAL.sub("", text, count=1)


@lru_cache(maxsize=512)
def check_type(text: str, single_key: bool) -> str | None:
    """Return Exim's complaint about a lookup type, or None; ``single_key``: a key was given."""
    spec = parse_spec(text)
    if isinstance(spec, str):
        return spec
    if spec.name in ABSENT:
        return ABSENT[spec.name]
    if spec.name not in DRIVERS:
        return f'unknown lookup type "{spec.name}"'
    query = spec.name in QUERY_STYLE
    if query and spec.partial >= 0:
        return f'"partial" is not permitted for lookup type "{spec.name}"'
    if query and spec.default:
        written = text.partition(",")[0]
        return f'defaults using "*" or "*@" are not permitted for lookup type "{written}"'
    if query and single_key:
        return f'a single key was given for lookup type "{spec.name}", which is not a single-key lookup type'
    if not query and not single_key:
        return f'missing {{key}} for single-key "{spec.name}{spec.default}" lookup'
    return None


class Store:
    """Open handles and results of this process, for one configuration."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.handles: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self.results: OrderedDict[tuple[Any, ...], tuple[Any, float, Outcome]] = OrderedDict()

    def handle(self, name: str, lookup: Lookup, file: str, scope: Scope) -> Any | Deferred:
        """Return an open handle, a kept one if its file has not changed; the least used one makes room."""
        key = (name, file)
        handle = self.handles.get(key)
        if handle is not None:
            if lookup.current(handle):
                self.handles.move_to_end(key)
                return handle
            lookup.close(self.handles.pop(key))
            self.results.clear()
        handle = lookup.open(file, scope)
        if handle is None or isinstance(handle, Deferred) or not lookup.keeps_handle:
            return handle
        while len(self.handles) >= self.limit:
            (old_type, _), old = self.handles.popitem(last=False)
            old_driver = driver(old_type)
            if old_driver is not None:
                old_driver.close(old)
        self.handles[key] = handle
        return handle

    def tidy(self) -> None:
        """Close all files and forget the results."""
        for (name, _), handle in self.handles.items():
            lookup = driver(name)
            if lookup is not None:
                lookup.close(handle)
        self.handles.clear()
        self.results.clear()

    def left_to_parent(self) -> None:
        """Forget everything without closing it; see ``_after_fork``."""
        _parents.append(dict(self.handles))
        self.handles.clear()
        self.results.clear()


_stores: Final[weakref.WeakSet[Store]] = weakref.WeakSet()
_parents: Final[list[Any]] = []
"""What must not be closed here, not even by the end of its last reference."""


def _after_fork() -> None:
    """In a forked process: positions in files and connections to servers are still the parent's."""
    for store in _stores:
        store.left_to_parent()
    _parents.append(forget_drivers())


os.register_at_fork(after_in_child=_after_fork)

NUL_IN_NAME: Final = "the name of the file to search contains a NUL"


def _store(scope: Scope) -> Store:
    store: Store | None = scope.config.compiled.get("lookups")
    if store is None:
        store = scope.config.compiled["lookups"] = Store(max(1, scope.config.main.lookup_open_max))
        _stores.add(store)
    return store


def tidy(scope: Scope) -> None:
    """Close what lookups keep open in this process."""
    store = scope.config.compiled.get("lookups")
    if store is not None:
        store.tidy()


def find(type_spec: str, key_or_query: str, file: str | None, scope: Scope) -> LookupResult:
    """Look something up: a key in a file, or (``file`` None) a query.

    The type may have a partial- prefix, a default suffix and options.  The result is untainted.
    """
    spec = parse_spec(type_spec)
    wrong = spec if isinstance(spec, str) else check_type(type_spec, file is not None)
    if wrong is not None or isinstance(spec, str):
        return _deferred(str(wrong), at_open=True)
    try:
        lookup = driver(spec.name)
    except Absent as e:
        return _deferred(str(e), at_open=True)
    if lookup is None:
        return _deferred(f'unknown lookup type "{spec.name}"', at_open=True)
    store = _store(scope)
    if lookup.query_style:
        return _query(lookup, spec, key_or_query, store, scope)
    if file is None or is_tainted(file):
        scope.services.log.panic(f"Tainted filename for search: '{untaint(file or '')}'")
        return _deferred(f"Tainted filename for search '{untaint(file or '')}'", at_open=True)
    if "\0" in file:
        return _deferred(NUL_IN_NAME, at_open=True)
    handle = store.handle(spec.name, lookup, file, scope)
    if isinstance(handle, Deferred):
        return _deferred(handle.text, at_open=True)
    if key_or_query == "":
        return NOTHING  # an empty key is never found
    options = dict(spec.options)
    if spec.partial < 0 and not spec.default:
        return _result(_found(lookup, handle, file, key_or_query, options, spec, store, scope), key_or_query, spec)
    for key, wild, fixed in keys_to_try(untaint(key_or_query), spec):
        outcome = _found(lookup, handle, file, key, options, spec, store, scope)
        if not isinstance(outcome, NotFound):
            result = _result(outcome, key_or_query, spec)
            return replace(result, wild=wild, fixed=fixed, key=key)
    return NOTHING


def _found(lookup: Lookup, handle: Any, file: str, key: str, options: dict[str, str], spec: Spec, store: Store,
           scope: Scope) -> Outcome:
    """Ask a driver, or the results kept for this message where asking is dear."""
    if not lookup.keeps_results:
        return lookup.find(handle, file, key, options, scope)
    index = spec.name, file, untaint(key), spec.options
    now = scope.services.clock.monotonic()
    kept = store.results.get(index)
    owner = scope.message or scope.conn
    if kept is not None and not spec.no_read and kept[0] is owner and kept[1] > now:
        return kept[2]
    outcome = lookup.find(handle, file, key, options, scope)
    seconds = outcome.seconds if isinstance(outcome, Found) else float("inf")
    if (isinstance(outcome, Deferred) or spec.no_write or owner is None or seconds <= 0
            or (isinstance(outcome, Found) and len(outcome.value) > MAX_KEPT_VALUE)):
        store.results.pop(index, None)
    else:
        if len(store.results) >= RESULT_LIMIT:
            store.results.popitem(last=False)
        store.results[index] = owner, now + seconds, outcome
    return outcome


def _query(lookup: Lookup, spec: Spec, query: str, store: Store, scope: Scope) -> LookupResult:
    """Obey a query; a tainted one must have been quoted for this type."""
    options = dict(spec.options)
    outcome: Outcome
    if query == "":
        return NOTHING  # an empty query finds nothing, of whatever type
    complaint = lookup.unsafe(query, options, scope)
    if complaint:
        scope.services.log.panic(complaint)
        return _deferred(complaint)
    name = lookup.file_of(query, options, scope)
    if isinstance(name, Deferred):
        return _deferred(name.text, at_open=True)
    if "\0" in name:
        return _deferred(NUL_IN_NAME, at_open=True)
    handle = store.handle(spec.name, lookup, name, scope)
    if isinstance(handle, Deferred):
        return _deferred(handle.text, at_open=True)
    outcome = _found(lookup, handle, name, query, options, spec, store, scope)
    if not isinstance(outcome, Deferred) and outcome.changed:
        store.results.clear()  # the query changed the data
    return _result(outcome, query, spec)


def _deferred(error: str, *, at_open: bool = False) -> LookupResult:
    return LookupResult(False, deferred=True, error=error, at_open=at_open)


def keys_to_try(key: str, spec: Spec) -> list[tuple[str, str | None, str]]:
    """Return (key, wild part, fixed part) in the order in which they are looked up."""
    keys: list[tuple[str, str | None, str]] = [(key, "" if spec.partial >= 0 else None, key)]
    if spec.partial >= 0 and len(key) <= MAX_PARTIAL_KEY:
        parts = key.split(".")
        if spec.affix:
            keys.append((spec.affix + key, "", key))
        for dropped in range(1, len(parts) - max(1, spec.partial) + 1):
            rest = ".".join(parts[dropped:])
            keys.append((spec.affix + rest, ".".join(parts[:dropped]), rest))
        if spec.partial == 0 and spec.affix:
            last = spec.affix[:-1] if len(spec.affix) > 1 and spec.affix[-1] == "." else spec.affix
            keys.append((last, key, ""))
    at = key.rfind("@") if spec.default == "*@" else -1
    if at >= 0:
        keys.append(("*" + key[at:], key[:at], ""))
    if spec.default:
        keys.append(("*", key, ""))
    return keys


def _result(outcome: Outcome, key: str, spec: Spec) -> LookupResult:
    if isinstance(outcome, Found):
        key = untaint(key)
        return LookupResult(True, key if spec.return_key else untaint(outcome.value), key=key)
    if isinstance(outcome, Deferred):
        return _deferred(outcome.text)
    return NOTHING


def quote(lookup_type: str, text: str) -> str | None:
    """Return a text quoted for queries of a type ("ldap_dn" too); None where there is no such type.

    A tainted text stays so, marked as quoted for this type (base.taint.Quoted).
    """
    found = QUOTERS.get(lookup_type)
    if found is not None:
        mark, function = found
        return Quoted(function(text), mark) if is_tainted(text) else function(text)
    return text if lookup_type in DRIVERS or lookup_type in ABSENT else None
