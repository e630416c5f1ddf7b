"""${readsocket: ask a server on a Unix or TCP socket, with or without TLS.

Spec: chapter "String expansions", section 5.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits, to_bytes
from pyexim.base.record import dataclass
from pyexim.base.taint import Tainted, is_tainted
from pyexim.expand import table
from pyexim.expand.base import Fault, Part, as_callable, evaluate
from pyexim.expand.items_files import HINT, READ_LIMIT, option_note
from pyexim.expand.lists import split_list
from pyexim.expand.parser import Parser
from pyexim.expand.scope import Scope
from pyexim.expand.times import parse_interval

MAX_TIMEOUT: Final = 86400 * 366
"""More seconds than that are as good as no limit, and more than the system can count."""


@dataclass(slots=True)
class _Options:
    timeout: float = 5.0
    shutdown: bool = True
    tls: bool = False
    cache: bool = False
    sni: str = ""


class _Failed(Exception):
    """The server could not be asked; the fail string takes the place of the answer, if there is one."""


def parse_readsocket(parser: Parser, name: str) -> Part:
    """${readsocket{name}{request}{options}{end of line}{fail string}}: the last is expanded only on failure."""
    parts: list[Part] = []
    while len(parts) < 5:
        parser.space()
        if not parser.accept("{"):
            break
        parts.append(parser.nested())
    if len(parts) < 2:
        raise Fault("Not enough arguments for 'readsocket' (min is 2)")
    parser.close("missing '}' closing readsocket")
    calls = [as_callable(p) for p in parts[:4]]
    failure = parts[4] if len(parts) == 5 else None

    def run(scope: Scope) -> str:
        if scope.expand_forbidden and "readsocket" in scope.expand_forbidden:
            raise ExpansionError(table.FORBIDDEN["readsocket"])
        args = [call(scope) for call in calls]
        if is_tainted(args[0]):
            scope.services.log.panic(
                f"Tainted filename for search: '{args[0]}'{option_note(scope)} ({HINT})")
            raise ExpansionError(f"Tainted filename for search: '{args[0]}'")
        options = _options(args[2] if len(args) > 2 else "")
        try:
            text = _cached(scope, args[0], args[1], options)
        except _Failed as e:
            if failure is None:
                raise ExpansionError(str(e)) from None
            return evaluate(failure, scope)
        if len(args) > 3:
            text = text.replace("\n", args[3])
        return Tainted(text)

    return run


def _options(text: str) -> _Options:
    options = _Options()
    items = split_list(text)
    if items and items[0]:
        seconds = parse_interval(items[0])
        if seconds is None and is_digits(items[0]):
            seconds = int(items[0][:9])
        if seconds is None:
            raise ExpansionError(f'bad time value "{items[0]}" in readsocket options')
        options.timeout = float(min(seconds, MAX_TIMEOUT))
    for item in items[1:]:
        key, _, value = item.partition("=")
        if key in ("shutdown", "tls", "cache") and value in ("yes", "no"):
            setattr(options, key, value == "yes")
        elif key == "sni":
            options.sni = value
        else:
            raise ExpansionError(f'unknown option "{item}" in readsocket options')
    return options


def _cached(scope: Scope, name: str, request: str, options: _Options) -> str:
    """Ask, or take the answer of an identical earlier request of this process that allowed caching."""
    store: dict[str, dict[str, str]] = scope.config.compiled.setdefault("readsocket", {})
    known = store.get(name)
    if options.cache:
        if known is not None and request in known:
            return known[request]
    else:
        store.pop(name, None)
    text = _ask(scope, name, request, options)
    if options.cache and len(store) < 1000:
        store.setdefault(name, {})[request] = text
    return text


def _ask(scope: Scope, name: str, request: str, options: _Options) -> str:
    clock = scope.services.clock
    deadline = clock.monotonic() + options.timeout
    sock: Any = _connect_inet(name, options) if name.startswith("inet:") else _connect_unix(name, options)
    try:
        if options.tls:
            sock = _start_tls(sock, name, options)
        sock.settimeout(max(0.001, deadline - clock.monotonic()))
        if request:
            try:
                sock.sendall(to_bytes(request))
            except OSError as e:
                raise _Failed(f"request write to socket failed: {_reason(e)}") from None
        if options.shutdown and not options.tls:
            with suppress(OSError):  # the server may have gone already; what it sent is still read
                sock.shutdown(socket.SHUT_WR)
        return _read(sock, deadline, scope)
    finally:
        sock.close()


def _read(sock: Any, deadline: float, scope: Scope) -> str:
    pieces = []
    size = 0
    while True:
        left = deadline - scope.services.clock.monotonic()
        if left <= 0:
            raise _Failed("socket read timed out")
        sock.settimeout(left)
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            raise _Failed("socket read timed out") from None
        except OSError:
            break  # a reset ends the data as an end of file does
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > READ_LIMIT:
            raise _Failed("socket sent too much")
    return b"".join(pieces).decode("latin-1")


def _connect_unix(path: str, options: _Options) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(options.timeout)
        sock.connect(to_bytes(path))
    except (OSError, ValueError) as e:
        sock.close()
        raise _Failed(f"failed to connect to socket {path}: {_reason(e)}") from None
    return sock


_PORT_MISSING: Final = "missing port for readsocket"


def _connect_inet(name: str, options: _Options) -> socket.socket:
    host, colon, port_text = name[5:].rpartition(":")
    if not colon or not host:
        raise ExpansionError(f"{_PORT_MISSING} {name}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if is_digits(port_text):
        port = int(port_text[:6])
    else:
        try:
            port = socket.getservbyname(port_text, "tcp")
        except (OSError, UnicodeError):
            raise ExpansionError(f'unknown port "{port_text}"') from None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError):
        raise _Failed(f"no IP address found for host {host}") from None
    reason = ""
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(options.timeout)
            sock.connect(address)
            return sock
        except OSError as e:
            sock.close()
            reason = _reason(e)
    raise _Failed(f"failed to connect to any address for {host}: {reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return os.strerror(errno.ETIMEDOUT)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error)


def _start_tls(sock: socket.socket, name: str, options: _Options) -> Any:
    """Encrypt the connection; the certificate is not verified, as nothing says by what it could be."""
    import ssl  # heavy: only where TLS is asked for

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(sock, server_hostname=options.sni or None, suppress_ragged_eofs=True)
    except (OSError, ValueError) as e:
        raise _Failed(f"TLS connect failed: {_reason(e)}") from None
