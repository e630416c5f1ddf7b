"""Domain lists, local part lists and plain string lists.

Spec: sections "Domain lists", "Local part lists", "File names in lists", "Named lists".
"""

from __future__ import annotations

from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.taint import is_tainted, untaint
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.lists import split_list
from pyexim.expand.scope import Scope
from pyexim.match.items import (
    NOT_FOUND,
    CompiledList,
    Match,
    Matcher,
    deferral,
    lookup_item,
    plain_name,
    read_lines,
    regex_item,
    split_lookup,
)

CACHE_LIMIT: Final = 2000
"""Compiled lists kept for a configuration; expanded lists differ from message to message."""


def cache_of(scope: Scope) -> dict[tuple[str, str, bool], CompiledList]:
    """Return the compiled lists of the configuration in use."""
    cache: dict[tuple[str, str, bool], CompiledList] | None = scope.config.compiled.get("lists")
    if cache is None:
        cache = scope.config.compiled["lists"] = {}
    return cache


def match_names(subject: str, source: str, scope: Scope, kind: str, caseful: bool) -> Match:
    """Match a name against a list: ``kind`` is domain, localpart or string."""
    key = (kind, source, caseful)
    cache = cache_of(scope)
    compiled = cache.get(key)
    if compiled is not None:
        return compiled.match(subject, scope)
    if is_literal(source):
        text = source
    else:
        try:
            text = expand(source, scope)
        except ForcedFail:
            return NOT_FOUND
        except ExpansionError as e:
            return deferral(f'failed to expand "{source}": {e.text}')
        key = (kind, "\0" + text, caseful)  # an expanded text is not a source
        compiled = cache.get(key)
        if compiled is not None and is_tainted(text) is False:
            return compiled.match(subject, scope)
    compiled = compile_names(text, scope, kind, caseful)
    if not is_tainted(text):
        if len(cache) >= CACHE_LIMIT:
            for old in list(cache)[:CACHE_LIMIT // 2]:
                del cache[old]
        cache[key] = compiled
    return compiled.match(subject, scope)


def compile_names(text: str, scope: Scope, kind: str, caseful: bool) -> CompiledList:
    """Compile an expanded list."""
    items: list[tuple[bool, Matcher]] = []
    for item in split_list(text):
        if item == "+caseful":
            caseful = True
            continue
        negated = item.startswith("!")
        if negated:
            item = _like(item[1:].lstrip(" \t"), item)
        items.append((negated, name_item(item, scope, kind, caseful)))
    return CompiledList(items)


def _like(text: str, source: str) -> str:
    return type(source)(text)


def name_item(item: str, scope: Scope, kind: str, caseful: bool, *, in_file: bool = False) -> Matcher:
    """Compile one item."""
    if item.startswith("^"):
        return regex_item(item, caseful=caseful)
    if not in_file:
        if item.startswith("/"):
            return file_item(item, scope, kind, caseful)
        if item.startswith("+") and kind != "string":
            return named_item(untaint(item[1:]), scope, kind, caseful)
    if kind == "domain" and item.startswith("@"):
        special = _special_domain(item, scope)
        if special is not None:
            return special
    found = split_lookup(item) if kind != "string" else None
    if found is not None:
        if is_tainted(item):
            outcome = deferral(f"Tainted filename for search '{untaint(found[1])}'")
            return lambda subject, scope: outcome
        return lookup_item(found[0], found[1], _subject_key if caseful or kind != "domain" else _lower_key)
    return plain_name(item, caseful=caseful)


def _subject_key(subject: Any, scope: Scope) -> str:
    return str.__str__(subject) if not is_tainted(subject) else subject


def _lower_key(subject: Any, scope: Scope) -> str:
    return _like(lower(subject), subject)


def named_item(name: str, scope: Scope, kind: str, caseful: bool) -> Matcher:
    """Compile a reference to a named list."""
    named = scope.config.named_lists.get(kind, {}).get(name)
    if named is None:
        word = {"domain": "domain", "localpart": "local part", "address": "address", "host": "host"}[kind]
        outcome = deferral(f'unknown named {word} list "+{name}"')
        return lambda subject, scope: outcome
    if is_literal(named.text):
        return compile_names(named.text, scope, kind, caseful).match
    text = named.text

    def expanded(subject: Any, scope: Scope) -> Match:
        return match_names(subject, text, scope, kind, caseful)

    return expanded


def file_item(path: str, scope: Scope, kind: str, caseful: bool) -> Matcher:
    """Compile a file of items: it is read each time."""
    if is_tainted(path):
        outcome = deferral(f"Tainted filename '{untaint(path)}'")
        return lambda subject, scope: outcome

    def match(subject: Any, scope: Scope) -> Match | None:
        lines = read_lines(path, spaced_comments=kind != "domain")
        if isinstance(lines, str):
            return deferral(lines)
        for line in lines:
            negated = line.startswith("!")
            pattern = line[1:].lstrip(" \t") if negated else line
            outcome = name_item(pattern, scope, kind, caseful, in_file=True)(subject, scope)
            if outcome is not None and outcome.deferred:
                return outcome
            if outcome is not None:
                return NOT_FOUND if negated else outcome
        return None

    return match


def _special_domain(item: str, scope: Scope) -> Matcher | None:
    """Compile @, @[] and the @mx_ family."""
    if item == "@":
        name = scope.services.primary_hostname or scope.config.main.primary_hostname or ""
        value = Match(True, name)
        wanted = lower(name)
        return lambda subject, scope: value if lower(subject) == wanted else None
    if item == "@[]":
        return _local_literal
    if item.startswith("@mx_"):
        from pyexim.match.mx import mx_item  # asks the DNS

        return mx_item(item)
    return None


_LITERAL: Final = Match(True, "@[]")


def _local_literal(subject: Any, scope: Scope) -> Match | None:
    from pyexim.match.hosts import is_local_address

    if not (subject.startswith("[") and subject.endswith("]")):
        return None
    address = subject[1:-1]
    if address[:5].lower() == "ipv6:":
        address = address[5:]
    return _LITERAL if is_local_address(address, scope) else None
