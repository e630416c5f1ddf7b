"""Host lists: by address, by name, by lookup.  Spec: sections 10.10 to 10.19."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.ipaddress import V6, full, masked, parse, parse_network, unmap
from pyexim.base.octets import lower
from pyexim.base.taint import is_tainted, taint, untaint
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
    read_lines,
    split_lookup,
)
from pyexim.match.names import CACHE_LIMIT, cache_of
from pyexim.model.connection import Connection
from pyexim.net.interfaces import local_keys

_FLAGS: Final = ("+include_unknown", "+ignore_unknown", "+include_defer", "+ignore_defer")
_NET: Final = re.compile(r"net(\d*)-(.*)", re.ASCII | re.DOTALL)
UNKNOWN: Final = Match(False, unknown=True)


@dataclass(slots=True)
class HostSubject:
    """The host to be matched: its address (None for no host) and where its name can be had from."""

    address: str | None
    name: str | None = None
    conn: Connection | None = None


def match_hosts(subject: HostSubject, source: str, scope: Scope, option: str) -> Match:
    """Match a host against a host list."""
    key = ("host", source, False)
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
                return deferral(f'failed to expand "{source}" for {option}: {e.text}')
            key = ("host", "\0" + text, False)
        compiled = None if is_tainted(text) else cache.get(key)
        if compiled is None:
            compiled = compile_hosts(text, scope)
            if not is_tainted(text):
                if len(cache) >= CACHE_LIMIT:
                    for old in list(cache)[:CACHE_LIMIT // 2]:
                        del cache[old]
                cache[key] = compiled
    return compiled.match(subject, scope)


def compile_hosts(text: str, scope: Scope) -> CompiledList:
    """Compile an expanded host list; the flags act on the items after them."""
    items: list[tuple[bool, Matcher]] = []
    unknown, defer = "", ""
    for item in split_list(text):
        if item in _FLAGS:
            what, _, about = item[1:].partition("_")
            if about == "unknown":
                unknown = what
            else:
                defer = what
            continue
        negated = item.startswith("!")
        if negated:
            item = type(item)(item[1:].lstrip(" \t"))
        items.append((negated, _judged(host_item(item, scope), unknown, defer)))
    return _HostList(items)


class _HostList(CompiledList):
    """A host list: what stays unknown ends it as "not in the list"."""

    __slots__ = ()

    def match(self, subject: Any, scope: Scope) -> Match:
        outcome = super().match(subject, scope)
        return NOT_FOUND if outcome.unknown else outcome


def _judged(matcher: Matcher, unknown: str, defer: str) -> Matcher:
    """Apply the flags in force: what an item that finds nothing out means."""
    if not unknown and not defer:
        return matcher
    included = Match(True)

    def match(subject: Any, scope: Scope) -> Match | None:
        outcome = matcher(subject, scope)
        if outcome is None or outcome.found:
            return outcome
        if outcome.unknown and unknown:
            return included if unknown == "include" else None
        if outcome.deferred and defer:
            return included if defer == "include" else None
        return outcome

    return match


def host_item(item: str, scope: Scope, *, in_file: bool = False) -> Matcher:
    """Compile one item."""
    if item == "*":
        everything = Match(True, "*")
        return lambda subject, scope: everything
    if item == "":
        nobody = Match(True, "")
        return lambda subject, scope: nobody if subject.address is None else None
    if item.startswith("+") and not in_file:
        return _named_hosts(untaint(item[1:]), scope)
    if item.startswith("/") and not in_file:
        return _host_file(item, scope)
    network = parse_network(untaint(item))
    if network is not None:
        return _network_item(item, network)
    if item == "@[]":
        return _local_interface
    if item.startswith("^") or item.startswith("*"):
        return _named_pattern(item)
    found = split_lookup(item)
    if found is not None:
        return _lookup_host(*found)
    name = scope.services.primary_hostname if item == "@" else untaint(item)
    return _address_of_name(name, item)


def _network_item(item: str, network: tuple[int, int]) -> Matcher:
    value = Match(True, item)
    mask, wanted = network

    def match(subject: Any, scope: Scope) -> Match | None:
        if subject.address is None:
            return None
        key = parse(subject.address)
        return value if key is not None and key & mask == wanted else None

    return match


_INTERFACE: Final = Match(True, "@[]")


def _local_interface(subject: Any, scope: Scope) -> Match | None:
    return _INTERFACE if subject.address is not None and is_local_address(subject.address, scope) else None


def is_local_address(address: str, scope: Scope) -> bool:
    """Tell whether an address is one of this host's."""
    main = scope.config.main
    key = parse(address)
    return key is not None and key in local_keys(main.local_interfaces, main.extra_local_interfaces,
                                                 main.disable_ipv6, scope.services.clock.monotonic())


def _named_hosts(name: str, scope: Scope) -> Matcher:
    named = scope.config.named_lists.get("host", {}).get(name)
    if named is None:
        outcome = deferral(f'unknown named host list "+{name}"')
        return lambda subject, scope: outcome
    if is_literal(named.text):
        return compile_hosts(named.text, scope).match
    text = named.text
    return lambda subject, scope: match_hosts(subject, text, scope, f"+{name}")


def _host_file(path: str, scope: Scope) -> Matcher:
    if is_tainted(path):
        outcome = deferral(f"Tainted filename '{untaint(path)}'")
        return lambda subject, scope: outcome

    def match(subject: Any, scope: Scope) -> Match | None:
        lines = read_lines(path, spaced_comments=False)
        if isinstance(lines, str):
            return deferral(lines)
        for line in lines:
            negated = line.startswith("!")
            pattern = line[1:].lstrip(" \t") if negated else line
            outcome = host_item(pattern, scope, in_file=True)(subject, scope)
            if outcome is not None and (outcome.deferred or outcome.unknown):
                return outcome
            if outcome is not None:
                return NOT_FOUND if negated else outcome
        return None

    return match


# -- what needs the host's name


def names_of(subject: HostSubject, scope: Scope) -> list[str] | Match:
    """Return the names of a host, looked up if need be; UNKNOWN or a deferral where there are none."""
    if subject.name is not None:
        return [subject.name]
    conn = subject.conn
    if conn is None or subject.address is None:
        return UNKNOWN
    if conn.sender_host_name is None and not conn.host_lookup_failed:
        from pyexim.dns.hosts import look_up_name  # asks the DNS

        look_up_name(conn, scope)
    if conn.sender_host_name is not None:
        return [conn.sender_host_name, *conn.sender_host_aliases]
    if conn.host_lookup_deferred:
        return deferral(f"host lookup deferred for reverse lookup of {subject.address}")
    return UNKNOWN


def _named_pattern(item: str) -> Matcher:
    from pyexim.match.items import plain_name, regex_item

    pattern = regex_item(item) if item.startswith("^") else plain_name(item)

    def match(subject: Any, scope: Scope) -> Match | None:
        if subject.address is None and subject.name is None:
            return None
        names = names_of(subject, scope)
        if isinstance(names, Match):
            return names
        for name in names:
            outcome = pattern(taint(name), scope)
            if outcome is not None:
                return outcome
        return None

    return match


def _address_of_name(name: str, item: str) -> Matcher:
    """Compile a plain host name: its addresses are looked up and compared."""
    value = Match(True, item)
    wanted = lower(name)

    def match(subject: Any, scope: Scope) -> Match | None:
        if subject.address is None:
            return None
        from pyexim.dns.hosts import addresses_of  # asks the DNS

        found = addresses_of(wanted, scope)
        if found.deferred:
            return deferral(f"host lookup for {name} deferred: {found.error}")
        if not found.addresses:
            return UNKNOWN
        return value if subject.address in found.addresses else None

    return match


def _lookup_host(lookup_type: str, rest: str) -> Matcher:
    """Compile a lookup: by address with net-, by name without, or a query."""
    m = _NET.match(lookup_type)
    if is_query_style(lookup_type):
        return lookup_item(lookup_type, rest, lambda subject, scope: "")
    if m is not None:
        bits, plain = m[1], m[2]
        by_address = lookup_item(plain, rest, lambda subject, scope: network_key(subject.address, bits, plain))
        return lambda subject, scope: by_address(subject, scope) if subject.address is not None else None
    by_name = lookup_item(lookup_type, rest, lambda name, scope: str.lower(name))

    def match(subject: Any, scope: Scope) -> Match | None:
        names = names_of(subject, scope)
        if isinstance(names, Match):
            return names
        for name in names:
            outcome = by_name(name, scope)
            if outcome is not None:
                return outcome
        return None

    return match


def network_key(address: str, bits: str, lookup_type: str) -> str:
    """Return the key for a net-lookup: the address, or the network of so many bits with its mask."""
    address = unmap(address)
    separator = ":" if lookup_type.startswith("iplsearch") else "."
    key = parse(address)
    if key is None:
        return address
    if bits:
        return masked(address, int(bits), separator)
    return full(address, separator) if key >= V6 else address
