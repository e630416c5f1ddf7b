"""The DES cipher, one block at a time, which NTLM needs.  FIPS 46-3.

It is weak: nothing else may use it.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = (
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24,
    16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39,
    31, 23, 15, 7)
_LAST: Final = tuple(_FIRST.index(place) + 1 for place in range(1, 65))
_WIDER: Final = (
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20, 21, 20, 21,
    22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1)
_MIXED: Final = (
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4,
    25)
_KEY_FIRST: Final = (
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
    47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4)
_KEY_ROUND: Final = (
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
    40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32)
_SHIFTS: Final = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
_BOXES: Final = tuple(tuple(int(digit, 16) for digit in box) for box in (
    "E4D12FB83A6C59070F74E2D1A6CB953841E8D62BFC973A50FC8249175B3EA06D",
    "F18E6B34972DC05A3D47F28EC01A69B50E7BA4D158C6932FD8A13F42B67C05E9",
    "A09E63F51DC7B428D709346A285ECBF1D6498F30B12C5AE71AD069874FE3B52C",
    "7DE3069A1285BC4FD8B56F03472C1AE9A690CB7DF13E52843F06A1D8945BC72E",
    "2C417AB6853FD0E9EB2C47D150FA3986421BAD78F9C5630EB8C71E2D6F09A453",
    "C1AF92680D34E75BAF427C9561DE0B389EF528C3704A1DB6432C95FABE17608D",
    "4B2EF08D3C975A61D0B7491AE35C2F8614BDC37EAF6805926BD814A7950FE23C",
    "D2846FB1A93E50C71FD8A374C56B0E927B419CE206ADF35821E74A8DFC90356B"))
_HALF: Final = 0xFFFFFFF


def _permute(value: int, width: int, places: tuple[int, ...]) -> int:
    out = 0
    for place in places:
        out = out << 1 | (value >> (width - place)) & 1
    return out


def _round_keys(key: bytes) -> list[int]:
    value = _permute(int.from_bytes(key, "big"), 64, _KEY_FIRST)
    left, right = value >> 28, value & _HALF
    keys = []
    for shift in _SHIFTS:
        left = (left << shift | left >> (28 - shift)) & _HALF
        right = (right << shift | right >> (28 - shift)) & _HALF
        keys.append(_permute(left << 28 | right, 56, _KEY_ROUND))
    return keys


def encrypt(key: bytes, block: bytes) -> bytes:
    """Return the encrypted block; key and block are 8 octets each (the low bit of a key's octets does not count)."""
    value = _permute(int.from_bytes(block, "big"), 64, _FIRST)
    left, right = value >> 32, value & 0xFFFFFFFF
    for round_key in _round_keys(key):
        wide = _permute(right, 32, _WIDER) ^ round_key
        out = 0
        for number, box in enumerate(_BOXES):
            six = wide >> (42 - 6 * number) & 63
            out = out << 4 | box[(six >> 4 & 2 | six & 1) * 16 + (six >> 1 & 15)]
        left, right = right, left ^ _permute(out, 32, _MIXED)
    return _permute(right << 32 | left, 64, _LAST).to_bytes(8, "big")
