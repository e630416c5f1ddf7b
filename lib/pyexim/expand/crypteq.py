"""The condition crypteq: is this the password that was stored in this encrypted form?

Spec: chapter "String expansions", section 7.  Tainted stored values are compared like others.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import lower, to_bytes
from pyexim.expand.scope import Scope


def crypteq(scope: Scope, password: str, stored: str) -> bool:
    """Compare a password with its stored form: "{md5}...", "{sha1}...", "{crypt}...", or as crypt() made it."""
    if not stored.startswith("{"):
        return _crypt(password, stored)
    word, bracket, rest = stored[1:].partition("}")
    word = lower(word)
    if bracket:
        if word == "md5":
            return _digest(hashlib.md5, 24, 32, password, rest)
        if word == "sha1":
            return _digest(hashlib.sha1, 28, 40, password, rest)
        if word == "crypt":
            return _crypt(password, rest)
        if word == "crypt16":
            return _crypt16(password, rest)
    raise ExpansionError(f'unknown encryption mechanism in "{stored}"')


def _digest(make: Callable[..., Any], base64_size: int, hex_size: int, password: str, stored: str) -> bool:
    digest = make(to_bytes(password), usedforsecurity=False)
    if len(stored) == base64_size:
        coded = binascii.b2a_base64(digest.digest(), newline=False).decode("ascii")
        return hmac.compare_digest(to_bytes(coded), to_bytes(stored))
    if len(stored) == hex_size:
        return hmac.compare_digest(to_bytes(digest.hexdigest()), to_bytes(lower(stored)))
    return False


def _library_crypt() -> Callable[[bytes, bytes], bytes | None] | None:
    """Return the C library's crypt(), or None where there is none."""
    import ctypes
    import ctypes.util

    for name in (ctypes.util.find_library("crypt"), "libcrypt.so.1", "libcrypt.so.2", "libc.so.6"):
        if not name:
            continue
        try:
            function = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        return function
    return None


_found: list[Callable[[bytes, bytes], bytes | None] | None] = []
_FAILED: Final = (b"*0", b"*1")


def _call_crypt(password: str, salt: str) -> str | None:
    if not _found:
        _found.append(_library_crypt())
    function = _found[0]
    if function is None:
        raise ExpansionError("crypteq: this system has no crypt() function")
    if "\0" in password or "\0" in salt:
        return None
    result = function(to_bytes(password), to_bytes(salt))
    if result is None or result in _FAILED:
        return None
    return result.decode("latin-1")


def _crypt(password: str, stored: str) -> bool:
    if len(stored) < 2:
        return False
    made = _call_crypt(password, stored)
    return made is not None and hmac.compare_digest(to_bytes(made), to_bytes(stored))


def _crypt16(password: str, stored: str) -> bool:
    """Two results of crypt() one after the other: of the first eight octets and of the next eight."""
    if len(stored) < 2:
        return False
    first = _call_crypt(password[:8], stored[:2])
    if first is None:
        return False
    made = first
    if len(stored) > 13 or len(password) > 8:
        second = _call_crypt(password[8:16], stored[:2])
        if second is None:
            return False
        made = first + second[2:]
    return hmac.compare_digest(to_bytes(made), to_bytes(stored))
