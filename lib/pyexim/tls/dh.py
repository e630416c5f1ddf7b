"""The Diffie-Hellman groups that tls_dhparam may name.

Their primes are computed from the formulas of RFC 2409, RFC 3526 (pi) and RFC 7919 (e); the generator is 2.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_OAKLEY: Final = {"ike1": (768, 149686), "ike2": (1024, 129093), "ike5": (1536, 741804), "ike14": (2048, 124476),
                  "ike15": (3072, 1690314), "ike16": (4096, 240904), "ike17": (6144, 929484),
                  "ike18": (8192, 4743158)}
_FFDHE: Final = {"ffdhe2048": (2048, 560316), "ffdhe3072": (3072, 2625351), "ffdhe4096": (4096, 5736041),
                 "ffdhe6144": (6144, 15705020), "ffdhe8192": (8192, 10965728)}
DEFAULT: Final = "ffdhe2048"
"""Where tls_dhparam says nothing."""
OURS: Final = frozenset({"default", "exim.dev.20160529.1", "exim.dev.20160529.2", "exim.dev.20160529.3"})
"""Exim's own primes, for which DEFAULT stands in: nothing about them can be verified."""


def _scaled_pi(bits: int) -> int:
    """Return the whole part of pi times 2 to the power of ``bits``, by Machin's formula."""
    unity = 1 << (bits + 64)

    def arctan(inverse: int) -> int:
        term = unity // inverse
        total, n, sign = term, 3, -1
        while term:
            term //= inverse * inverse
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total
    return 4 * (4 * arctan(5) - arctan(239)) >> 64


def _scaled_e(bits: int) -> int:
    """Return the whole part of e times 2 to the power of ``bits``."""
    term = total = 1 << (bits + 64)
    n = 1
    while term:
        term //= n
        total += term
        n += 1
    return total >> 64


@cache
def prime(name: str) -> int | None:
    """Return the prime of a group; None where the name is not known (or is one of ours)."""
    if name in _OAKLEY:
        bits, addend = _OAKLEY[name]
        middle = _scaled_pi(bits - 130) + addend
    elif name in _FFDHE:
        bits, addend = _FFDHE[name]
        middle = _scaled_e(bits - 130) + addend
    else:
        return None
    return int((1 << bits) - (1 << (bits - 64)) - 1 + (middle << 64))


def parameters(name: str) -> bytes | None:
    """Return a group in PEM form (PKCS #3); None where the name is not known."""
    p = prime(DEFAULT if name in OURS else name)
    if p is None:
        return None
    import base64

    number = p.to_bytes(p.bit_length() // 8 + 1, "big")  # with the octet that keeps it positive
    body = b"\x02" + _length(len(number)) + number + b"\x02\x01\x02"
    return (b"-----BEGIN DH PARAMETERS-----\n" + base64.encodebytes(b"\x30" + _length(len(body)) + body) +
            b"-----END DH PARAMETERS-----\n")


def _length(size: int) -> bytes:
    """Return a length in DER."""
    return bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")


def size_of(pem: bytes) -> int:
    """Return the bits of the prime in a file of parameters; 0 where it cannot be told."""
    import base64

    try:
        _, _, rest = pem.partition(b"-----BEGIN DH PARAMETERS-----")
        data = base64.b64decode(rest.partition(b"-----END")[0])
        at, skip = 1, data[1]
        at += 1 + (skip & 0x7F if skip & 0x80 else 0)
        if data[at] != 2:
            return 0
        size, at = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at:at + count], "big"), at + count
        return int.from_bytes(data[at:at + size], "big").bit_length()
    except (IndexError, ValueError):
        return 0
