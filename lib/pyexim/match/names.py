"""Domain lists, local part lists and plain string lists.

Spec: sections "Domain lists", "Local part lists", "File names in lists", "Named lists".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

from pyexim.base.ipaddress import parse_literal
from pyexim.base.lists import split_list
from pyexim.base.octets import lower
from pyexim.base.taint import like, untaint
from pyexim.expand.scope import Scope
from pyexim.match import trace
from pyexim.match.items import (
    CompiledList,
    Context,
    Match,
    Matcher,
    compiled_list,
    deferral,
    failing,
    file_item,
    lookup_item,
    name_table,
    named_item,
    negation,
    plain_name,
    regex_item,
    set_numeric,
    split_lookup,
)
from pyexim.match.local import is_local_address

__all__ = ["compile_keys", "compile_names", "deferral", "match_names", "name_item"]


def match_names(subject: str, source: str, scope: Scope, kind: str, caseful: bool, expanded: bool = False,
                name: str = "") -> Match:
    """Match a name against a list: ``kind`` is domain, localpart or string; ``name`` is the option, for -d and -bh."""
    debug = scope.services.debug
    if debug is not None and debug.selected("lists"):
        return trace.shown(subject, subject, source, scope, kind, caseful, name, compile_names, expanded)
    compiled = compiled_list(source, scope, kind, caseful, "", compile_names, expanded)
    return compiled.match(subject, scope) if compiled.__class__ is CompiledList else compiled  # type: ignore


def compile_names(context: Context, text: str) -> CompiledList:
    """Compile an expanded list; plain names that follow each other become one table."""
    items: list[tuple[bool, Matcher]] = []
    costly, constant = False, True
    caseful = context.caseful
    plain: list[str] = []
    plain_negated = False

    def flush() -> None:
        if plain:
            items.append((plain_negated, name_table(plain, caseful=caseful)))
            plain.clear()

    for item in split_list(text):
        if item == "+caseful" and context.kind != "domain":
            flush()
            caseful = True
            continue
        negated, item = negation(item)
        if _is_plain(item, context.kind):
            if plain and plain_negated != negated:
                flush()
            plain_negated = negated
            plain.append(item)
            continue
        flush()
        below = context if caseful is context.caseful else Context(
            context.scope, context.kind, caseful, context.option, context.depth)
        matcher, item_costly, item_constant = _item(item, below)
        costly, constant = costly or item_costly, constant and item_constant
        items.append((negated, matcher))
    flush()
    return CompiledList(items, costly=costly, constant=constant)


def _is_plain(item: str, kind: str) -> bool:
    first = item[:1]
    if first in ("^", "/"):
        return False
    if kind == "string" or first == "*":
        return True
    return first != "+" and not (first == "@" and kind == "domain") and ";" not in item


def _item(item: str, context: Context) -> tuple[Matcher, bool, bool]:
    """Compile one item that is no plain name; (matcher, costly, constant)."""
    if item[0] == "+" and context.kind != "string":
        return named_item(untaint(item[1:]), context, compile_names)
    costly = item[0] == "/" or (context.kind != "string" and (
        lower(item[:4]) == "@mx_" or (";" in item and item[0] != "^")))
    return name_item(item, context.scope, context.kind, context.caseful), costly, True


def name_item(item: str, scope: Scope, kind: str, caseful: bool, *, in_file: bool = False) -> Matcher:
    """Compile one item that refers to no named list."""
    if item[:1] == "^":
        return regex_item(item, caseful=caseful)
    if item[:1] == "/" and not in_file:
        return file_item(item, lambda line: name_item(line, scope, kind, caseful, in_file=True),
                         spaced_comments=kind != "domain", is_plain=lambda line: _is_plain(line, kind),
                         table=lambda lines: name_table(lines, caseful=caseful))
    if item[:1] == "+" and kind != "string":
        return named_item(untaint(item[1:]), Context(scope, kind, caseful), compile_names)[0]
    if kind == "domain" and item[:1] == "@":
        special = _special_domain(item, scope)
        if special is not None:
            return special
    if kind != "string" and ";" in item and item[:1] != "*":
        return _lookup(item, caseful)
    return plain_name(item, caseful=caseful)


def compile_keys(keys: list[str], scope: Scope) -> Callable[[str, Scope], int | Match]:
    """Compile keys of a file, each of which counts as a list of one item.

    The function returns the number of the first that a name is in, -1 for none of them, or a deferral.
    """
    steps: list[tuple[bool, Matcher, dict[str | None, int]]] = []
    marked = enumerate(map(negation, keys))
    for plain, group in groupby(marked, key=lambda key: not key[1][0] and _is_plain(key[1][1], "localpart")):
        if plain:
            numbers: dict[str | None, int] = {}
            for number, (_, key) in group:
                numbers.setdefault(key, number)
            steps.append((False, name_table(list(numbers)), numbers))  # type: ignore[arg-type]
        else:
            steps += [(negated, name_item(key, scope, "localpart", False, in_file=True), {None: number})
                      for number, (negated, key) in group]

    def first(subject: str, scope: Scope) -> int | Match:
        for negated, matcher, numbers in steps:
            outcome = matcher(subject, scope)
            if outcome is not None and outcome.deferred:
                return outcome
            if (outcome is not None and outcome.found) != negated:
                return numbers[None] if None in numbers or outcome is None else numbers[outcome.value]
        return -1

    return first


def _lookup(item: str, caseful: bool) -> Matcher:
    found = split_lookup(item)
    if found is None:
        return failing(f'unknown lookup type "{untaint(item.partition(";")[0])}"')
    return lookup_item(found[0], found[1], _as_it_is if caseful else _lowered)


def _as_it_is(subject: Any) -> str:
    return subject  # type: ignore[no-any-return]


def _lowered(subject: Any) -> str:
    return like(lower(subject), subject)


def _special_domain(item: str, scope: Scope) -> Matcher | None:
    """Compile @, @[] and the @mx_ family."""
    if item == "@":
        name = scope.services.primary_hostname or scope.config.main.primary_hostname or ""
        return plain_name(name)
    if item == "@[]":
        return _local_literal
    if lower(item[:4]) == "@mx_":
        from pyexim.match.mx import mx_item  # asks the DNS

        return mx_item(like(item, item))
    return None


_LITERAL: Final = Match(True, "@[]")


def _local_literal(subject: Any, scope: Scope) -> Match | None:
    if subject[:1] != "[":
        return None
    address = parse_literal(subject)
    if address is None or not is_local_address(address, scope):
        return None
    set_numeric(scope, [subject])
    return _LITERAL
