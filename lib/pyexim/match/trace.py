"""List matching with its steps shown, as -d+lists and -bh show them: "SUBJECT in LIST? yes (matched "ITEM")".

Each item is compiled by itself and tried in turn, so that it can be named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyexim.base.lists import split_list
from pyexim.expand.engine import is_literal
from pyexim.expand.scope import Scope
from pyexim.match.items import (
    FOUND,
    MAX_DEPTH,
    NOT_FOUND,
    Context,
    Match,
    expanded_list,
    negation,
    tidy_numeric,
)

if TYPE_CHECKING:
    from pyexim.match.items import Compiler

_FLAGS: Final = frozenset({"+caseful", "+include_unknown", "+ignore_unknown", "+include_defer", "+ignore_defer"})
_SEPARATOR: Final = "\x1f"


def shown(who: str, subject: Any, source: str, scope: Scope, kind: str, caseful: bool, option: str,
          compiler: Compiler, expanded: bool, numeric: bool = False) -> Match:
    """Match a subject, called ``who``, and show how."""
    expansion = source if expanded or is_literal(source) else expanded_list(source, scope)
    if isinstance(expansion, Match):
        return expansion
    text: str = expansion
    named = option if option not in ("", "host", "match_ip") else f'"{text}"'
    before = scope.vars.get("0")
    outcome = _steps(who, subject, text, named, Context(scope, kind, caseful, option), compiler)
    if kind in ("address", "host") and not numeric:
        tidy_numeric(kind, before, outcome, scope)
    return outcome


def _steps(who: str, subject: Any, text: str, named: str, context: Context, compiler: Compiler) -> Match:
    """Try the items of a list one after the other; the answer is what ``CompiledList.match`` says."""
    debug = context.scope.services.debug
    flags = ""
    negated = False
    for item in split_list(text):
        if item in _FLAGS:
            flags += item + _SEPARATOR
            continue
        negated, rest = negation(item)
        outcome, cached = _item(who, subject, rest, flags, context, compiler)
        if outcome is None:
            continue
        if outcome.deferred:
            debug("lists", f"{who} in {named}? list match deferred for {item}")
            return outcome
        if outcome.unknown:
            debug("lists", f"{who} in {named}? no ({outcome.error})")
            return NOT_FOUND
        found = outcome.found is not negated
        why = outcome.error or f'matched "{item}"{cached}'
        debug("lists", f'{who} in {named}? {"yes" if found else "no"} ({why})')
        if outcome.found:
            return NOT_FOUND if negated else outcome
        return Match(True, outcome.value) if negated else NOT_FOUND
    debug("lists", f'{who} in {named}? {"yes" if negated else "no"} (end of list)')
    return FOUND if negated else NOT_FOUND


def _item(who: str, subject: Any, item: str, flags: str, context: Context,
          compiler: Compiler) -> tuple[Match | None, str]:
    """Try one item; (what it says, what is to be told of where that comes from)."""
    scope = context.scope
    lists = scope.config.named_lists.get(context.kind, {})
    if item[:1] == "+" and context.kind != "string" and item[1:] in lists and context.depth < MAX_DEPTH:
        outcome, cached = _named(who, subject, item, context, compiler)
        return (outcome if outcome.found or outcome.deferred else None), cached
    compiled = compiler(context, f"<{_SEPARATOR} {flags}{item}{_SEPARATOR}")
    return compiled.items[0][1](subject, scope), ""


def _named(who: str, subject: Any, item: str, context: Context, compiler: Compiler) -> tuple[Match, str]:
    """Try a named list."""
    scope = context.scope
    source = scope.config.named_lists[context.kind][item[1:]].text
    text = source if is_literal(source) else expanded_list(source, scope)
    if isinstance(text, Match):
        return text, ""
    known = _known(scope) if context.kind == "host" else {}
    key = item, getattr(subject, "cache_key", subject)
    if key in known:
        return known[key], " - cached"
    below = Context(scope, context.kind, context.caseful, context.option, context.depth + 1)
    known[key] = _steps(who, subject, text, f'"{text}"', below, compiler)
    return known[key], ""


def _known(scope: Scope) -> dict[Any, Match]:
    """Return what named host lists have said already in this connection."""
    kept = scope.facts.get("shown host lists")
    if kept is None or kept[0] is not scope.conn:
        kept = scope.facts["shown host lists"] = scope.conn, {}
    found: dict[Any, Match] = kept[1]
    return found
