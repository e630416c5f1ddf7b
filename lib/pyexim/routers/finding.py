"""From host names to addresses: what manualroute, queryprogram and ipliteral do with a host list.

Each name gets its addresses (one entry an address), "name/mx" the hosts of its MX records, addresses
that ignore_target_hosts names do not exist, and the list ends where this host stands in it.
Spec: chapter "The manualroute router", sections "How the list of hosts is used" and "How the options
are used"; generic options ignore_target_hosts and translate_ip_address.
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.ipaddress import is_ip
from pyexim.base.record import dataclass, field
from pyexim.base.taint import untaint
from pyexim.expand.engine import expand
from pyexim.expand.hosts import sender_fullhost
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain
from pyexim.model.host import MX_NONE, Host
from pyexim.routers.base import Deferred, Router, RouteRun
from pyexim.routers.localhosts import is_ignored, is_local_address, is_local_name


@dataclass(slots=True)
class HostSearch:
    """How the hosts of a list are to be looked up."""

    lookup: str = "default"
    """default (DNS, then the system), byname or bydns."""
    randomize: bool = False
    ipv4_only: bool = False
    ipv4_prefer: bool = False
    ignore: str | None = None
    """The option ignore_target_hosts."""
    dnssec_request: str | None = None
    dnssec_require: str | None = None
    skip_absent: bool = False
    """host_find_failed = ignore."""


@dataclass(slots=True)
class FoundHosts:
    """The hosts, each with an address; or the name that was not found (``failed``, ``deferred``)."""

    hosts: list[Host] = field(default_factory=list)
    failed: str = ""
    deferred: bool = False
    local_first: bool = False
    """The very first host is this one; it is still in the list."""


def find_hosts(items: list[Host], search: HostSearch, run: RouteRun) -> FoundHosts:
    """Look up the hosts of a parsed list, in order (or at random within the groups of "+")."""
    scope = run.scope
    out = FoundHosts()
    for item in _randomized(items) if search.randomize and len(items) > 1 else items:
        mx = item.mx if search.randomize else MX_NONE
        if item.address is not None:
            found = [Host(item.name, item.address, item.port, mx)]
            if search.ignore is not None and is_ignored(found[0], search.ignore, scope):
                found = []
        elif item.name.endswith("/mx"):
            looked_up = _mx_sublist(item, search, scope)
            if looked_up is None or isinstance(looked_up, str):
                if looked_up is None and search.skip_absent:
                    continue
                out.failed, out.deferred = item.name[:-3], looked_up is not None
                return out
            found = looked_up
        else:
            addresses = _addresses(item.name, search, scope)
            if addresses is None:
                out.failed, out.deferred = item.name, True
                return out
            found = [Host(item.name, a, item.port, mx, dnssec=secure) for a, secure in addresses]
            if search.ignore is not None:
                found = [h for h in found if not is_ignored(h, search.ignore, scope)]
        if not found:
            if search.skip_absent:
                continue
            out.failed = item.name
            return out
        for host in found:
            if (host.address is not None and is_local_address(host.address, scope)) or is_local_name(host.name, scope):
                if not out.hosts:
                    out.local_first = True
                    out.hosts.append(host)
                    out.hosts += [h for h in found if h is not host]
                    _append_rest(items, item, search, scope, out)
                return out
            out.hosts.append(host)
    return out


def _append_rest(items: list[Host], item: Host, search: HostSearch, scope: Scope, out: FoundHosts) -> None:
    """After a first host that is local, add what can be added without asking: for ``self = send``."""
    seen = False
    for other in items:
        if other is item:
            seen = True
        elif seen and other.address is not None:
            host = Host(other.name, other.address, other.port, MX_NONE)
            if not is_ignored(host, search.ignore, scope):
                out.hosts.append(host)


def _randomized(items: list[Host]) -> list[Host]:
    """Shuffle within groups."""
    import random  # only for configurations that want it
    groups: dict[int, list[Host]] = {}
    for item in items:
        groups.setdefault(item.mx, []).append(item)
    out: list[Host] = []
    for group in groups.values():
        random.shuffle(group)
        out += group
    return out


def _wants_dnssec(name: str, search: HostSearch, scope: Scope) -> tuple[bool, bool]:
    """Return (ask for authenticated data, accept nothing else)."""
    require = search.dnssec_require is not None and bool(match_domain(name, search.dnssec_require, scope))
    if require:
        return True, True
    request = search.dnssec_request
    return request is not None and (request == "*" or bool(match_domain(name, request, scope))), False


def _addresses(name: str, search: HostSearch, scope: Scope) -> list[tuple[str, bool | None]] | None:
    """Return (address, authenticated) pairs for a host name, none if there is no such host; None to try later."""
    from pyexim.dns.hosts import addresses_by_dns, addresses_of  # asks the DNS

    name = untaint(name)
    request, require = _wants_dnssec(name, search, scope)
    found = None
    if search.lookup != "byname":
        found = addresses_by_dns(name, scope, dnssec=request)
        if found.deferred:
            return None
        if found.addresses and require and not found.dnssec:
            return []
    if found is None or (not found.addresses and search.lookup == "default" and not require):
        found = addresses_of(name, scope)
        if found.deferred:
            return None
        if not found.addresses:
            log_nothing(name, scope)
    addresses = found.addresses
    if search.ipv4_only:
        addresses = [a for a in addresses if ":" not in a]
    elif search.ipv4_prefer:
        addresses = sorted(addresses, key=lambda a: ":" in a)
    secure = found.dnssec if request else None
    return [(a, secure) for a in addresses]


def log_nothing(name: str, scope: Scope) -> None:
    """Log a host name without address, as the selector host_lookup_failed wants; not for -bt."""
    log, conn = scope.services.log, scope.conn
    if scope.facts.get("address_test") or not log.wants("host_lookup_failed"):
        return
    during = ""
    if not scope.is_delivery and conn is not None and conn.sender_host_address:
        during = f" (during SMTP connection from {sender_fullhost(conn)})"
    message = scope.message
    log.main(f"no IP address found for host {name}{during}", selector="host_lookup_failed",
             message_id=(message.message_id or None) if message is not None else None)


def _mx_sublist(item: Host, search: HostSearch, scope: Scope) -> list[Host] | str | None:
    """Return the hosts behind "name/mx"; a text to try later; None where there are none."""
    from pyexim.dns.hosts import mx_hosts  # asks the DNS

    name = untaint(item.name[:-3])
    request, require = _wants_dnssec(name, search, scope)

    def ignored(host: str, address: str) -> bool:
        return is_ignored(Host(host, address), search.ignore, scope)
    found = mx_hosts(name, scope, ignore=ignored, dnssec=request, allow_ip=scope.config.main.allow_mx_to_ip)
    if found.status == "again":
        return found.error or "temporary failure"
    if require and not found.dnssec:
        return None
    hosts = [h for h in found.hosts if h.address is not None]
    if not hosts:
        return None
    for host in hosts:
        if item.port is not None:
            host.port = item.port
    return without_local(hosts, scope)


def without_local(hosts: list[Host], scope: Scope) -> list[Host]:
    """Return a list of MX hosts without this one and those of equal or less preference, unless it is among the best."""
    for host in hosts:
        if (host.address is not None and is_local_address(host.address, scope)) or is_local_name(host.name, scope):
            if host.mx == hosts[0].mx:
                # among the most preferred: it counts as the first, and ``self`` decides
                return [host] + [h for h in hosts if h is not host]
            return [h for h in hosts if h.mx < host.mx]
    return hosts


def translate(router: Router, hosts: list[Host], run: RouteRun) -> Deferred | None:
    """Replace addresses as translate_ip_address says."""
    source = router.options.translate_ip_address
    if source is None:
        return None
    scope = run.scope
    for position, host in enumerate(list(hosts)):
        saved, scope.host = scope.host, host
        try:
            text = expand(source, scope)
        except ForcedFail:
            continue
        except ExpansionError as e:
            return Deferred(f'failed to expand "{source}" for translate_ip_address: {e.text}')
        finally:
            scope.host = saved
        if is_ip(text):
            host.address = text
            continue
        addresses = _addresses(text, HostSearch("byname"), scope)
        if not addresses:
            return Deferred(f"host lookup failed for {text} while translating {host.address}")
        host.address = addresses[0][0]
        for extra, (address, _) in enumerate(addresses[1:], start=1):
            hosts.insert(position + extra, Host(host.name, address, host.port, host.mx))
    return None
