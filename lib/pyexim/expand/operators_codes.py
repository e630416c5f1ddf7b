"""Operators that encode, decode and digest.  Spec: chapter "String expansions", section 6."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits, to_bytes, to_text
from pyexim.base.taint import like
from pyexim.expand.scope import Scope

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ULONG: Final = (1 << 64) - 1


def _decimal(text: str, name: str) -> int:
    if text and not is_digits(text):
        raise ExpansionError(f'argument for {name} operator is "{text}", which is not a decimal number')
    return min(int(text[:30] or "0"), _ULONG)


def base32(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base32:digits}; nothing for zero."""
    value = _decimal(text, "base32")
    out = []
    while value:
        value, digit = divmod(value, 32)
        out.append(_BASE32[digit])
    return "".join(reversed(out))


def base32d(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base32d:...}"""
    return _from_digits(text, _BASE32, "base32d", "base 32")


def _from_digits(text: str, alphabet: str, name: str, what: str) -> str:
    if text.strip(alphabet):
        raise ExpansionError(f'argument for {name} operator is "{text}", which is not a {what} number')
    value = 0
    # both bases are even: modulo 2 to the 64, no digit before the last 64 counts
    for c in text[-64:]:
        value = (value * len(alphabet) + alphabet.index(c)) & _ULONG
    return str(value)


def base62(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base62:digits}: six characters, the last ones of a greater number."""
    value = _decimal(text, "base62")
    out = []
    while value:
        value, digit = divmod(value, 62)
        out.append(_BASE62[digit])
    return "".join(reversed(out)).rjust(6, "0")[-6:]


def base62d(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base62d:...}"""
    return _from_digits(text, _BASE62, "base62d", "base 62")


def base64(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base64:...}, ${str2b64:...}"""
    return like(to_text(binascii.b2a_base64(to_bytes(text), newline=False)), text)


def base64d(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${base64d:...}"""
    try:
        return like(to_text(binascii.a2b_base64(to_bytes("".join(text.split())), strict_mode=True)) if text else "",
                    text)
    except (binascii.Error, ValueError):
        raise ExpansionError(f'string "{text}" is not well-formed for "{name}" operator') from None


_HEX: Final = re.compile(r"[0-9A-Fa-f]*")


def hex2b64(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${hex2b64:hexadecimal digits}"""
    if not _HEX.fullmatch(text):
        raise ExpansionError(f'"{text}" is not a hex string')
    if len(text) % 2:
        raise ExpansionError(f'"{text}" contains an odd number of characters')
    return like(to_text(binascii.b2a_base64(bytes.fromhex(text), newline=False)), text)


_XTEXT: Final = re.compile(r"\+([0-9A-Fa-f]{2})")


def xtextd(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${xtextd:...}: decode the xtext of RFC 3461."""
    if "+" in _XTEXT.sub("", text):
        raise ExpansionError(f'string "{text}" is not well-formed for "xtextd" operator')
    return like(_XTEXT.sub(lambda m: chr(int(m[1], 16)), text), text)


def md5(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${md5:...}: lower-case digits."""
    return hashlib.md5(to_bytes(text), usedforsecurity=False).hexdigest()


def sha1(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${sha1:...}: upper-case digits."""
    return hashlib.sha1(to_bytes(text), usedforsecurity=False).hexdigest().upper()


_SHA2: Final = {None: hashlib.sha256, "256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_SHA3: Final = {None: hashlib.sha3_256, "224": hashlib.sha3_224, "256": hashlib.sha3_256,
                "384": hashlib.sha3_384, "512": hashlib.sha3_512}


def sha2(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${sha2:...}, ${sha256:...}, ${sha2_384:...}: upper-case digits."""
    make = _SHA2.get(argument)
    if make is None:
        raise ExpansionError("unrecognised sha2 variant")
    return make(to_bytes(text)).hexdigest().upper()


def sha3(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${sha3:...}, ${sha3_512:...}: upper-case digits."""
    make = _SHA3.get(argument)
    if make is None:
        raise ExpansionError("unrecognised sha3 variant")
    return make(to_bytes(text)).hexdigest().upper()
