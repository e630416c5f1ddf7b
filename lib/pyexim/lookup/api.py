"""The entrance to lookups: a type as written in the configuration, a key or query, an answer.

Here are the parts that all types share: prefixes (partial-), defaults (``*``, ``*@``), options after commas,
handles kept open in a process, results cached, taint.  Spec: chapter "File and database lookups".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pyexim.base.taint import is_tainted, untaint
from pyexim.expand.scope import Scope
from pyexim.lookup.base import Absent, Deferred, Found, Lookup, NotFound, Outcome
from pyexim.lookup.table import QUERY_STYLE, driver

_TYPE: Final = re.compile(
    r"(?:partial(\d*)(?:\(([^)]*)\)|-))?([a-z0-9_]+?)(\*@|\*)?((?:,[^,]*)*)\Z", re.ASCII | re.DOTALL)
_PARTIAL: Final = re.compile(r"partial\d*(?:\([^)]*\)|-)", re.ASCII)
RESULT_CACHE: Final = 2000


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a lookup came to: found with a value, not found, or deferred with an error."""

    found: bool
    value: str = ""
    deferred: bool = False
    error: str = ""
    key: str = ""
    """The key that matched, of those that partial matching and defaults try."""


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
    """cache=no_rd: the result cache is written only."""
    ret: str = ""


@lru_cache(maxsize=512)
def parse_spec(text: str) -> Spec | str:
    """Take a lookup type apart; an error text where it is none."""
    m = _TYPE.match(text)
    if m is None:
        return f'unknown lookup type "{text}"'
    number, affix, name, default, options_text = m.groups()
    has_partial = text.startswith("partial") and (number is not None)
    options = []
    no_read, ret = False, ""
    for item in options_text.split(",")[1:]:
        key, _, value = item.strip().partition("=")
        if key == "cache" and value == "no_rd":
            no_read = True
        elif key == "ret" and value == "key":
            ret = "key"
        else:
            options.append((key, value))
    return Spec(name, int(number or 2) if has_partial else -1, "*." if affix is None else affix, default or "",
                tuple(options), no_read, ret)


def is_query_style(text: str) -> bool:
    """Tell whether a lookup type, as written, takes a query rather than a key and a file."""
    spec = parse_spec(text)
    return not isinstance(spec, str) and spec.name in QUERY_STYLE


def without_partial(text: str) -> str:
    """Return a lookup type without its prefix for partial matching."""
    return _PARTIAL.sub("", text, count=1)


def check_type(text: str, single_key: bool) -> str | None:
    """Return Exim's complaint about a lookup type in an expansion, or None; ``single_key``: a key was given."""
    spec = parse_spec(text)
    if isinstance(spec, str):
        return spec
    try:
        found = driver(spec.name)
    except Absent as e:
        return str(e)
    if found is None:
        return f'unknown lookup type "{spec.name}"'
    query = spec.name in QUERY_STYLE
    if query and (spec.partial >= 0 or spec.default):
        return f'"partial" is not permitted for lookup type "{spec.name}"' if spec.partial >= 0 else (
            f'defaults using "*" or "*@" are not permitted for lookup type "{spec.name}"')
    if query and single_key:
        return f'a single key was given for lookup type "{spec.name}", which is not a single-key lookup type'
    if not query and not single_key:
        return f'missing {{key}} for single-key "{spec.name}" lookup'
    return None


class Store:
    """Open handles and results of this process, for one configuration."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.handles: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self.results: OrderedDict[tuple[str, str, tuple[tuple[str, str], ...], str], LookupResult] = OrderedDict()

    def handle(self, spec: Spec, lookup: Lookup, name: str, scope: Scope) -> Any | Deferred:
        """Return an open handle, a kept one if its file has not changed."""
        key = (spec.name, name)
        handle = self.handles.get(key)
        if handle is not None:
            if lookup.current(handle):
                self.handles.move_to_end(key)
                return handle
            lookup.close(self.handles.pop(key))
        handle = lookup.open(name, scope)
        if handle is None or isinstance(handle, Deferred):
            return handle
        while len(self.handles) >= self.limit:
            (old_type, _), old = self.handles.popitem(last=False)
            old_driver = driver(old_type)
            if old_driver is not None:
                old_driver.close(old)
        self.handles[key] = handle
        return handle


def _store(scope: Scope) -> Store:
    store = scope.config.compiled.get("lookups")
    if not isinstance(store, Store):
        store = Store(max(1, scope.config.main.lookup_open_max))
        scope.config.compiled["lookups"] = store
    return store


def find(type_spec: str, key_or_query: str, file: str | None, scope: Scope) -> LookupResult:
    """Look something up: a key in a file, or (``file`` None) a query.

    The type may have a partial- prefix, a default suffix and options.  The result is untainted.
    """
    spec = parse_spec(type_spec)
    if isinstance(spec, str):
        return LookupResult(False, deferred=True, error=spec)
    try:
        lookup = driver(spec.name)
    except Absent as e:
        return LookupResult(False, deferred=True, error=str(e))
    if lookup is None:
        return LookupResult(False, deferred=True, error=f'unknown lookup type "{spec.name}"')
    if file is None and spec.name not in QUERY_STYLE:
        return LookupResult(False, deferred=True, error=f"the lookup type {spec.name} needs a key and a file")
    if file is not None and is_tainted(file):
        return LookupResult(False, deferred=True, error=f"Tainted filename for search '{untaint(file)}'")
    name = untaint(file) if file is not None else ""
    store = _store(scope)
    handle = store.handle(spec, lookup, name, scope)
    if isinstance(handle, Deferred):
        return LookupResult(False, deferred=True, error=handle.text)
    options = dict(spec.options)
    if file is None:
        return _result(lookup.find(handle, name, key_or_query, options, scope), key_or_query, spec)
    if key_or_query == "":
        return NOTHING  # an empty key is never found
    for key in keys_to_try(str(key_or_query), spec):
        outcome = lookup.find(handle, name, key, options, scope)
        if not isinstance(outcome, NotFound):
            return _result(outcome, key, spec)
    return NOTHING


def keys_to_try(key: str, spec: Spec) -> list[str]:
    """Return the keys in the order in which they are looked up: itself, partial ones, the defaults."""
    keys = [key]
    if spec.partial >= 0:
        parts = key.split(".")
        if len(parts) >= max(1, spec.partial):
            keys.append(spec.affix + key)
        while len(parts) > max(1, spec.partial):
            parts.pop(0)
            keys.append(spec.affix + ".".join(parts))
        if spec.partial == 0:
            if len(spec.affix) == 1:
                keys.append(spec.affix)
            elif spec.affix.endswith("."):
                keys.append(spec.affix[:-1])
            elif spec.affix:
                keys.append(spec.affix)
    if spec.default == "*@":
        at = key.rfind("@")
        if at >= 0:
            keys.append("*" + key[at:])
    if spec.default:
        keys.append("*")
    return list(dict.fromkeys(keys))


def _result(outcome: Outcome, key: str, spec: Spec) -> LookupResult:
    if isinstance(outcome, Found):
        return LookupResult(True, untaint(key) if spec.ret == "key" else untaint(outcome.value), key=key)
    if isinstance(outcome, Deferred):
        return LookupResult(False, deferred=True, error=outcome.text)
    return NOTHING


def quote(lookup_type: str, text: str, option: str | None = None) -> str | None:
    """Return a text quoted for queries of a lookup type; None where there is no such type."""
    name, _, rest = lookup_type.partition("_")
    try:
        lookup = driver(name)
    except Absent:
        return None
    if lookup is None:
        return None
    return lookup.quote(text, option or rest or None)
