"""Names and addresses of hosts: forward, reverse with confirmation, and the MX hosts of a domain.

Whether a host is this one is the caller's question.  Spec: sections "Host list patterns that match by host
name", option host_lookup_order, chapter "The dnslookup router".
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from pyexim.base.ipaddress import is_ip, reverse_name
from pyexim.base.ipaddress import unmap as normalised
from pyexim.base.lists import split_list
from pyexim.base.octets import SPACE, lower, words
from pyexim.base.record import dataclass, field
from pyexim.base.taint import untaint
from pyexim.dns.resolver import AGAIN, NO_NAME, Answer, Resolver, make_resolver
from pyexim.model.host import MX_NONE, Host

if TYPE_CHECKING:
    from pyexim.expand.scope import Scope
    from pyexim.model.connection import Connection

HOSTS_FILE: Final = "/etc/hosts"


@dataclass(slots=True)
class Addresses:
    """The addresses of a host name; ``deferred`` where the answer must be waited for."""

    addresses: list[str] = field(default_factory=list)
    name: str = ""
    """The canonical name."""
    deferred: bool = False
    error: str = ""
    dnssec: bool = False


def resolver_of(scope: Scope) -> Resolver:
    """Return the resolver of this process, made on first use."""
    services = scope.services
    resolver: Resolver | None = services.resolver
    if resolver is None:
        make = services.make_resolver or make_resolver
        resolver = make(scope.config)
        resolver.tell = services.log.main
        if services.debug is not None and services.debug.selected("dns"):
            resolver.trace = partial(services.debug, "dns")
        if services.debug is not None and services.debug.selected("lists"):
            resolver.trace_lists = partial(services.debug, "lists")
        services.resolver = resolver
    assert resolver is not None
    return resolver


# -- forward


def addresses_of(name: str, scope: Scope) -> Addresses:
    """Look a host name up by the system's means (/etc/hosts, then the DNS)."""
    found = _addresses_of(name, scope)
    debug = scope.services.debug
    if debug is not None and debug.selected("host_lookup") and found.addresses:
        debug("host_lookup", "gethostbyname2 looked up these IP addresses:")
        for address in found.addresses:
            debug("host_lookup", f"  name={found.name} address={address}")
    return found


def _addresses_of(name: str, scope: Scope) -> Addresses:
    resolver = scope.services.resolver
    if resolver is not None and resolver.fixed_servers:
        found = hosts_file_addresses(name)
        return Addresses(found, name) if found else addresses_by_dns(name, scope)
    family = socket.AF_INET if _ipv4_only(name, scope) else socket.AF_UNSPEC
    try:
        entries = socket.getaddrinfo(str(name), None, family, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)
    except socket.gaierror as e:
        again = e.errno == socket.EAI_AGAIN and not _again_means_nonexist(name, scope)
        return Addresses(name=name, deferred=again, error=str(e.strerror))
    except (OSError, UnicodeError, ValueError) as e:
        return Addresses(name=name, error=str(e))
    addresses = list(dict.fromkeys(normalised(str(item[4][0])) for item in entries))
    return Addresses(addresses, entries[0][3] or name)


def _ipv4_only(name: str, scope: Scope) -> bool:
    main = scope.config.main
    return main.disable_ipv6 or (bool(main.dns_ipv4_lookup) and resolver_of(scope).ipv4_only(name))


def _again_means_nonexist(name: str, scope: Scope) -> bool:
    return bool(scope.config.main.dns_again_means_nonexist) and resolver_of(scope).nonexist_when_again(name)


def addresses_by_dns(name: str, scope: Scope, *, qualify_single: bool = False, search_parents: bool = False,
                     dnssec: bool = False) -> Addresses:
    """Look a host name up in the DNS: AAAA records (unless they are off), then A records."""
    resolver = resolver_of(scope)
    out = Addresses(name=name)
    types = ("A",) if scope.config.main.disable_ipv6 or resolver.ipv4_only(name) else ("AAAA", "A")
    secure = True
    for rtype in types:
        answer = resolver.lookup(name, rtype, qualify_single=qualify_single, search_parents=search_parents,
                                 dnssec=dnssec)
        if answer:
            out.name = answer.canonical
            out.addresses += [normalised(a) for a in answer.values]
            secure = secure and answer.dnssec
        elif answer.again:
            out.deferred, out.error = True, answer.error
    if out.addresses:
        out.deferred, out.error = False, ""  # what was found is enough
        out.dnssec = secure
    return out


def hosts_file_addresses(name: str, path: str = HOSTS_FILE) -> list[str]:
    """Return the addresses that the hosts file gives for a name."""
    wanted = lower(name)
    return [address for address, names in _hosts_file(path) if wanted in names]


def hosts_file_names(address: str, path: str = HOSTS_FILE) -> list[str]:
    """Return the names that the hosts file gives for an address."""
    return [name for have, names in _hosts_file(path) if have == address for name in names]


def _hosts_file(path: str) -> list[tuple[str, list[str]]]:
    try:
        with open(path, "rb") as f:
            text = f.read().decode("latin-1")
    except OSError:
        return []
    out = []
    for line in text.split("\n"):
        fields = words(line.partition("#")[0])
        if len(fields) > 1:
            out.append((fields[0], [lower(n) for n in fields[1:]]))
    return out


# -- reverse


def look_up_name(conn: Connection, scope: Scope) -> None:
    """Find the names of the connected host and keep those that lead back to its address.

    Sets sender_host_name, sender_host_aliases and sender_host_dnssec; or host_lookup_failed, or
    host_lookup_deferred where it may succeed later; failures are logged under host_lookup_failed.
    A temporary failure with one of several names leaves the host without a name, as in Exim.
    """
    address = conn.sender_host_address
    if address is None or conn.sender_host_name is not None or conn.host_lookup_failed:
        return
    show = _shown_by(scope)
    show(f"looking up host name for {address}")
    names, deferred, secure = _names_of(untaint(address), scope, show)
    if deferred:
        show("IP address PTR lookup gave temporary error")
        conn.host_lookup_deferred = True
        return
    if not names:
        conn.host_lookup_failed = True
        conn.host_lookup_message = "failed to find host name from IP address"
        _log(conn, scope, f"no host name found for IP address {address}")
        return
    show(f'IP address lookup yielded "{names[0]}"')
    for name in names[1:]:
        show(f'  alias "{name}"')
    good: list[str] = []
    for name in names:
        found = addresses_by_dns(name, scope)  # the DNS alone, as in Exim: /etc/hosts proves nothing to others
        if found.deferred:
            show("temporary error for host name lookup")
            conn.host_lookup_deferred = True
            return
        if _leads_back(found, address, show):
            good.append(name)
    if good:
        conn.sender_host_name, conn.sender_host_aliases = good[0], good[1:]
        conn.sender_host_dnssec = secure
        conn.host_lookup_deferred = False
        conn.host_lookup_message = ""
        return
    conn.host_lookup_message = f"{address} does not match any IP address for {names[0]}"
    show(conn.host_lookup_message)
    conn.host_lookup_failed = True


def _shown_by(scope: Scope) -> Callable[[str], None]:
    """Return what shows the steps of a host lookup, to whoever debugs."""
    debug = scope.services.debug
    return partial(debug, "host_lookup") if debug is not None and debug.selected("host_lookup") else lambda text: None


def _leads_back(found: Addresses, address: str, show: Callable[[str], None]) -> bool:
    """Tell whether an address is among those of a name."""
    if not found.addresses:
        show(f"no IP addresses found for {found.name}")
        return False
    show(f"checking addresses for {found.name}")
    for have in found.addresses:
        if have == address:
            show(f"  {have} OK")
            return True
        show(f"  {have}")
    show(f"no IP address for {found.name} matched {address}")
    return False


def _log(conn: Connection, scope: Scope, text: str) -> None:
    if scope.services.log.selected("host_lookup_failed"):
        scope.services.log.main(text)


def _names_of(address: str, scope: Scope, show: Callable[[str], None]) -> tuple[list[str], bool, bool]:
    """Return (names, whether to try later, authenticated) by the methods of host_lookup_order."""
    deferred = False
    for method in split_list(scope.config.main.host_lookup_order or "bydns:byaddr"):
        if method == "bydns":
            answer = resolver_of(scope).lookup(reverse_name(address) or address, "PTR", dnssec=True)
            if answer:
                names = [lower(str(n)) for n in answer.values if n and _is_host_name(str(n))]
                if names:
                    return list(dict.fromkeys(names)), False, answer.dnssec
            if answer.again:
                deferred = True
                break  # Exim asks nobody else then
        elif method == "byaddr":
            show("IP address lookup using gethostbyaddr()")
            found = _by_address(address, scope)
            if found:
                return found, False, False
            deferred = found is None
            show(f"IP address lookup failed: h_errno={2 if deferred else 1}")
    return [], deferred, False


def _is_host_name(name: str) -> bool:
    return not any(c in name for c in SPACE + "()<>[]\\;\"'`$!|&/:")


def _by_address(address: str, scope: Scope) -> list[str] | None:
    """Ask the system for the names of an address; None to try later."""
    resolver = scope.services.resolver
    if resolver is not None and resolver.fixed_servers:
        return hosts_file_names(address)
    try:
        name, aliases, _ = socket.gethostbyaddr(address)
    except socket.herror as e:
        return None if e.errno == 2 else []  # 2 is TRY_AGAIN
    except OSError:
        return []
    return [lower(n) for n in dict.fromkeys([name, *aliases]) if not is_ip(n) and not n.endswith(".arpa")]


# -- MX


Ignore = Callable[[str, str], bool]
"""(host name, address) -> whether the address is to be left out (ignore_target_hosts)."""


@dataclass(slots=True)
class MxHosts:
    """The hosts for a domain, in the order in which to try them.

    ``status``: "found"; "again" (``error`` says why); "nxdomain" or "nodata"; "null" for a null MX
    (RFC 7505); "ignored" where every address was to be left out; "mx_only" where there are MX records
    but no host of them has an address.  ``name`` is the domain as found, qualified.
    """

    status: str
    hosts: list[Host] = field(default_factory=list)
    name: str = ""
    error: str = ""
    dnssec: bool = False
    from_mx: bool = False


def mx_hosts(domain: str, scope: Scope, *, ignore: Ignore | None = None, use_mx: bool = True, use_address: bool = True,
             srv_service: str = "", qualify_single: bool = False, search_parents: bool = False,
             mx_fail: Callable[[str], bool] | None = None, srv_fail: Callable[[str], bool] | None = None,
             dnssec: bool = False, allow_ip: bool = False, rng: random.Random | None = None) -> MxHosts:
    """Return the hosts for a domain: from SRV records of a service, MX records, or its own addresses.

    Hosts are sorted by preference and shuffled within one (by weight for SRV).  ``mx_fail`` and
    ``srv_fail`` tell for which domains a temporary failure counts as "no such record".  ``allow_ip``
    takes an address where an MX record should have a name (allow_mx_to_ip).
    """
    resolver = resolver_of(scope)
    options = {"qualify_single": qualify_single, "search_parents": search_parents, "dnssec": dnssec}
    if srv_service:
        answer = resolver.lookup(f"_{srv_service}._tcp.{domain}", "SRV", **options)
        if answer.again and not (srv_fail and srv_fail(domain)):
            return MxHosts(AGAIN, name=domain, error=answer.error)
        if answer:
            return _from_srv(answer, domain, scope, ignore, dnssec, rng)
    secure = False
    if use_mx:
        answer = resolver.lookup(domain, "MX", **options)
        secure = answer.dnssec
        if answer.again and not (mx_fail and mx_fail(domain)):
            return MxHosts(AGAIN, name=domain, error=answer.error)
        if answer:
            return _from_mx(answer, scope, ignore, dnssec, allow_ip, rng)
        if answer.status == NO_NAME:
            return MxHosts(NO_NAME, name=domain)
    if not use_address:
        return MxHosts("nodata", name=domain, dnssec=secure)
    found = addresses_by_dns(domain, scope, **options)
    if found.deferred:
        return MxHosts(AGAIN, name=domain, error=found.error)
    if not found.addresses:
        return MxHosts(NO_NAME if not use_mx else "nodata", name=domain)
    rng = rng or random.Random(os.urandom(8))
    hosts = [Host(found.name, a, mx=MX_NONE, dnssec=found.dnssec) for a in found.addresses
             if not (ignore and ignore(found.name, a))]
    rng.shuffle(hosts)
    return MxHosts("found" if hosts else "ignored", hosts, found.name, dnssec=found.dnssec)


def _from_mx(answer: Answer, scope: Scope, ignore: Ignore | None, dnssec: bool, allow_ip: bool,
             rng: random.Random | None) -> MxHosts:
    rng = rng or random.Random(os.urandom(8))
    records = [(int(preference), str(name)) for preference, name in answer.values]
    if records == [(0, "")]:
        return MxHosts("null", name=answer.name, dnssec=answer.dnssec, from_mx=True)
    best: dict[str, int] = {}
    for preference, name in records:
        key = lower(name)
        best[key] = min(preference, best.get(key, preference))
    wanted: list[tuple[int, float, str, int | None]] = [
        (preference, rng.random(), name, None) for name, preference in best.items() if name]
    return _resolved(wanted, answer, scope, ignore, dnssec, allow_ip, rng)


def _from_srv(answer: Answer, domain: str, scope: Scope, ignore: Ignore | None, dnssec: bool,
              rng: random.Random | None) -> MxHosts:
    rng = rng or random.Random(os.urandom(8))
    records = [(int(p), int(w), int(port), str(name)) for p, w, port, name in answer.values]
    if len(records) == 1 and records[0][3] in ("", "."):
        return MxHosts("null", name=domain, dnssec=answer.dnssec)
    wanted: list[tuple[int, float, str, int | None]] = []
    for priority in sorted({r[0] for r in records}):
        rest = [r for r in records if r[0] == priority]
        place = 0
        while rest:  # RFC 2782: chosen one after another, with a chance in proportion to the weight
            point = rng.uniform(0, sum(r[1] for r in rest))
            for record in sorted(rest, key=lambda r: r[1]):
                point -= record[1]
                if point <= 0:
                    break
            rest.remove(record)
            wanted.append((priority, place, record[3], record[2]))
            place += 1
    return _resolved(wanted, answer, scope, ignore, dnssec, False, rng)


def _resolved(wanted: list[tuple[int, float, str, int | None]], answer: Answer, scope: Scope, ignore: Ignore | None,
              dnssec: bool, allow_ip: bool, rng: random.Random) -> MxHosts:
    """Find the addresses of the hosts; those without any are kept at their place, unusable, if others are found."""
    out = MxHosts("found", name=answer.name, dnssec=answer.dnssec, from_mx=True)
    deferred = ""
    ignored = False
    for number, (preference, _, name, port) in enumerate(sorted(wanted, key=lambda w: w[:2])):
        if is_ip(name):
            addresses, secure = ([name] if allow_ip else []), False
            found = Addresses(addresses, name)
        else:
            found = addresses_by_dns(name, scope, dnssec=dnssec)
            addresses, secure = list(found.addresses), found.dnssec and answer.dnssec
        if found.deferred:
            deferred = found.error or "temporary failure"
            out.hosts.append(Host(name, None, port, preference, number, status="unusable", why="host lookup deferred"))
            continue
        kept = [a for a in addresses if not (ignore and ignore(name, a))]
        ignored = ignored or len(kept) < len(addresses)
        rng.shuffle(kept)
        out.hosts += [Host(name, a, port, preference, number, secure, found.name) for a in kept]
    if not any(h.address for h in out.hosts):
        if deferred:
            return MxHosts(AGAIN, name=answer.name, error=deferred, from_mx=True)
        return MxHosts("ignored" if ignored else "mx_only", name=answer.name, dnssec=answer.dnssec, from_mx=True)
    return out


@dataclass(slots=True)
class LocalMx:
    """Whether this host is among the MX hosts of a domain."""

    primary: bool = False
    secondary: bool = False
    deferred: bool = False


def local_among_mx(domain: str, scope: Scope, is_local: Ignore, ignore: Ignore | None = None) -> LocalMx:
    """Tell whether a host of a domain's MX records is this one; ``is_local(name, address)`` judges.

    As in Exim, a host whose addresses are all ignored might as well not be there, one without an address keeps its
    place, and a temporary failure matters only where no host before this one, or at all, can be used.
    """
    answer = resolver_of(scope).lookup(domain, "MX")
    if answer.again:
        return LocalMx(deferred=True)
    records = sorted({(int(preference), lower(str(name))) for preference, name in answer.values or ()})
    first: int | None = None
    """The lowest preference of a host that counts."""
    usable = deferred = False
    for preference, same in groupby(records, key=itemgetter(0)):
        for name in (name for _, name in same if name):
            found = _mx_addresses(name, scope)
            if any(is_local(name, address) for address in found.addresses or ("",)
                   if not (address and ignore and ignore(name, address))):
                primary = first is None or first == preference
                return LocalMx(primary, not primary) if primary or usable or not deferred else LocalMx(deferred=True)
            kept = [a for a in found.addresses if not (ignore and ignore(name, a))]
            if found.addresses and not kept:
                continue
            first = preference if first is None else first
            usable, deferred = usable or bool(kept), deferred or found.deferred
    return LocalMx(deferred=deferred and not usable)


def _mx_addresses(name: str, scope: Scope) -> Addresses:
    """Return the addresses of a name in an MX record; an address there counts with allow_mx_to_ip only."""
    if is_ip(name):
        return Addresses([name] if scope.config.main.allow_mx_to_ip else [], name)
    return addresses_by_dns(name, scope)
