"""The condition ``dnslists``: is the client, or any other key, on a DNS list?

Items are "domain[,domain]<restriction>/<keys>"; answers are kept for the connection as long as their TTL
says.  Spec: sections "Using DNS lists" to "DNS lists and IPv6".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.parser import Item
from pyexim.acl.run import DEFER, FAIL, OK, AclRun, Step
from pyexim.acl.where import NAMES, NON_SMTP
from pyexim.base.ipaddress import reverse, to_bytes
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass, field
from pyexim.expand.lists import split_list
from pyexim.verify.dnsrecords import Answer, records

INCLUDE, EXCLUDE, DEFERRING = "include", "exclude", "defer"
_UNKNOWN: Final = {"+include_unknown": INCLUDE, "+exclude_unknown": EXCLUDE, "+defer_unknown": DEFERRING}
_LIFE: Final = 3600
"""Seconds that an answer is kept which does not say how long it holds; also that there was none."""
_RESTRICTION: Final = re.compile(r"!?(?:==|=&|=|&)")
_DOMAIN: Final = re.compile(r"[-A-Za-z0-9_.]*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """One item of the list."""

    domain: str
    """What is asked first, with the restriction."""
    text_domain: str
    """What is asked for the text, and named in $dnslist_domain."""
    addresses: tuple[str, ...] = ()
    negated: bool = False
    masks: bool = False
    every: bool = False
    """== and =&: all addresses returned must match."""
    keys: tuple[str, ...] | None = None
    """None: the address of the client."""
    restriction: str = ""
    """Sign and addresses, as debugging output shows them."""


@dataclass(slots=True)
class Found:
    """What one lookup said: all addresses, and those in 127/8, which alone count."""

    all: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    deferred: bool = False


def dnslists(item: Item, build: Build) -> Step:
    """Make the step of ``dnslists = list``."""
    return with_argument(item, check)


def parse_item(item: str) -> Query:
    """Read one item."""
    domain, slash, keys = item.partition("/")
    match = _RESTRICTION.search(domain)
    addresses: tuple[str, ...] = ()
    sign = restriction = ""
    if match is not None:
        sign, restriction = match.group(), domain[match.start():].removeprefix("!")
        addresses = tuple(a.strip(SPACE) for a in domain[match.end():].split(","))
        domain = domain[:match.start()]
    text_domain, comma, checked = domain.partition(",")
    negated = sign.startswith("!")
    sign = sign.removeprefix("!")
    return Query(checked if comma else text_domain, text_domain, addresses, negated, sign in ("&", "=&"),
                 sign in ("==", "=&"), tuple(k for k in split_list(keys) if k) if slash else None, restriction)


def reversed_address(address: str) -> str:
    """Return an IP address as labels of the DNS, the last part first; another key as it is."""
    return reverse(address) or address


def check(run: AclRun, text: str) -> int:
    """Look through the list until a match is found."""
    unknown = EXCLUDE
    for item in split_list(text):
        if not item:
            continue
        _show(run, f"dnslists check: {item}")
        if item.startswith("+"):
            if item not in _UNKNOWN:
                run.scope.services.log.panic(f"unknown item in dnslist (ignored): {item}")
            unknown = _UNKNOWN.get(item, unknown)
            continue
        wanted = parse_item(item)
        if not _DOMAIN.match(wanted.domain):
            run.scope.services.log.panic(
                f'dnslists domain "{wanted.domain}" contains strange characters - is this right?')
        keys = wanted.keys
        if keys is None:
            if run.where in NON_SMTP:
                return run.error(f"cannot test auto-keyed dnslists condition in {NAMES[run.where]} ACL")
            conn = run.scope.conn
            if conn is None or conn.sender_host_address is None:
                return FAIL
            keys = (conn.sender_host_address,)
        code = _any_key(run, wanted, keys, unknown)
        if code != FAIL:
            return code
    return FAIL


def _any_key(run: AclRun, wanted: Query, keys: tuple[str, ...], unknown: str) -> int:
    """Ask for each key; a temporary error counts only where no other key is on the list."""
    deferred = False
    for key in keys:
        prefix = reversed_address(key)
        found = _ask(run, key, wanted.domain)
        if found.deferred:
            deferred = True
            continue
        if not found.addresses:
            continue
        if not _matches(wanted, found.addresses):
            what = ("an IP address that did not" if wanted.every else "no") if not wanted.negated else "an exclude"
            _show(run, "=> but we are not accepting this block class because")
            _show(run, f"=> there was {what} match for {wanted.restriction}")
            continue
        if wanted.text_domain != wanted.domain:
            confirmed = _ask(run, key, wanted.text_domain)
            if confirmed.deferred:
                deferred = True
                continue
            if not confirmed.addresses:
                continue
            found = confirmed
        _set_variables(run, wanted, key, prefix, found)
        return OK
    if not deferred:
        return FAIL
    what = {EXCLUDE: "assumed not in list", INCLUDE: "assumed in list", DEFERRING: "returned DEFER"}[unknown]
    log = run.scope.services.log
    if log.selected("dnslist_defer"):
        log.main(f"DNS list lookup defer (probably timeout) for {reversed_address(keys[-1])}.{wanted.domain}: {what}")
    if unknown == INCLUDE:
        _set_variables(run, wanted, keys[-1], "", Found())
    return {EXCLUDE: FAIL, INCLUDE: OK, DEFERRING: DEFER}[unknown]


def _show(run: AclRun, text: str) -> None:
    """Show a line to whoever debugs."""
    debug = run.scope.services.debug
    if debug is not None and debug.selected("dnsbl"):
        debug("dnsbl", text)


def _ask(run: AclRun, key: str, domain: str) -> Found:
    """Return the addresses that a list has for a key and that lie in 127/8."""
    name = f"{reversed_address(key)}.{domain}"
    answer = _cached(run, name, "A")
    found = Found(answer.records, deferred=answer.deferred)
    if found.all:
        _show(run, f"DNS lookup for {name} succeeded (yielding {', '.join(found.all)})")
    elif not found.deferred:
        _show(run, f"DNS lookup for {name} failed")
        _show(run, f"=> that means {key} is not listed at {domain}")
    for address in answer.records:
        if address.startswith("127."):
            found.addresses.append(address)
        else:
            run.scope.services.log.main(
                f"DNS list lookup for {key} at {domain} returned {address}; not in 127.0/8 and discarded")
    return found


def _cached(run: AclRun, name: str, kind: str) -> Answer:
    """Ask the DNS, or take what this connection has been told already."""
    cache: dict[tuple[str, str], tuple[float, Answer]] = run.scope.facts.setdefault("dnslists", {})
    now = run.scope.services.clock.time()
    have = cache.get((name, kind))
    if have is not None and have[0] > now:
        if kind == "A":
            _show(run, "dnslists: using result of previous lookup")
        return have[1]
    if kind == "A":
        _show(run, f"new DNS lookup for {name}")
    answer = records(name, kind, run.scope)
    life = answer.ttl or _LIFE
    cache[name, kind] = now + life, answer
    if kind == "A":
        _show(run, f"dnslists: wrote cache entry, ttl={life}")
    return answer


def _matches(wanted: Query, addresses: list[str]) -> bool:
    """Tell whether the addresses returned satisfy the restriction."""
    if not wanted.addresses:
        return True
    test = [_one_matches(wanted, address) for address in addresses]
    return (all(test) if wanted.every else any(test)) != wanted.negated


def _one_matches(wanted: Query, address: str) -> bool:
    if not wanted.masks:
        return address in wanted.addresses
    value = _number(address)
    return any((value & mask) == mask for mask in map(_number, wanted.addresses))


def _number(address: str) -> int:
    octets = to_bytes(address)
    return int.from_bytes(octets, "big") if octets is not None else -1


def _set_variables(run: AclRun, wanted: Query, key: str, prefix: str, found: Found) -> None:
    variables = run.scope.vars
    variables["dnslist_domain"] = wanted.text_domain
    variables["dnslist_matched"] = key
    variables["dnslist_value"] = ", ".join(found.all)
    _show(run, f"=> that means {key} is listed at {wanted.text_domain}")
    text = _cached(run, f"{prefix}.{wanted.text_domain}", "TXT") if found.all else Answer()
    if text.records:
        variables["dnslist_text"] = text.records[0][:511]
    else:
        variables.pop("dnslist_text", None)
