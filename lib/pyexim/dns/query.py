"""One question to name servers over UDP, and TCP where the answer is too long; retries; no cache.

The servers and the way of retrying are those of resolv.conf(5): each round waits twice as long as the one
before, shared between the servers.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import Final

from pyexim.base.octets import lower, words
from pyexim.base.record import dataclass
from pyexim.dnswire.message import (
    FLAG_QR,
    FLAG_TC,
    FORMERR,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    Packet,
    decode,
    encode_query,
)

MAX_SERVERS: Final = 3
_EDNS: Final = 1232


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """What /etc/resolv.conf says."""

    servers: tuple[tuple[str, int], ...] = (("127.0.0.1", 53),)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    rotate: bool = False


def read_resolv_conf(path: str = "/etc/resolv.conf") -> SystemSettings:
    """Read resolv.conf; a file that is not there means the server on this host."""
    try:
        with open(path, "rb") as f:
            text = f.read().decode("latin-1")
    except OSError:
        return SystemSettings()
    servers: list[tuple[str, int]] = []
    search: tuple[str, ...] = ()
    numbers = {"ndots": 1, "timeout": 5, "attempts": 2}
    rotate = False
    for line in text.split("\n"):
        fields = words(line)
        if len(fields) < 2 or fields[0][0] in "#;":
            continue
        if fields[0] == "nameserver" and len(servers) < MAX_SERVERS:
            servers.append((fields[1], 53))
        elif fields[0] in ("search", "domain"):
            search = tuple(lower(d.rstrip(".")) for d in fields[1:])
        elif fields[0] == "options":
            for option in fields[1:]:
                name, _, value = option.partition(":")
                if name in numbers and value.isascii() and value.isdigit():
                    numbers[name] = int(value)
                rotate = rotate or name == "rotate"
    return SystemSettings(tuple(servers) or (("127.0.0.1", 53),), search, min(numbers["ndots"], 15),
                          max(1, min(numbers["timeout"], 30)), max(1, min(numbers["attempts"], 5)), rotate)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No server gave a usable answer; why."""

    text: str


def ask(name: str, rtype: int, servers: tuple[tuple[str, int], ...], *, timeout: float, attempts: int,
        clock: Callable[[], float], edns: bool = False, dnssec: bool = False) -> Packet | NoAnswer:
    """Ask the servers in turn until one answers with data or "no such name"; ValueError for a name that is none."""
    ident = int.from_bytes(os.urandom(2), "big")
    query = encode_query(ident, name, rtype, dnssec=dnssec, edns_size=_EDNS if edns or dnssec else 0)
    plain = encode_query(ident, name, rtype, edns_size=0)
    trouble = "timed out"
    for attempt in range(attempts):
        wait = timeout * (1 << attempt)
        if attempt:
            wait = max(1.0, wait / len(servers))
        for server in servers:
            packet = _exchange(server, query, ident, name, rtype, wait, clock)
            if isinstance(packet, Packet) and packet.rcode in (FORMERR, NOTIMP) and query != plain:
                packet = _exchange(server, plain, ident, name, rtype, wait, clock)  # an old server: without EDNS
            if isinstance(packet, Packet):
                if packet.rcode in (NOERROR, NXDOMAIN):
                    return packet
                trouble = f"response code {packet.rcode} from {server[0]}"
            else:
                trouble = f"{packet.text} ({server[0]})"
    return NoAnswer(trouble)


def _exchange(server: tuple[str, int], query: bytes, ident: int, name: str, rtype: int, wait: float,
              clock: Callable[[], float]) -> Packet | NoAnswer:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.connect(server)
            s.send(query)
            deadline = clock() + wait
            while True:
                left = deadline - clock()
                if left <= 0 or not _readable(s, left):
                    return NoAnswer("timed out")
                packet = _checked(s.recv(65535), ident, name, rtype)
                if packet is None:
                    continue  # not an answer to this question: a forgery, or late
                if packet.flags & FLAG_TC:
                    return _by_tcp(server, family, query, ident, name, rtype, max(left, 1.0))
                return packet
    except OSError as e:
        return NoAnswer(e.strerror or str(e))


def _readable(s: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(s, select.POLLIN)
    return bool(poll.poll(max(1, int(seconds * 1000))))


def _checked(data: bytes, ident: int, name: str, rtype: int) -> Packet | None:
    """Return the packet if it answers our question."""
    try:
        packet = decode(data)
    except ValueError:
        return None
    if packet.id != ident or not packet.flags & FLAG_QR:
        return None
    if packet.question is None:
        return packet if packet.rcode not in (NOERROR, NXDOMAIN) else None
    asked, asked_type = packet.question
    if asked_type != rtype or (lower(asked) != lower(name.rstrip(".")) and "\\" not in asked + name):
        return None
    return packet


def _by_tcp(server: tuple[str, int], family: int, query: bytes, ident: int, name: str, rtype: int,
            wait: float) -> Packet | NoAnswer:
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as s:
        s.settimeout(wait)
        s.connect(server)
        s.sendall(len(query).to_bytes(2, "big") + query)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            more = s.recv(65535)
            if not more:
                return NoAnswer("connection closed")
            data += more
    return _checked(data[2:], ident, name, rtype) or NoAnswer("wrong answer over TCP")
