"""Address lists.  Spec: sections "Address lists" and "Case of letters in address lists"."""

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
    is_query_style,
    lookup_item,
    plain_name,
    read_lines,
    regex_item,
    split_lookup,
)
from pyexim.match.names import CACHE_LIMIT, cache_of, compile_names, name_item

MAX_CHAIN: Final = 50
"""Continuations (">key") that an @@ lookup follows."""


def match_addresses(address: str, source: str, scope: Scope, caseful: bool) -> Match:
    """Match an address against an address list."""
    key = ("address", source, caseful)
    cache = cache_of(scope)
    compiled = cache.get(key)
    if compiled is None:
        if is_literal(source):
            text = source
        else:
            try:
                text = expand(source, scope)
            except ForcedFail:
                return NOT_FOUND
            except ExpansionError as e:
                return deferral(f'failed to expand "{source}": {e.text}')
            key = ("address", "\0" + text, caseful)
        compiled = None if is_tainted(text) else cache.get(key)
        if compiled is None:
            compiled = compile_addresses(text, scope, caseful)
            if not is_tainted(text):
                if len(cache) >= CACHE_LIMIT:
                    for old in list(cache)[:CACHE_LIMIT // 2]:
                        del cache[old]
                cache[key] = compiled
    return compiled.match(subject_of(address), scope)


class AddressSubject:
    """An address taken apart: as it is, and in lower case."""

    __slots__ = ("address", "domain", "folded", "local_part", "lowered")

    def __init__(self, address: str) -> None:
        local_part, at, domain = address.rpartition("@")
        if not at:
            local_part, domain = address, ""
        kind = type(address)
        self.local_part = kind(local_part)
        self.domain = kind(lower(domain))
        self.address = kind(f"{local_part}{at}{self.domain}")
        self.lowered = kind(lower(self.address))
        self.folded = kind(lower(local_part))


def subject_of(address: str) -> AddressSubject:
    """Return an address as the matchers want it."""
    return AddressSubject(address)


def compile_addresses(text: str, scope: Scope, caseful: bool) -> CompiledList:
    """Compile an expanded address list."""
    items: list[tuple[bool, Matcher]] = []
    for item in split_list(text):
        if item == "+caseful":
            caseful = True
            continue
        negated = item.startswith("!")
        if negated:
            item = type(item)(item[1:].lstrip(" \t"))
        items.append((negated, address_item(item, scope, caseful)))
    return CompiledList(items)


def address_item(item: str, scope: Scope, caseful: bool, *, in_file: bool = False) -> Matcher:
    """Compile one item."""
    if item == "":
        nobody = Match(True, "")
        return lambda subject, scope: nobody if not subject.address else None
    if item == "*":
        everybody = Match(True, "*")
        return lambda subject, scope: everybody
    if item.startswith("^"):
        return regex_item(item, caseful=caseful, subjects=lambda s: s.address if caseful else s.lowered)
    if item.startswith("/") and not in_file:
        return _address_file(item, scope, caseful)
    if item.startswith("+") and not in_file:
        return _named_addresses(untaint(item[1:]), scope, caseful)
    if item.startswith("@@"):
        return _split_lookup_item(item, scope, caseful)
    found = split_lookup(item)
    if found is not None:
        return _whole_lookup(found, item, caseful)
    if "@" in item:
        return _both_parts(item, scope, caseful)
    return _domain_only(item, scope)


def _whole_lookup(found: tuple[str, str], item: str, caseful: bool) -> Matcher:
    """Compile a lookup with the whole address as key."""
    if is_tainted(item):
        outcome = deferral(f"Tainted filename for search '{untaint(found[1])}'")
        return lambda subject, scope: outcome
    query = is_query_style(found[0])
    matcher = lookup_item(found[0], found[1], lambda s, scope: s.address if caseful else s.lowered)
    return lambda subject, scope: matcher(subject, scope) if query or subject.address else None


def _both_parts(item: str, scope: Scope, caseful: bool) -> Matcher:
    """Compile "local@domain": the local part may begin with an asterisk, the domain is any domain item."""
    local, _, domain = item.rpartition("@")
    kind = type(item)
    any_local = local == "*"
    local_matcher = plain_name(kind(local), caseful=caseful)
    domain_matcher = name_item(kind(domain), scope, "domain", False)
    value = Match(True, item)
    valued = split_lookup(domain) is not None

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        if not any_local and local_matcher(subject.local_part, scope) is None:
            return None
        outcome = domain_matcher(subject.domain, scope)
        if outcome is None:
            return None
        if outcome.found:
            return outcome if valued else value
        return outcome if outcome.deferred else None

    return match


def _domain_only(item: str, scope: Scope) -> Matcher:
    domain_matcher = name_item(item, scope, "domain", False)

    def match(subject: Any, scope: Scope) -> Match | None:
        return domain_matcher(subject.domain, scope) if subject.address else None

    return match


def _named_addresses(name: str, scope: Scope, caseful: bool) -> Matcher:
    named = scope.config.named_lists.get("address", {}).get(name)
    if named is None:
        outcome = deferral(f'unknown named address list "+{name}"')
        return lambda subject, scope: outcome
    if is_literal(named.text):
        return compile_addresses(named.text, scope, caseful).match
    text = named.text
    return lambda subject, scope: match_addresses(subject.address, text, scope, caseful)


def _address_file(path: str, scope: Scope, caseful: bool) -> Matcher:
    if is_tainted(path):
        outcome = deferral(f"Tainted filename '{untaint(path)}'")
        return lambda subject, scope: outcome

    def match(subject: Any, scope: Scope) -> Match | None:
        lines = read_lines(path, spaced_comments=True)
        if isinstance(lines, str):
            return deferral(lines)
        for line in lines:
            negated = line.startswith("!")
            pattern = line[1:].lstrip(" \t") if negated else line
            outcome = address_item(pattern, scope, caseful, in_file=True)(subject, scope)
            if outcome is not None and outcome.deferred:
                return outcome
            if outcome is not None:
                return NOT_FOUND if negated else outcome
        return None

    return match


def _split_lookup_item(item: str, scope: Scope, caseful: bool) -> Matcher:
    """Compile "@@type;file": the domain is looked up, the result is a list for the local part."""
    from pyexim.lookup.api import find

    found = split_lookup(item[2:])
    if found is None:
        outcome = deferral(f'no lookup type in "{item}"')
        return lambda subject, scope: outcome
    lookup_type, rest = found
    query = is_query_style(lookup_type)
    value = Match(True, item)

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        key = subject.domain
        for _ in range(MAX_CHAIN):
            result = find(lookup_type, rest if query else key, None if query else rest, scope)
            if result.deferred:
                return deferral(result.error)
            if not result.found:
                return None
            patterns = split_list(untaint(result.value))
            following = patterns.pop()[1:].strip() if patterns and patterns[-1].startswith(">") and not query else ""
            text = "<\n" + "\n".join(patterns)
            local = subject.local_part if caseful else subject.folded
            compiled = compile_names(text, scope, "localpart", caseful)
            for negated, matcher in compiled.items:
                outcome = matcher(local, scope)
                if outcome is not None and outcome.found:
                    return NOT_FOUND if negated else value
                if outcome is not None:
                    return outcome
            if not following:
                return value if compiled.items and compiled.items[-1][0] else None
            key = following
        return deferral(f"more than {MAX_CHAIN} continuations in {item}")

    return match
