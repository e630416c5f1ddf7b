"""The MD4 digest, which libraries have no more and NTLM needs.  RFC 1320.

It is broken as a digest: nothing else may use it.
"""

from __future__ import annotations

import struct
from typing import Final

_ORDER: Final = (
    tuple(range(16)),
    tuple(row + 4 * column for row in range(4) for column in range(4)),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15))
_SHIFTS: Final = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_ADDED: Final = (0, 0x5A827999, 0x6ED9EBA1)
_MASK: Final = 0xFFFFFFFF


def md4(data: bytes) -> bytes:
    """Return the digest, 16 octets."""
    message = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    for start in range(0, len(message), 64):
        state = _block(state, struct.unpack_from("<16I", message, start))
    return struct.pack("<4I", *state)


def _block(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for part in range(3):
        for step, place in enumerate(_ORDER[part]):
            if part == 0:
                mixed = (b & c) | (~b & d)
            elif part == 1:
                mixed = (b & c) | (b & d) | (c & d)
            else:
                mixed = b ^ c ^ d
            total = (a + mixed + words[place] + _ADDED[part]) & _MASK
            shift = _SHIFTS[part][step % 4]
            a, b, c, d = d, (total << shift | total >> (32 - shift)) & _MASK, b, c
    return (state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK
