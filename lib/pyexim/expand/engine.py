"""The entrance to string expansion: text with ``$`` in, octets out."""

from __future__ import annotations

from typing import Final, NoReturn

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE, is_digits, lower
from pyexim.expand.base import Part
from pyexim.expand.parser import compile_source
from pyexim.expand.scope import Scope

CACHE_LIMIT: Final = 4096
"""Source strings kept in compiled form; when there are more, the older half is dropped."""
_CACHEABLE: Final = 65_536

_cache: dict[str, Part] = {}


def compiled(source: str) -> Part:
    """Return a source string in compiled form: literal text, or what to call with a Scope."""
    part = _cache.get(source)
    if part is None:
        part = compile_source(source)
        if len(source) <= _CACHEABLE:
            if len(_cache) >= CACHE_LIMIT:
                for key in list(_cache)[:CACHE_LIMIT // 2]:
                    del _cache[key]
            _cache[source] = part
    return part


def expand(source: str, scope: Scope) -> str:
    """Return the expansion of a string; Tainted if anything in the result came from outside.

    Parsed once per source string and cached; a string without ``$`` and ``\\`` is returned as it is.
    Raises ExpansionError with Exim's text, ForcedFail for a "fail" in the string, ExpansionDefer
    where a lookup or the like could not answer.  A tainted ``source`` that contains ``$`` is refused.
    """
    if source.__class__ is not str:
        if is_literal(source):
            return source
        refuse_tainted(source, scope)
    part = _cache.get(source)
    if part is None:
        part = compiled(source)
    if part.__class__ is str and (scope.services.debug is None or is_literal(source)):
        return part
    if scope.services.debug is not None:
        from pyexim.expand.trace import expand_traced, wanted  # only under -d

        if wanted(scope):
            return expand_traced(source, scope)
    return part if part.__class__ is str else part(scope)  # type: ignore[operator]


def refuse_tainted(source: str, scope: Scope) -> NoReturn:
    """Refuse to expand a string that came from outside; the panic log says so, with the option if known."""
    text = f"attempt to expand tainted string '{source}'"
    option = scope.facts.get("expanding_option")
    note = f" in option {option}" if option else ""
    scope.services.log.panic(f"{text}{note} (only text of the configuration or of a lookup is expanded)")
    raise ExpansionError(text)


_TRUE: Final = frozenset({"true", "yes"})
_FALSE: Final = frozenset({"", "false", "no"})


def expand_bool(source: str, scope: Scope, what: str, *, forced_fail: bool = False) -> bool:
    """Expand an option that may be a boolean; "yes"/"true"/non-zero... as the spec's ``more`` option.

    ``what`` names the option for the error text; ``forced_fail`` is the value a forced failure
    gives.  Raises ExpansionError where the result is no boolean.
    """
    try:
        value = expand(source, scope)
    except ForcedFail:
        return forced_fail
    word = lower(value.strip(SPACE))
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    if is_digits(word):
        return int(word[:18]) != 0
    raise ExpansionError(f'"{value}" is not a valid value for the "{what}" option')


def is_literal(source: str) -> bool:
    """Tell whether expanding the string returns it unchanged."""
    return "$" not in source and "\\" not in source
