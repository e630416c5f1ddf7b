"""The PROXY protocol, versions 1 and 2, as a receiver reads it: bytes in, addresses out; no socket.

Spec: section "Inbound proxies" of the chapter "Proxies"; HAProxy's proxy-protocol.txt.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import Final

from pyexim.base.record import dataclass

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""What version 2 begins with."""
MAX_LINE: Final = 107
"""Octets of a line of version 1, with its end."""
_HEAD: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_FAMILIES: Final = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}
_WORDS: Final = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}
_line: Final = re.compile(
    r"PROXY (TCP[46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Proxied:
    """A header in order: its length, and where the proxied connection comes from and goes to.

    ``source`` is "" where the proxy speaks for itself, or does not say: the connection's own addresses hold.
    """

    length: int
    source: str = ""
    source_port: int = 0
    target: str = ""
    target_port: int = 0


def parse_proxy(data: bytes) -> Proxied | bool:
    """Read a header at the beginning of ``data``: True where more octets are needed, False where it is none."""
    if data.startswith(SIGNATURE):
        return _version_2(data)
    if data.startswith(b"PROXY "):
        return _version_1(data)
    return SIGNATURE.startswith(data) or b"PROXY ".startswith(data)


def _version_1(data: bytes) -> Proxied | bool:
    end = data.find(b"\n", 0, MAX_LINE)
    if end < 0:
        return len(data) < MAX_LINE
    if data[end - 1:end] != b"\r":
        return False
    text = data[:end - 1].decode("latin-1")
    if text == "PROXY UNKNOWN" or text.startswith("PROXY UNKNOWN "):
        return Proxied(end + 1)
    m = _line(text)
    if m is None:
        return False
    word, source, target, source_port, target_port = m.groups()
    try:
        for address in (source, target):
            socket.inet_pton(_WORDS[word], address)
    except OSError:
        return False
    if max(int(source_port), int(target_port)) > 65535:
        return False
    return Proxied(end + 1, source, int(source_port), target, int(target_port))


def _version_2(data: bytes) -> Proxied | bool:
    if len(data) < _HEAD:
        return True
    command, family, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY):
        return False
    if len(data) < _HEAD + length:
        return True
    if command == _LOCAL:
        return Proxied(_HEAD + length)
    if family not in _FAMILIES:
        return False
    kind, size = _FAMILIES[family]
    if length < 2 * size + 4:
        return False
    source, target, source_port, target_port = struct.unpack_from(f"!{size}s{size}sHH", data, _HEAD)
    return Proxied(_HEAD + length, socket.inet_ntop(kind, source), source_port, socket.inet_ntop(kind, target),
                   target_port)
