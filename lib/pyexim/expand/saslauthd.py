"""The condition saslauthd: does the daemon of Cyrus SASL take a name and a password?

Its protocol: the name, the password, the service and the realm go over a Unix socket, each behind its length in two
octets; so does the answer, which begins with OK or NO.

Spec: chapter "String expansions", section 7.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

from pyexim import settings
from pyexim.base.errors import ExpansionError
from pyexim.base.octets import to_bytes, to_text
from pyexim.expand.base import Fault, Test, as_callable
from pyexim.expand.conditions import bracketed
from pyexim.expand.parser import Parser
from pyexim.expand.scope import Scope

PATIENCE: Final = 60.0
"""Seconds that the daemon may take: what it asks may be slow, and refusals may be delayed."""
MOST: Final = 1024
"""Octets of one item, or of the answer."""


def parse_saslauthd(parser: Parser, name: str) -> Test:
    """saslauthd{{user}{password}{service}{realm}}: the last two may be left out."""
    parts = bracketed(parser)
    if len(parts) < 2:
        raise Fault("too few arguments or bracketing error for saslauthd")
    if len(parts) > 4:
        raise Fault("Too many arguments for 'saslauthd' (max is 4)")
    calls = [as_callable(p) for p in parts]

    def test(scope: Scope) -> bool:
        return ask([call(scope) for call in calls])

    return test


def ask(items: list[str]) -> bool:
    """Ask the daemon; ExpansionError where it says neither yes nor no."""
    question = b""
    for item in (*items, *[""] * (4 - len(items))):
        data = to_bytes(item)
        if len(data) > MOST:
            raise ExpansionError("a string for the saslauthd daemon is too long")
        question += struct.pack(">H", len(data)) + data
    path = settings.CYRUS_SASLAUTHD_SOCKET
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(path)
            answer = _answer(sock, question)
    except OSError as e:
        raise ExpansionError(f"cannot connect to saslauthd daemon at {path}: {e.strerror or 'timed out'}") from None
    if answer[:2] not in ("OK", "NO"):
        raise ExpansionError(answer or f"no answer from the saslauthd daemon at {path}")
    return answer.startswith("OK")


def _answer(sock: socket.socket, question: bytes) -> str:
    sock.sendall(question)
    data = b""
    while len(data) < 2 or len(data) < 2 + min(struct.unpack(">H", data[:2])[0], MOST):
        more = sock.recv(MOST)
        if not more:
            break
        data += more
    return to_text(data[2:])
