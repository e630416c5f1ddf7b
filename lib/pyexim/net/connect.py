"""Make outgoing connections: non-blocking, with a deadline, from a chosen interface.

What the caller gives are addresses, never names.  RFC 5321 section 4.5.3.2; Exim's options interface,
keepalive, dscp.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Final

DSCP: Final = {
    "ef": 0x2e, "cs0": 0x00, "cs1": 0x08, "cs2": 0x10, "cs3": 0x18, "cs4": 0x20, "cs5": 0x28, "cs6": 0x30, "cs7": 0x38,
    "af11": 0x0a, "af12": 0x0c, "af13": 0x0e, "af21": 0x12, "af22": 0x14, "af23": 0x16,
    "af31": 0x1a, "af32": 0x1c, "af33": 0x1e, "af41": 0x22, "af42": 0x24, "af43": 0x26,
    "lowcost": 0x00, "lowdelay": 0x04, "mincost": 0x00, "reliability": 0x01, "throughput": 0x02,
}
"""Names of the option dscp and the six-bit value of each (RFC 2474, 2597, 3246; the old TOS names shifted)."""


def dscp_value(text: str) -> int | None:
    """Return the six-bit value that a setting of the option dscp means, None where it is not understood."""
    name = text.lower() if text.isascii() else text
    if name in DSCP:
        return DSCP[name]
    try:
        value = int(name, 0)
    except ValueError:
        return None
    return value if 0 <= value <= 0x3F else None


def connect_tcp(address: str, port: int, *, timeout: float = 0, interface: str | None = None,
                keepalive: bool = True, dscp: int | None = None) -> socket.socket:
    """Connect to an IP address; the socket is non-blocking and close-on-exec.

    ``timeout`` 0 leaves it to the system.  Raises OSError: TimeoutError (ETIMEDOUT) past the timeout,
    otherwise with the errno of the call that failed.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if dscp is not None:
            _set_dscp(sock, family, dscp)
        if interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((interface, 0))
        _connect(sock, (address, port), timeout)
        return sock
    except BaseException:
        sock.close()
        raise


def connect_unix(path: str, timeout: float = 0) -> socket.socket:
    """Connect to a Unix stream socket; OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _connect(sock, path, timeout)
        return sock
    except BaseException:
        sock.close()
        raise


def _connect(sock: socket.socket, where: str | tuple[str, int], timeout: float) -> None:
    code = sock.connect_ex(where)
    if code == 0:
        return
    if code not in (errno.EINPROGRESS, errno.EAGAIN, errno.EINTR):
        raise OSError(code, os.strerror(code))
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    if not poller.poll(timeout * 1000 if timeout > 0 else None):
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _set_dscp(sock: socket.socket, family: int, value: int) -> None:
    """Mark the packets; a system that cannot do so sends them unmarked, as the spec allows."""
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value << 2)
    except OSError:
        return
