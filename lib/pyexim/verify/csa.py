"""Client SMTP authorization: SRV records that say whether a host may send mail.

Spec: section "Client SMTP authorization (CSA)".
"""

from __future__ import annotations

from pyexim.base.ipaddress import is_ip, reverse_name
from pyexim.expand.scope import Scope

_OK, _DEFER, _UNKNOWN, _FAIL = "ok", "defer", "unknown", "fail"


def check_csa(domain: str, scope: Scope) -> tuple[str, str]:
    """Return ($csa_status, the reason in words) for a domain, or for the client's HELO name."""
    conn = scope.conn
    if conn is None or conn.sender_host_address is None:
        return _OK, "local"
    name = domain or conn.sender_helo_name or f"[{conn.sender_host_address}]"
    literal = name[1:-1].removeprefix("IPv6:") if name.startswith("[") and name.endswith("]") else name
    if is_ip(literal):
        if not scope.config.main.dns_csa_use_reverse:
            return _UNKNOWN, "no CSA record"
        name = reverse_name(literal) or name
    return _search(name, conn.sender_host_address, scope)


def _search(name: str, address: str, scope: Scope) -> tuple[str, str]:
    """Look for the SRV record of a domain, then for what its parents assert about subdomains."""
    from pyexim.verify.dnsrecords import records

    labels = name.rstrip(".").split(".")
    limit = scope.config.main.dns_csa_search_limit
    for depth in range(min(len(labels) - 1, limit + 1)):
        found = records(f"_client._smtp.{'.'.join(labels[depth:])}", "SRV", scope)
        if found.deferred:
            return _DEFER, "deferred (SRV lookup failed)"
        for record in found.records:
            parts = record.split()
            if len(parts) != 4 or not all(p.isascii() and p.isdigit() for p in parts[:3]):
                continue
            priority, weight, port, target = int(parts[0]), int(parts[1]), int(parts[2]), parts[3]
            if priority != 1:
                continue
            if depth:
                if port & 1:
                    return _FAIL, "failed (explicit authorization required)"
                continue
            if weight < 2:
                return _FAIL, "failed (host name not authorized)"
            if weight != 2:
                continue
            return _target(target, address, scope)
        if found.records:
            break
    return _UNKNOWN, "no CSA record"


def _target(target: str, address: str, scope: Scope) -> tuple[str, str]:
    from pyexim.dns.hosts import addresses_of

    found = addresses_of(target.rstrip("."), scope)
    if address in found.addresses:
        return _OK, "ok"
    if found.deferred:
        return _DEFER, "deferred (target address lookup failed)"
    if not found.addresses:
        return _FAIL, "failed (no authorized addresses)"
    return _FAIL, "failed (client address mismatch)"
