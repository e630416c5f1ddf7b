"""The calling host in words: $sender_fullhost and $sender_rcvhost, which log lines and Received: lines show too.

Spec: chapter "String expansions", section 9.  A plain name is a verified one; in parentheses stands what
the client said with HELO or EHLO, unless that is the verified name or the address in brackets.
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.model.connection import Connection


def _name_to_show(conn: Connection) -> str | None:
    return None if conn.host_name_untold else conn.sender_host_name


def sender_fullhost(conn: Connection, *, port: bool = False) -> str:
    """Return "name (helo) [address]:port", as much of it as is known; "" for a local submission."""
    address = conn.sender_host_address
    if not address:
        return ""
    end = bare = f"[{address}]"
    if port and conn.sender_host_port:
        end += f":{conn.sender_host_port}"
    name, helo = _name_to_show(conn), conn.sender_helo_name
    if name is None:
        return f"({helo}) {end}" if helo else end
    if helo and lower(helo) not in (bare, f"[ipv6:{lower(address)}]", lower(name)):
        return f"{name} ({helo}) {end}"
    return f"{name} {end}"


def sender_rcvhost(conn: Connection, *, port: bool = False) -> str:
    """Return the calling host as the Received: header names it; "" for a local submission."""
    if not conn.sender_host_address:
        return ""
    address = bare = f"[{conn.sender_host_address}]"
    helo, ident, name = conn.sender_helo_name, conn.sender_ident, _name_to_show(conn)
    inner = []
    if port and conn.sender_host_port:
        if name is None:
            inner.append(f"port={conn.sender_host_port}")
        else:
            address += f":{conn.sender_host_port}"
    if helo and lower(helo) not in (bare, f"[ipv6:{bare[1:]}") and (name is None or lower(helo) != lower(name)):
        inner.append(f"helo={helo}")
    if ident:
        inner.append(f"ident={ident}")
    if name is None:
        return f"{address} ({' '.join(inner)})" if inner else address
    # With all three the line would be too long.
    return f"{name}{chr(10) + chr(9) if len(inner) == 2 else ' '}({' '.join([address, *inner])})"
