"""A callback to the client's ident server (RFC 1413): who holds the other end of the connection?

Options rfc1413_hosts and rfc1413_query_timeout; no answer is no harm.
"""

from __future__ import annotations

import re
import socket

from pyexim.base.octets import printable
from pyexim.base.taint import taint
from pyexim.expand.scope import LogSink
from pyexim.model.connection import Connection

PORT = 113
MAX_IDENT = 127
_answer = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*:\s*USERID\s*:[^:]*:[ \t]*([^\r\n]+)").match


def query(conn: Connection, timeout: float, log: LogSink) -> str | None:
    """Return the user name that the client's host tells, or None."""
    address = conn.sender_host_address
    if address is None:
        return None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            if conn.interface_address:
                sock.bind((conn.interface_address, 0))
            sock.connect((address, PORT))
            sock.sendall(f"{conn.sender_host_port} , {conn.interface_port}\r\n".encode("ascii"))
            data = b""
            while b"\n" not in data and len(data) < 1024:
                piece = sock.recv(1024)
                if not piece:
                    break
                data += piece
    except TimeoutError:
        if log.selected("ident_timeout"):
            log.main(f"ident connection to {address} timed out")
        return None
    except OSError:
        return None
    m = _answer(data.decode("latin-1"))
    if m is None or int(m.group(1)) != conn.sender_host_port or int(m.group(2)) != conn.interface_port:
        return None
    return taint(printable(m.group(3).rstrip(" \t")[:MAX_IDENT])) or None
