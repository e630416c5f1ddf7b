"""The calling host in words: $sender_fullhost and $sender_rcvhost.

Spec: chapter "String expansions", section 9.  A plain name is a verified one; in parentheses stands what
the client said with HELO or EHLO, unless that is the verified name or the address in brackets.
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.model.connection import Connection


def _helo_to_show(conn: Connection) -> str:
    helo = conn.sender_helo_name or ""
    if not helo:
        return ""
    address = conn.sender_host_address or ""
    if helo[0] == "[" and lower(helo) in (f"[{lower(address)}]", f"[ipv6:{lower(address)}]"):
        return ""
    if conn.sender_host_name and lower(helo) == lower(conn.sender_host_name):
        return ""
    return helo


def sender_fullhost(conn: Connection, *, port: bool = False) -> str:
    """Return "name (helo) [address]:port", as much of it as is known; "" for a local submission."""
    address = conn.sender_host_address
    if not address:
        return ""
    end = f"[{address}]"
    if port and conn.sender_host_port:
        end += f":{conn.sender_host_port}"
    helo = _helo_to_show(conn)
    words = [conn.sender_host_name or "", f"({helo})" if helo else "", end]
    return " ".join(w for w in words if w)


def sender_rcvhost(conn: Connection, *, port: bool = False) -> str:
    """Return the calling host as the Received: header names it."""
    address = conn.sender_host_address
    if not address:
        return ""
    helo = _helo_to_show(conn)
    ident = conn.sender_ident or ""
    with_port = f"[{address}]" + (f":{conn.sender_host_port}" if port and conn.sender_host_port else "")
    if conn.sender_host_name:
        items = [with_port]
        head = conn.sender_host_name
    else:
        items = [f"port={conn.sender_host_port}"] if port and conn.sender_host_port else []
        head = f"[{address}]"
    if helo:
        items.append(f"helo={helo}")
    if ident:
        items.append(f"ident={ident}")
    if not items:
        return head
    if len(items) == 3:
        return f"{head} ({' '.join(items[:2])}\n\t{items[2]})"
    return f"{head} ({' '.join(items)})"
