"""Items that hash: hash, nhash, hmac.

Spec: chapter "String expansions", section 5.  The spec leaves the two old hash functions open; what is here
was found by experiment with the real program, whose results it reproduces.
"""

from __future__ import annotations

import hashlib
import hmac as _hmac
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import to_bytes
from pyexim.base.taint import like
from pyexim.expand.items_strings import number, operator_numbers
from pyexim.expand.scope import Scope

_CODES: Final = "abcdefghijklmnopqrtsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""With "t" before "s"."""
_WEIGHTS: Final = (113, 109, 107, 103, 101, 97, 89, 83, 79, 73, 71, 67, 61, 59, 53, 47, 43, 41, 37, 31, 29, 23,
                   19, 17, 13, 11, 7, 5, 3)


def _turn(position: int) -> bytes:
    """Return what each octet becomes at a position modulo 8."""
    out = []
    for c in range(256):
        shift = (c + position) & 7
        out.append((c << shift | c >> (8 - shift)) & 0xFF)
    return bytes(out)


_TURN: Final = tuple(_turn(k) for k in range(8))


def text_hash(text: str, length: int, letters: int = 26) -> str:
    """Return a hash of ``length`` characters out of the first ``letters``; short texts are their own hash.

    Every later octet is rotated left by its value plus its position and xored into the first ones.
    """
    if letters > len(_CODES):
        raise ExpansionError(f'hash count "{letters}" too big')
    if length >= len(text):
        return text
    if length <= 0 or letters <= 0:
        return ""
    data = to_bytes(text)
    turned = bytearray(len(data))
    for k in range(8):
        turned[k::8] = data[k::8].translate(_TURN[k])
    number = int.from_bytes(data[:length], "little")
    for at in range(length, len(data), length):
        number ^= int.from_bytes(turned[at:at + length], "little")
    head = number.to_bytes(length, "little")
    return "".join(_CODES[c % letters] for c in head)


def numeric_hash(text: str, first: int, second: int | None = None) -> str:
    """Return the weighted sum of the octets as one number below ``first``, or two with a slash between."""
    if first <= 0 or (second is not None and second <= 0):
        raise ExpansionError("nhash divisor must be greater than zero")
    data = to_bytes(text)
    total = sum(sum(data[i::29]) * weight for i, weight in enumerate(_WEIGHTS))
    if second is None:
        return str(total % first)
    high, low = divmod(total % (first * second), second)
    return f"{high}/{low}"


def hash_item(scope: Scope, args: list[str]) -> str:
    """${hash{length}{letters}{string}}"""
    length = number(args[0], "hash", signed=True)
    letters = number(args[1], "hash") if len(args) == 3 else 26
    return like(text_hash(args[-1], length, letters), args[-1])


def hash_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${hash_length_letters:string}"""
    _, length, letters = operator_numbers(argument, name)
    return like(text_hash(text, length, 26 if letters is None else letters), text)


def nhash_item(scope: Scope, args: list[str]) -> str:
    """${nhash{n}{m}{string}}"""
    first = number(args[0], "nhash", signed=True)
    second = number(args[1], "nhash") if len(args) == 3 else None
    return numeric_hash(args[-1], first, second)


def nhash_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${nhash_n_m:string}"""
    _, first, second = operator_numbers(argument, name)
    return numeric_hash(text, first, second)


def hmac(scope: Scope, args: list[str]) -> str:
    """${hmac{md5 or sha1}{secret}{string}}: lower-case digits."""
    algorithm, secret, text = args
    if algorithm not in ("md5", "sha1"):
        raise ExpansionError(f'hmac algorithm "{algorithm}" is not recognised')
    digest = hashlib.md5 if algorithm == "md5" else hashlib.sha1
    return _hmac.new(to_bytes(secret), to_bytes(text), digest).hexdigest()
