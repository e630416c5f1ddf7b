"""Listening sockets: which addresses and ports, from configuration and -oX.

Spec: chapter "Starting the daemon and the use of network interfaces".
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from pyexim.base.errors import ConfigError
from pyexim.base.ipaddress import split_host_port
from pyexim.base.record import dataclass
from pyexim.config.main_options import MainOptions
from pyexim.match.lists import split_list


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port to listen on; "" is all interfaces of that family (4 or 6)."""

    address: str
    port: int
    family: int = 4

    def __str__(self) -> str:
        return f"[{self.address or ('*' if self.family == 4 else '::')}]:{self.port}"


def port_number(text: str, option: str) -> int:
    """Return a port given by number or name of a TCP service; raise ConfigError."""
    if text.isascii() and text.isdigit() and int(text) < 65536:
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        raise ConfigError(f"TCP port \"{text}\" not found", option=option) from None


def endpoints(main: MainOptions, override: list[str]) -> list[Endpoint]:
    """Return what to listen on, by -oX (``override``) over local_interfaces and daemon_smtp_ports.

    An item of -oX without dot or colon is a port (or a service's name), otherwise an interface,
    possibly with a port: both replace the option in question.
    """
    ports_text = main.daemon_smtp_ports or "smtp"
    interfaces_text = main.local_interfaces
    new_ports: list[str] = []
    new_interfaces: list[str] = []
    for value in override:
        for item in split_list(value):
            (new_interfaces if "." in item or ":" in item else new_ports).append(item)
    ports = [port_number(p, "daemon_smtp_ports") for p in new_ports or split_list(ports_text)]
    if new_interfaces:
        items = new_interfaces
    elif interfaces_text is None:
        items = ["0.0.0.0"] if main.disable_ipv6 else ["::0", "0.0.0.0"]
    else:
        items = split_list(interfaces_text)
    found: list[Endpoint] = []
    for item in items:
        parsed = split_host_port(item)
        if parsed is None:
            raise ConfigError(f"invalid IP address in local_interfaces: \"{item}\"", option="local_interfaces")
        address, port = parsed
        family = 6 if ":" in address else 4
        if family == 6 and main.disable_ipv6:
            continue
        if address in ("0.0.0.0", "::", "::0"):
            address = ""
        for number in [port] if port else ports:
            endpoint = Endpoint(address, number, family)
            if endpoint not in found:
                found.append(endpoint)
    return found


def listen(endpoint: Endpoint, backlog: int, *, nodelay: bool = True) -> socket.socket:
    """Return a listening, non-blocking socket; OSError where it cannot be had."""
    family = socket.AF_INET6 if endpoint.family == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if endpoint.family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((endpoint.address or ("::" if endpoint.family == 6 else "0.0.0.0"), endpoint.port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def inherited(fd: int) -> tuple[Endpoint, socket.socket]:
    """Return the listening socket that inetd has passed as a descriptor (-bw); raise ConfigError."""
    try:
        sock = socket.socket(fileno=os.dup(fd))
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.close()
            raise ConfigError("standard input is not a listening socket: -bw is for inetd's wait mode")
        address, port = sock.getsockname()[:2]
        sock.setblocking(False)
    except OSError as e:
        raise ConfigError(f"standard input is no socket ({e.strerror}): -bw is for inetd's wait mode") from None
    family = 6 if sock.family == socket.AF_INET6 else 4
    return Endpoint("" if address in ("0.0.0.0", "::") else address, port, family), sock


def purposes(found: list[Endpoint], encrypted: Callable[[int], bool]) -> str:
    """Return the part of the start-up line that says what the daemon listens for, and where.

    ``encrypted`` tells the ports where TLS begins at once.
    """
    plain, tls = [e for e in found if not encrypted(e.port)], [e for e in found if encrypted(e.port)]
    parts = [f"for {name} on {describe(some)}" for name, some in (("SMTP", plain), ("SMTPS", tls)) if some]
    return "listening " + " and ".join(parts)


def describe(found: list[Endpoint]) -> str:
    """Return where the daemon listens.

    Exim names a port once when all interfaces of both families have it.
    """
    wild6 = {e.port for e in found if not e.address and e.family == 6}
    wild4 = {e.port for e in found if not e.address and e.family == 4}
    parts = []
    for e in found:
        if not e.address and e.port in wild4 & wild6:
            if e.family == 6:
                parts.append(f"port {e.port} (IPv6 and IPv4)")
        elif not e.address:
            parts.append(f"port {e.port} (IPv{e.family})")
        else:
            parts.append(f"[{e.address}]:{e.port}")
    return " ".join(parts)
