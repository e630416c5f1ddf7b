"""Host lists: by address, by name, by lookup.  Spec: sections 10.10 to 10.19."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from pyexim.base.ipaddress import V6, NetworkTable, full, masked, parse, parse_network, unmapped_key
from pyexim.base.lists import split_list
from pyexim.base.octets import lower
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import taint, untaint
from pyexim.expand.hosts import sender_fullhost
from pyexim.expand.scope import Scope
from pyexim.match import trace
from pyexim.match.items import (
    FOUND,
    NOT_FOUND,
    CompiledList,
    Context,
    Match,
    Matcher,
    compiled_list,
    deferral,
    failing,
    file_item,
    is_query_style,
    lookup_item,
    named_item,
    negation,
    plain_name,
    regex_item,
    split_lookup,
    tidy_numeric,
    without_net,
)
from pyexim.match.local import local_address_keys
from pyexim.model.connection import Connection

_FLAGS: Final = frozenset({"+include_unknown", "+ignore_unknown", "+include_defer", "+ignore_defer"})
_NET: Final = lazy_pattern(r"net(\d*)-(.*)", re.ASCII | re.DOTALL)
_LIKE_AN_ADDRESS: Final = lazy_pattern(r"[0-9./]+\Z|[0-9a-fA-F:./]*:[0-9a-fA-F:./]*\Z", re.ASCII)
_NO_NAMES: Final = "cannot match host name in match_ip list"


class HostSubject:
    """The host to be matched: its address (None for no host) and where its name can be had from."""

    __slots__ = ("address", "addresses_only", "cache_key", "conn", "key", "name")

    def __init__(self, address: str | None, name: str | None = None, conn: Connection | None = None,
                 addresses_only: bool = False) -> None:
        self.address = self.cache_key = address
        self.name = name
        self.conn = conn
        self.addresses_only = addresses_only
        """match_ip: names are never looked up."""
        key = parse(address) if address else None
        self.key = key if key is None or key < V6 else unmapped_key(key)


def client_subject(conn: Connection) -> HostSubject:
    """Return the connected host as a subject."""
    return HostSubject(conn.sender_host_address, None, conn)


def match_hosts(subject: HostSubject, source: str, scope: Scope, option: str, expanded: bool = False) -> Match:
    """Match a host against a host list."""
    debug = scope.services.debug
    if debug is not None and debug.selected("lists"):
        return trace.shown("host", subject, source, scope, "host", False, option, compile_hosts, expanded)
    compiled = compiled_list(source, scope, "host", False, option, compile_hosts, expanded)
    return compiled if isinstance(compiled, Match) else compiled.match(subject, scope)


class _HostList(CompiledList):
    """A host list: what stays unknown ends it as "not in the list"."""

    __slots__ = ()

    def match(self, subject: Any, scope: Scope) -> Match:
        before = scope.vars.get("0")
        outcome = super().match(subject, scope)
        tidy_numeric("host", before, outcome, scope)
        return NOT_FOUND if outcome.unknown else outcome


def compile_hosts(context: Context, text: str) -> CompiledList:
    """Compile an expanded host list; the flags act on the items after them.

    Addresses and networks that follow each other become one table.
    """
    items: list[tuple[bool, Matcher]] = []
    unknown, defer = "", ""
    costly, constant = False, True
    networks: list[tuple[int, int]] = []
    networks_negated = False

    def flush() -> None:
        if networks:
            items.append((networks_negated, _networks_item([(network, FOUND) for network in networks])))
            networks.clear()

    for item in split_list(text):
        if item in _FLAGS:
            what, _, about = item[1:].partition("_")
            unknown, defer = (what, defer) if about == "unknown" else (unknown, what)
            continue
        negated, item = negation(item)
        network = parse_network(untaint(item))
        if network is not None:
            if networks and networks_negated != negated:
                flush()
            networks_negated = negated
            networks.append(network)
            continue
        flush()
        if item[:1] == "+":
            # its own flags have judged what is unknown, and a deferral inside is not judged again
            matcher, item_costly, item_constant = named_item(untaint(item[1:]), context, compile_hosts)
        else:
            matcher = _judged(host_item(item, context.scope, ignore_unknown=unknown == "ignore"), unknown,
                              defer if item[:1] != "/" else "", negated)
            item_costly, item_constant = _is_costly(item), True
        costly, constant = costly or item_costly, constant and item_constant
        items.append((negated, matcher))
    flush()
    return _HostList(items, costly=costly, constant=constant)


def _is_costly(item: str) -> bool:
    return item not in ("", "*", "@[]") and parse_network(untaint(item)) is None


def _judged(matcher: Matcher, unknown: str, defer: str, negated: bool) -> Matcher:
    """Apply the flags in force: what an item that finds nothing out means, whatever its sign."""
    if not unknown and not defer:
        return matcher

    def match(subject: Any, scope: Scope) -> Match | None:
        outcome = matcher(subject, scope)
        if outcome is None or outcome.found or outcome.reported or not (outcome.unknown or outcome.deferred):
            return outcome
        flag = unknown if outcome.unknown else defer
        if not flag:
            return outcome
        if flag == "ignore":
            if scope.services.debug is not None:
                scope.services.debug("lists", f"{outcome.error}: item ignored by +ignore_"
                                     f"{'unknown' if outcome.unknown else 'defer'}")
            return None
        about = "unknown" if outcome.unknown else "defer"
        scope.services.log.main(f"{outcome.error}: accepted by +include_{about}")
        return Match(not negated, error=outcome.error)

    return match


def _ignoring(matcher: Matcher) -> Matcher:
    """Compile a line of a file after +ignore_unknown."""
    def match(subject: Any, scope: Scope) -> Match | None:
        outcome = matcher(subject, scope)
        return None if outcome is not None and outcome.unknown else outcome

    return match


def host_item(item: str, scope: Scope, *, in_file: bool = False, ignore_unknown: bool = False) -> Matcher:
    """Compile one item that is no single address and refers to no named list.

    ``ignore_unknown``: the lines of a file that need what cannot be found are passed over one by one.
    """
    if item == "*":
        return lambda subject, scope: FOUND
    if item == "":
        return lambda subject, scope: None if subject.address else FOUND
    if item == "@[]":
        return _local_interface
    if item[0] == "/" and not in_file:
        def line_item(line: str) -> Matcher:
            matcher = host_item(line, scope, in_file=True)
            return _ignoring(matcher) if ignore_unknown else matcher

        return file_item(item, line_item, spaced_comments=False, is_plain=lambda line: parse_network(line) is not None,
                         table=_networks_with_lines)
    if item[0] == "+":
        return named_item(untaint(item[1:]), Context(scope, "host"), compile_hosts)[0]
    network = parse_network(untaint(item))
    if network is not None:
        return _networks_item([(network, FOUND)])
    if item[0] in "^*":
        return _named_pattern(item)
    if ";" in item:
        found = split_lookup(item)
        if found is None:
            text = untaint(item)
            return failing(f'unknown lookup type "{text.partition(";")[0]}" in host list item "{text}"')
        return _lookup_host(*found)
    if _LIKE_AN_ADDRESS.match(item):
        wrong = Match(False, error=f"malformed IP address or address mask: {untaint(item)}", unknown=True)
        return lambda subject, scope: wrong
    name = (scope.services.primary_hostname or scope.config.main.primary_hostname or "") if item == "@" else item
    return _address_of_name(untaint(name))


def _networks_item(networks: Iterable[tuple[tuple[int, int], Match]]) -> Matcher:
    """Compile networks, single addresses too, with what a match with each says."""
    table: NetworkTable[Match] = NetworkTable()
    for network, outcome in networks:
        table.add(network, outcome)
    return lambda subject, scope: table.find(subject.key) if subject.key is not None else None


def _networks_with_lines(lines: list[str]) -> Matcher:
    """Compile lines of a file that are addresses or networks; the value is the line."""
    parsed = ((parse_network(line), line) for line in lines)
    return _networks_item((network, Match(True, line)) for network, line in parsed if network is not None)


def _local_interface(subject: Any, scope: Scope) -> Match | None:
    return FOUND if subject.key is not None and subject.key in local_address_keys(scope) else None


# -- what needs the host's name


def names_of(subject: HostSubject, scope: Scope, item: str) -> list[str] | Match:
    """Return the names of a host, looked up if need be for ``item``; an unknown outcome where there are none."""
    if subject.name:
        return [subject.name]
    if subject.addresses_only:
        return Match(False, error=_NO_NAMES, unknown=True)
    conn = subject.conn
    if conn is None:
        return Match(False, error=f"failed to find host name for {subject.address}", unknown=True)
    if conn.sender_host_name is None:
        from pyexim.dns.hosts import look_up_name  # asks the DNS

        debug = scope.services.debug
        if debug is not None and debug.selected("host_lookup"):
            debug("host_lookup", f"sender host name required, to match against {item}")
        look_up_name(conn, scope)
    if conn.sender_host_name is not None:
        return [conn.sender_host_name, *conn.sender_host_aliases]
    # A lookup that may succeed later counts as one that has failed here, as in Exim.
    return Match(False, error=f"failed to find host name for {subject.address}", unknown=True)


def _named_pattern(item: str) -> Matcher:
    pattern = regex_item(item) if item[0] == "^" else plain_name(item)

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        names = names_of(subject, scope, item)
        if isinstance(names, Match):
            return names
        for name in names:
            outcome = pattern(taint(name), scope)
            if outcome is not None:
                return outcome
        return None

    return match


def _address_of_name(name: str) -> Matcher:
    """Compile a plain host name: its addresses are looked up and compared."""
    wanted = lower(name)

    def match(subject: Any, scope: Scope) -> Match | None:
        if subject.key is None:
            return None
        if subject.addresses_only:
            return Match(False, error=_NO_NAMES, unknown=True)
        from pyexim.dns.hosts import addresses_of  # asks the DNS

        found = addresses_of(wanted, scope)
        if any(parse(address) == subject.key for address in found.addresses):
            return FOUND
        if found.addresses:
            return None
        _tell_no_address(name, subject.conn, scope, log=not found.deferred)
        if found.deferred:
            return deferral(f'DNS lookup of "{name}" deferred')
        return Match(False, error=f"failed to find IP address for {name}", unknown=True)

    return match


def _tell_no_address(name: str, conn: Connection | None, scope: Scope, *, log: bool) -> None:
    """Show that a name has no address, and log it if that is wanted."""
    if conn is None:
        return
    debug, text = scope.services.debug, f"no IP address found for host {name}"
    if conn.sender_host_address:
        text += f" (during SMTP connection from {sender_fullhost(conn)})"
    if debug is not None:
        debug("host_lookup", text)
    if log and scope.services.log.wants("host_lookup_failed"):
        scope.services.log.main(text, selector="host_lookup_failed")


def _lookup_host(lookup_type: str, rest: str) -> Matcher:
    """Compile a lookup: by address with net-, by name without, or a query."""
    if is_query_style(lookup_type):
        return lookup_item(lookup_type, rest, lambda subject: "")
    m = _NET.match(lookup_type)
    bits, plain = (m[1], m[2]) if m is not None else ("", lookup_type)
    by_address = lookup_item(plain, rest, lambda subject: network_key(subject.address, bits, plain))
    if m is not None:
        return lambda subject, scope: by_address(subject, scope) if subject.key is not None else None
    by_name = lookup_item(without_net(lookup_type), rest, lower)

    def match(subject: Any, scope: Scope) -> Match | None:
        if not subject.address:
            return None
        if subject.addresses_only:
            return by_address(subject, scope)
        names = names_of(subject, scope, f"{lookup_type};{rest}")
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
    separator = ":" if lookup_type.startswith("iplsearch") else "."
    key = parse(address)
    if key is None:
        return address
    key = unmapped_key(key)
    text = full(address, separator) if key >= V6 else _dotted(key)
    return masked(_dotted(key) if key < V6 else address, int(bits), separator) if bits else text


def _dotted(key: int) -> str:
    return f"{key >> 24}.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}"
