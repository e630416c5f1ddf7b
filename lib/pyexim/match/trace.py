"""List matching with its steps shown, as -d+lists and -bh show them: "SUBJECT in LIST? yes (matched "ITEM")".

Each item is compiled by itself and tried in turn, so that it can be named; what the list says is decided in
the usual way afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyexim.base.lists import split_list
from pyexim.expand.engine import is_literal
from pyexim.expand.scope import Scope
from pyexim.match.items import MAX_DEPTH, CompiledList, Context, Match, compiled_list, expanded_list, negation

if TYPE_CHECKING:
    from pyexim.match.items import Compiler

_FLAGS: Final = frozenset({"+caseful", "+include_unknown", "+ignore_unknown", "+include_defer", "+ignore_defer"})
_SEPARATOR: Final = "\x1f"


def shown(who: str, subject: Any, source: str, scope: Scope, kind: str, caseful: bool, option: str,
          compiler: Compiler, expanded: bool) -> Match:
    """Match a subject, called ``who``, and show how."""
    expansion = source if expanded or is_literal(source) else expanded_list(source, scope)
    if isinstance(expansion, Match):
        return expansion
    text: str = expansion
    named = option if option not in ("", "host", "match_ip") else f'"{text}"'
    _steps(who, subject, text, named, Context(scope, kind, caseful, option), compiler)
    compiled = compiled_list(text, scope, kind, caseful, option, compiler, expanded=True)
    return compiled.match(subject, scope) if isinstance(compiled, CompiledList) else compiled


def option_unset(name: str, scope: Scope) -> None:
    """Show that a host list is not set at all."""
    scope.services.debug("lists", f"host in {name}? no (option unset)")


def _steps(who: str, subject: Any, text: str, named: str, context: Context, compiler: Compiler) -> bool | None:
    """Try the items of a list one after the other; the answer, None where there is none."""
    scope = context.scope
    debug = scope.services.debug
    flags = ""
    negated = False
    for item in split_list(text):
        if item in _FLAGS:
            flags += item + _SEPARATOR
            continue
        negated, rest = negation(item)
        found, cached = _item(who, subject, rest, flags, context, compiler)
        if found is None:
            debug("lists", f"{who} in {named}? list match deferred for {who}")
            return None
        if found:
            debug("lists", f'{who} in {named}? {"no" if negated else "yes"} (matched "{item}"{cached})')
            return not negated
    debug("lists", f'{who} in {named}? {"yes" if negated else "no"} (end of list)')
    return negated


def _item(who: str, subject: Any, item: str, flags: str, context: Context,
          compiler: Compiler) -> tuple[bool | None, str]:
    """Try one item; (the answer, what is to be said of where it comes from)."""
    scope = context.scope
    if item[:1] == "+" and context.kind != "string":
        lists = scope.config.named_lists.get(context.kind, {})
        named = lists.get(item[1:])
        if named is not None and context.depth < MAX_DEPTH:
            text: str | Match = named.text
            if not is_literal(named.text):
                text = expanded_list(named.text, scope)
            if isinstance(text, Match):
                return (None if text.deferred else False), ""
            below = Context(scope, context.kind, context.caseful, context.option, context.depth + 1)
            if context.kind != "host":
                return _steps(who, subject, text, f'"{text}"', below, compiler), ""
            known, key = _known(scope), (item, subject.cache_key)
            if key in known:
                return known[key], " - cached"
            known[key] = _steps(who, subject, text, f'"{text}"', below, compiler)
            return known[key], ""
    outcome = compiler(context, f"<{_SEPARATOR} {flags}{item}{_SEPARATOR}").match(subject, scope)
    return (None if outcome.deferred else outcome.found), ""


def _known(scope: Scope) -> dict[Any, bool | None]:
    """Return what named host lists have said already in this connection."""
    kept = scope.facts.get("shown host lists")
    if kept is None or kept[0] is not scope.conn:
        kept = scope.facts["shown host lists"] = scope.conn, {}
    found: dict[Any, bool | None] = kept[1]
    return found
