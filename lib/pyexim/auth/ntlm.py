"""The messages and the response of NTLM, version 1, without session security: octets in, values out.

Source: Microsoft's Open Specification [MS-NLMP], sections 2.2.1 and 3.3.1.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pyexim.auth.des import encrypt
from pyexim.auth.md4 import md4
from pyexim.base.octets import to_bytes, to_text, upper

SIGNATURE: Final = b"NTLMSSP\0"
CHALLENGE_SIZE: Final = 8
RESPONSE_SIZE: Final = 24
_NEGOTIATE, _CHALLENGE, _AUTHENTICATE = 1, 2, 3
_UNICODE, _OEM, _REQUEST_TARGET, _NTLM, _DOMAIN, _ALWAYS_SIGN = 0x1, 0x2, 0x4, 0x200, 0x1000, 0x8000


class Challenge(NamedTuple):
    """What a server says."""

    challenge: bytes
    flags: int = _UNICODE | _NTLM | _ALWAYS_SIGN
    target: str = ""
    """The domain that the server belongs to."""


class Authenticate(NamedTuple):
    """What a client answers."""

    user: str
    response: bytes
    """The NT response."""


def response(password: str, challenge: bytes) -> bytes:
    """Return the NT response to a challenge.  The password is text of octets, in UTF-8 where they are such."""
    key = md4(_wide(password)).ljust(21, b"\0")
    return b"".join(encrypt(_with_parity(key[i:i + 7]), challenge) for i in (0, 7, 14))


def _with_parity(seven: bytes) -> bytes:
    """Return the 8 octets of a DES key that 7 octets stand for; its low bits, the parity, do not count."""
    value = int.from_bytes(seven, "big")
    return bytes((value >> shift & 0x7F) << 1 for shift in range(49, -1, -7))


def _wide(text: str) -> bytes:
    """Return text of octets in UTF-16."""
    data = to_bytes(text)
    try:
        return data.decode("utf-8").encode("utf-16-le")
    except UnicodeDecodeError:
        return data.decode("latin-1").encode("utf-16-le")


def format_negotiate(domain: str) -> bytes:
    """Return a client's first message."""
    name = to_bytes(upper(domain))
    flags = _UNICODE | _OEM | _REQUEST_TARGET | _NTLM | _ALWAYS_SIGN | (_DOMAIN if name else 0)
    return struct.pack("<8sII", SIGNATURE, _NEGOTIATE, flags) + _field(name, 32) + _field(b"", 32 + len(name)) + name


def format_challenge(said: Challenge) -> bytes:
    """Return a server's message."""
    name = _wide(said.target)
    head = struct.pack("<8sI", SIGNATURE, _CHALLENGE) + _field(name, 48)
    return head + struct.pack("<I8s8x", said.flags, said.challenge) + _field(b"", 48 + len(name)) + name


def parse_challenge(data: bytes) -> Challenge | None:
    """Return what a server says; None where that is no challenge."""
    if len(data) < 32 or data[:8] != SIGNATURE or data[8:12] != struct.pack("<I", _CHALLENGE):
        return None
    flags, challenge = struct.unpack_from("<I8s", data, 20)
    return Challenge(challenge, flags, _text(_read_field(data, 12) or b"", flags))


def format_authenticate(said: Challenge, user: str, password: str, domain: str) -> bytes:
    """Return a client's answer to a challenge.

    The NT response stands in the place of the LM response, too: that one would give the password away.
    """
    flags = said.flags & (_UNICODE | _OEM | _REQUEST_TARGET | _NTLM)
    proof = response(password, said.challenge)
    names = [_wide(x) if flags & _UNICODE else to_bytes(x) for x in (domain or said.target, user, user)]
    head, body = struct.pack("<8sI", SIGNATURE, _AUTHENTICATE), b""
    for part in (proof, proof, *names, b""):
        head += _field(part, 64 + len(body))
        body += part
    return head + struct.pack("<I", flags) + body


def parse_authenticate(data: bytes) -> Authenticate | None:
    """Return what a client answers; None where that is no answer."""
    if len(data) < 52 or data[:8] != SIGNATURE or data[8:12] != struct.pack("<I", _AUTHENTICATE):
        return None
    user, proof = _read_field(data, 36), _read_field(data, 20)
    if user is None or proof is None:
        return None
    flags = struct.unpack_from("<I", data, 60)[0] if len(data) >= 64 else _UNICODE
    return Authenticate(_text(user, flags), proof)


def _text(data: bytes, flags: int) -> str:
    """Return a name as text of octets, in UTF-8 where it came in UTF-16."""
    return to_text(data.decode("utf-16-le", "replace").encode("utf-8")) if flags & _UNICODE else to_text(data)


def _field(data: bytes, offset: int) -> bytes:
    """Return the head of a field: its length, its room, its place."""
    return struct.pack("<HHI", len(data), len(data), offset)


def _read_field(data: bytes, place: int) -> bytes | None:
    """Return the field whose head is at a place; None where it is not within the message."""
    length, _, offset = struct.unpack_from("<HHI", data, place)
    return data[offset:offset + length] if offset + length <= len(data) else None
