"""Address lists.  Spec: sections "Address lists" and "Case of letters in address lists"."""

from __future__ import annotations

from typing import Any, Final

from pyexim.base.lists import separator_of, split_list
from pyexim.base.octets import lower
from pyexim.base.taint import Tainted, like, untaint
from pyexim.expand.scope import Scope
from pyexim.lookup import api as lookup
from pyexim.match import trace
from pyexim.match.items import (
    NOT_FOUND,
    CompiledList,
    Context,
    Match,
    Matcher,
    compiled_list,
    failing,
    file_item,
    is_query_style,
    lookup_deferral,
    lookup_item,
    named_item,
    negation,
    plain_name,
    regex_item,
    split_lookup,
    tidy_numeric,
)
from pyexim.match.names import name_item

MAX_CHAIN: Final = 50
"""Continuations (">key") that an @@ lookup follows."""


class AddressSubject:
    """An address taken apart, its domain in lower case; ``folded`` forms are lower case altogether."""

    __slots__ = ("address", "cache_key", "domain", "folded", "folded_local", "local_part", "qualified")

    def __init__(self, address: str) -> None:
        local_part, at, domain = address.rpartition("@")
        self.qualified = bool(at)
        if not at:
            local_part = address
        domain = lower(domain)
        folded_local = lower(local_part)
        if address.__class__ is not str:
            self.local_part: str = Tainted(local_part)
            self.domain: str = Tainted(domain)
            self.address: str = Tainted(f"{local_part}{at}{domain}")
            self.folded: str = Tainted(f"{folded_local}{at}{domain}")
            self.folded_local: str = Tainted(folded_local)
        else:
            self.local_part = local_part
            self.domain = domain
            self.address = f"{local_part}{at}{domain}"
            self.folded = f"{folded_local}{at}{domain}"
            self.folded_local = folded_local
        self.cache_key = self.address


def match_addresses(address: str, source: str, scope: Scope, caseful: bool, expanded: bool = False,
                    numeric: bool = False) -> Match:
    """Match an address against an address list; ``numeric``: $0, $1 ... are left as the item has set them."""
    debug = scope.services.debug
    if numeric and (debug is None or not debug.selected("lists")):
        compiled = compiled_list(source, scope, "address", caseful, "", compile_addresses, expanded)
        return compiled if isinstance(compiled, Match) else CompiledList.match(compiled, AddressSubject(address), scope)
    if debug is not None and debug.selected("lists"):
        return trace.shown(address, AddressSubject(address), source, scope, "address", caseful, "", compile_addresses,
                           expanded, numeric)
    compiled = compiled_list(source, scope, "address", caseful, "", compile_addresses, expanded)
    if isinstance(compiled, Match):
        return compiled
    return compiled.match(AddressSubject(address), scope) if compiled.items else NOT_FOUND


def compile_addresses(context: Context, text: str) -> CompiledList:
    """Compile an expanded address list; whole addresses that follow each other become one table."""
    items: list[tuple[bool, Matcher]] = []
    costly, constant = False, True
    caseful = context.caseful
    plain: list[str] = []
    plain_negated = False

    def flush() -> None:
        if plain:
            items.append((plain_negated, _address_table(plain, caseful)))
            plain.clear()

    for item in split_list(text):
        if item == "+caseful":
            flush()
            caseful = True
            continue
        negated, item = negation(item)
        if _is_plain(item):
            if plain and plain_negated != negated:
                flush()
            plain_negated = negated
            plain.append(item)
            continue
        flush()
        if item[:1] == "+" and "@" not in item:
            below = Context(context.scope, "address", caseful, context.option, context.depth)
            matcher, item_costly, item_constant = named_item(untaint(item[1:]), below, compile_addresses)
            costly, constant = costly or item_costly, constant and item_constant
        else:
            matcher = address_item(item, context.scope, caseful)
            costly = costly or item[:1] == "/" or "@+" in item or "@@" in item or (";" in item and item[:1] != "^")
        items.append((negated, matcher))
    flush()
    return _AddressList(items, costly=costly, constant=constant)


class _AddressList(CompiledList):
    """An address list: it sets no numeric variables."""

    __slots__ = ()

    def match(self, subject: Any, scope: Scope) -> Match:
        before = scope.vars.get("0")
        outcome = super().match(subject, scope)
        tidy_numeric("address", before, outcome, scope)
        return outcome


def _is_plain(item: str) -> bool:
    """Tell whether an item is an address without anything special."""
    local, at, domain = item.rpartition("@")
    return (bool(at) and local[-1:] != "@" and local[:1] not in ("^", "*", "/", "@", "")
            and domain[:1] not in ("", "*", "+", "^", "[", "/", " ", "\t") and ";" not in item)


def _address_table(addresses: list[str], caseful: bool) -> Matcher:
    table: dict[str, Match] = {}
    for address in addresses:
        # once case matters it does for the whole pattern, while the subject's domain is in lower case
        table.setdefault(untaint(address) if caseful else lower(untaint(address)), Match(True, address))
    if caseful:
        return lambda subject, scope: table.get(subject.address)
    return lambda subject, scope: table.get(subject.folded)


def address_item(item: str, scope: Scope, caseful: bool, *, in_file: bool = False) -> Matcher:
    """Compile one item that refers to no named address list."""
    if item == "":
        nobody = Match(True, "")
        return lambda subject, scope: None if subject.address else nobody
    if item[0] == "^":
        return _of_addresses(item, regex_item(item, caseful=caseful, subjects=lambda s: s.address, valued=False))
    if item[0] == "/" and not in_file:
        return file_item(item, lambda line: address_item(line, scope, caseful, in_file=True), spaced_comments=True,
                         is_plain=_is_plain, table=lambda lines: _address_table(lines, caseful))
    if item[0] == "+" and "@" not in item:
        return named_item(untaint(item[1:]), Context(scope, "address", caseful), compile_addresses)[0]
    if item[:2] == "@@":
        return _local_parts_of_domain(item, scope, caseful)
    found = split_lookup(item)
    if found is not None:
        return _of_addresses(item, _whole_lookup(found, caseful))
    if "@" in item:
        return _both_parts(item, scope, caseful)
    return _domain_only(item, scope, item if in_file else f"@{item}")


def _whole_lookup(found: tuple[str, str], caseful: bool) -> Matcher:
    """Compile a lookup with the whole address as key; partial matching makes no sense here."""
    lookup_type, complaint = found[0], ""
    if lookup_type.startswith("partial"):
        complaint = ("partial matching is not applicable to whole-address lookups: ignored "
                     f'"{lookup_type[:lookup_type.index(lookup.without_partial(lookup_type))]}" in '
                     f'"{lookup_type};{found[1]}"')
        lookup_type = lookup.without_partial(lookup_type)
    key = "address" if caseful else "folded"
    matcher = lookup_item(lookup_type, found[1], lambda s: getattr(s, key))
    if not complaint:
        return matcher

    def match(subject: Any, scope: Scope) -> Match | None:
        scope.services.log.panic(complaint)
        return matcher(subject, scope)

    return match


def _both_parts(item: str, scope: Scope, caseful: bool) -> Matcher:
    """Compile "local@domain": the local part may begin with an asterisk, the domain is any domain item."""
    at = item.rindex("@")
    if at and item[at - 1] == "@":  # "@", "@[]" or "@mx_any" as the domain
        at -= 1
    local, domain = item[:at], item[at + 1:]
    any_local = local == "*"
    wanted = untaint(local) if caseful else lower(untaint(local))
    tail = wanted[1:] if wanted[:1] == "*" else None
    domain_matcher = name_item(like(domain.lstrip(" \t"), item), scope, "domain", False)

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        if not any_local:
            have = subject.local_part if caseful else subject.folded_local
            if have != wanted if tail is None else not have.endswith(tail):
                return None
        if not subject.qualified:
            _unqualified(subject, item, scope)
            return None
        outcome = domain_matcher(subject.domain, scope)
        if outcome is None or outcome.deferred:
            return outcome
        if not outcome.found:
            return None
        return Match(True, like(f"{local}@{outcome.value or ''}", item))

    return match


def _of_addresses(item: str, matcher: Matcher) -> Matcher:
    """Compile an item for addresses (or none at all): text without an "@" is no subject for it."""
    def match(subject: Any, scope: Scope) -> Match | None:
        if subject.qualified or not subject.address:
            return matcher(subject, scope)
        _unqualified(subject, item, scope)
        return None

    return match


def _unqualified(subject: Any, item: str, scope: Scope) -> None:
    scope.services.log.panic(f'no @ found in the subject of an address list match: '
                             f'subject="{subject.address}" pattern="{untaint(item)}"')


def _domain_only(item: str, scope: Scope, data: str) -> Matcher:
    """Compile a domain: it stands for any address there; ``data`` is the value of a match."""
    domain_matcher = plain_name(item) if item[:1] == "*" else name_item(item, scope, "domain", False)
    value = Match(True, like(data, item))

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        if not subject.qualified:
            _unqualified(subject, item, scope)
            return None
        outcome = domain_matcher(subject.domain, scope)
        if outcome is None or outcome.deferred:
            return outcome
        return value if outcome.found else None

    return match


# -- @@


def _local_parts_of_domain(item: str, scope: Scope, caseful: bool) -> Matcher:
    """Compile "@@type;file": the domain is looked up, the result is a list for the local part."""
    found = split_lookup(item[2:])
    if found is None:
        text = untaint(item)
        return failing(f'unknown lookup type in "{text}"') if ";" in text else lambda subject, scope: None
    lookup_type, rest = found
    query = is_query_style(lookup_type)
    wrong = lookup.check_type(lookup_type, not query)
    if wrong is not None:
        return failing(wrong)

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address or not subject.qualified:
            return None
        key = subject.domain
        for _ in range(MAX_CHAIN):
            result = lookup.find(lookup_type, rest if query else key, None if query else rest, scope)
            if result.deferred:
                return lookup_deferral(result, scope)
            if not result.found:
                return None
            outcome, following = _in_local_parts(untaint(result.value), subject, scope, caseful, chained=not query)
            if outcome is not None or not following:
                return outcome
            key = following
        return failing(f"Loop detected in lookup of local part of address list item {untaint(item)}")(subject, scope)

    return match


def _compile_found(context: Context, text: str) -> CompiledList:
    """Compile what an @@ lookup found: patterns as in a local part list, but a plus has no meaning."""
    items: list[tuple[bool, Matcher]] = []
    for item in split_list(text):
        negated, item = negation(item)
        items.append((negated, plain_name(item, caseful=context.caseful) if item[:1] == "+" else
                      name_item(item, context.scope, "localpart", context.caseful)))
    return CompiledList(items)


def _in_local_parts(text: str, subject: Any, scope: Scope, caseful: bool,
                    chained: bool) -> tuple[Match | None, str]:
    """Match the local part with what an @@ lookup found; (outcome, the key of the list's continuation)."""
    separator, rest = separator_of(text)
    following = ""
    if chained:
        head, mark, last = rest.rpartition(separator)
        if last.strip()[:1] == ">":
            following = last.strip()[1:].strip()
            rest = head + mark
    compiled = compiled_list(f"<{separator}{rest}" if separator != ":" else rest, scope, "@@", caseful, "",
                             _compile_found, expanded=True)
    if isinstance(compiled, Match):
        return compiled, ""
    local = subject.local_part if caseful else subject.folded_local
    for negated, matcher in compiled.items:
        outcome = matcher(local, scope)
        if outcome is None:
            continue
        if outcome.found:
            return (None if negated else outcome), ""  # "not here": what follows in the address list is tried
        return outcome, ""
    return None, following  # no match by a negative item at the end, as in Exim
