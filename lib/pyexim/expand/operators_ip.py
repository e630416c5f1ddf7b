"""Operators on IP addresses: mask, reverse_ip, ipv6norm, ipv6denorm, and the test behind isip.

Spec: chapter "String expansions", sections 6 and 7.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE
from pyexim.base.taint import like
from pyexim.expand.scope import Scope

_IPV4: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})")
_BITS: Final = re.compile(r" *[0-9]*")
_GROUP: Final = re.compile(r"[0-9A-Fa-f]{1,4}")


def parse(text: str) -> bytes | None:
    """Return the 4 or 16 octets of an IP address, or None."""
    if ":" in text:
        return _parse6(text.partition("%")[0])
    return _parse4(text)


def _parse4(text: str) -> bytes | None:
    found = _IPV4.fullmatch(text)
    if found is None:
        return None
    parts = found.groups()
    if any(int(p) > 255 or (len(p) > 1 and p[0] == "0") for p in parts):
        return None
    return bytes(int(p) for p in parts)


def _parse6(text: str) -> bytes | None:
    head, double, tail = text.partition("::")
    if "::" in tail or tail.startswith(":"):
        return None
    left = _groups(head, last=not double)
    right = _groups(tail, last=True)
    if left is None or right is None:
        return None
    missing = 16 - len(left) - len(right)
    if (missing < 2) if double else missing != 0:
        return None
    return left + bytes(missing) + right


def _groups(text: str, last: bool) -> bytes | None:
    if not text:
        return b""
    out = bytearray()
    pieces = text.split(":")
    for i, piece in enumerate(pieces):
        if _GROUP.fullmatch(piece):
            out += int(piece, 16).to_bytes(2, "big")
            continue
        four = _parse4(piece) if last and i == len(pieces) - 1 else None
        if four is None:
            return None
        out += four
    return bytes(out)


def version(text: str) -> int:
    """Return 4, 6, or 0 where it is no IP address."""
    value = parse(text)
    return 0 if value is None else 4 if len(value) == 4 else 6


def _six(text: str) -> bytes:
    value = parse(text)
    if value is None:
        raise ExpansionError(f'"{text}" is not an IP address')
    return value if len(value) == 16 else bytes(10) + b"\xff\xff" + value


def _hex_groups(value: bytes) -> list[str]:
    return [f"{value[i]:02x}{value[i + 1]:02x}" for i in range(0, 16, 2)]


def ipv6denorm(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${ipv6denorm:...}: eight groups of four digits."""
    return like(":".join(_hex_groups(_six(text))), text)


def ipv6norm(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${ipv6norm:...}: the short form."""
    return like(normal(_six(text)), text)


def normal(value: bytes) -> str:
    """Return an IPv6 address with its longest run of zero groups, even one, as "::"."""
    groups = [g.lstrip("0") or "0" for g in _hex_groups(value)]
    best, best_length = -1, 0
    i = 0
    while i < 8:
        j = i
        while j < 8 and groups[j] == "0":
            j += 1
        if j - i > best_length:
            best, best_length = i, j - i
        i = max(j, i + 1)
    if best < 0:
        return ":".join(groups)
    return ":".join(groups[:best]) + "::" + ":".join(groups[best + best_length:])


def mask(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${mask:address/bits}: the network; an IPv6 one with dots, or normalised by ${mask_n:."""
    address, slash, bits_text = text.partition("/")
    value = parse(address) if "%" not in address else None
    if value is None or (slash and not _BITS.fullmatch(bits_text)):
        raise ExpansionError(f'"{text}" is not an IP address')
    if not slash:
        raise ExpansionError(f'missing mask value in "{text}"')
    bits = int(bits_text.strip()[:9] or "0")
    size = len(value) * 8
    if bits > size:
        raise ExpansionError(f'mask value too big in "{text}"')
    number = int.from_bytes(value, "big") >> (size - bits) << (size - bits)
    network = number.to_bytes(len(value), "big")
    if len(value) == 4:
        out = ".".join(map(str, network))
    elif argument == "n":
        out = normal(network)
    else:
        out = ".".join(_hex_groups(network))
    return like(f"{out}/{bits}", text)


def reverse_ip(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${reverse_ip:...}: as the DNS has it, without its suffix; a mask is of no interest."""
    address, _, mask = text.partition("/")
    value = parse(address) if not mask or mask.lstrip(SPACE).isdigit() else None
    if value is None:
        raise ExpansionError(f"reverse_ip() not given an IP address [{text}]")
    if len(value) == 4:
        return like(".".join(str(b) for b in reversed(value)), text)
    return like(".".join(reversed(value.hex())), text)
