"""Is the client who it says it is: verification of HELO or EHLO names, and of the client's host name.

Spec: options helo_verify_hosts and helo_try_verify_hosts; ``verify = helo`` and
``verify = reverse_host_lookup`` in the section "ACL conditions".
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.expand.scope import Scope
from pyexim.model.connection import Connection
from pyexim.verify import api


def _literal_matches(helo: str, address: str) -> bool:
    """Tell whether a HELO name is the client's address in brackets."""
    text = lower(helo)
    return text.startswith("[") and text.endswith("]") and text[1:-1].removeprefix("ipv6:") == lower(address)


def verify_helo(conn: Connection, scope: Scope) -> bool:
    """Verify the name given with HELO or EHLO, set $sender_helo_verified and return the answer.

    It is good when it is the client's address as a literal, when it is the verified host name or one of its
    aliases, or when one of its own addresses is the client's.
    """
    helo, address = conn.sender_helo_name, conn.sender_host_address
    good = False
    debug = scope.services.debug
    if debug is not None and address is not None:
        debug("verify", f'verifying EHLO/HELO argument "{helo}"')
    if address is None:
        good = True
    elif helo:
        if helo.startswith("["):
            good = _literal_matches(helo, address)
            if good and debug is not None:
                debug("verify", "matched host address")
        else:
            good = _name_matches(lower(helo), address, conn, scope)
    conn.sender_helo_verified = good
    conn.helo_verify_failed = not good
    return good


def _name_matches(helo: str, address: str, conn: Connection, scope: Scope) -> bool:
    from pyexim.dns.hosts import addresses_by_dns, look_up_name  # asks the DNS

    if conn.sender_host_name is None and not conn.host_lookup_failed:
        look_up_name(conn, scope)
        conn.host_name_untold = conn.sender_host_name is not None
    debug = scope.services.debug
    if conn.sender_host_name is not None and any(
            lower(name) == helo for name in (conn.sender_host_name, *conn.sender_host_aliases)):
        if debug is not None:
            debug("verify", "matched host name")
        return True
    if debug is not None:
        debug("verify", f"getting IP address for {helo}")
        # The lists for DNSSEC, which are not configurable here: it is asked for, and not required.
        debug("lists", f'{helo} in ""? no (end of list)\n{helo} in "*"? yes (matched "*")')
    found = addresses_by_dns(str(helo), scope, dnssec=True)
    if address not in found.addresses:
        return False
    if debug is not None:
        debug("verify", f"IP address for {helo} matches calling address")
        debug("verify", f"Forward DNS security status: {'' if found.dnssec else 'un'}verified")
    return True


def verify_host_name(conn: Connection, scope: Scope) -> tuple[str, str]:
    """Make sure that the client's host name has been looked up and leads back to its address.

    Returns (ok, fail or defer; the reason in parentheses with a space before, or "").
    """
    from pyexim.dns.hosts import look_up_name  # asks the DNS

    if conn.sender_host_name is None and not conn.host_lookup_failed:
        look_up_name(conn, scope)
    if conn.sender_host_name is not None:
        return api.OK, ""
    reason = conn.host_lookup_message
    reason = f" ({reason})" if reason else ""
    return (api.DEFER if conn.host_lookup_deferred else api.FAIL), reason
