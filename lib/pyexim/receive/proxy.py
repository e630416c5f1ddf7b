"""The header that a proxy sends before its client speaks: who the client really is.

Spec: section "Inbound proxies", options hosts_proxy and proxy_protocol_timeout.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from pyexim.smtp.proxy import Proxied, parse_proxy

if TYPE_CHECKING:
    from pyexim.receive.session import Session

REFUSED: Final = "Command refused, required Proxy negotiation failed"


def negotiate(session: Session) -> None:
    """Read the header; without a good one every command but QUIT is refused."""
    conn = session.conn
    conn.proxy_session = True
    found = _read_header(session)
    if found is None:
        session.core.refuse_all = REFUSED
        return
    if not found.source:
        return
    # The addresses have been read as such: they are not tainted.
    conn.proxy_local_address, conn.proxy_local_port = conn.sender_host_address, conn.sender_host_port
    conn.proxy_external_address, conn.proxy_external_port = found.target, found.target_port
    conn.sender_host_address, conn.sender_host_port = found.source, found.source_port
    conn.sender_host_name = None
    conn.sender_host_aliases = []
    conn.host_lookup_failed = conn.host_lookup_deferred = False
    session.look_up_host()


def _read_header(session: Session) -> Proxied | None:
    """Return the header, None where there is none in time; what follows it is the client's."""
    channel, clock = session.channel, session.clock
    deadline = clock.monotonic() + session.main.proxy_protocol_timeout
    data = b""
    while True:
        left = deadline - clock.monotonic()
        if left <= 0 or not select.select([channel.read_fd], [], [], left)[0]:
            return None
        more = channel.read()
        if not more:
            return None
        data += more
        found = parse_proxy(data)
        if isinstance(found, Proxied):
            if len(data) > found.length:
                session.core.receive_data(data[found.length:])
            return found
        if not found:
            return None
