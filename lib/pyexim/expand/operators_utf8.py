"""Operators on UTF-8 and on internationalised names.

Spec: chapter "String expansions", section 6; chapter "Internationalisation".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import printable
from pyexim.base.taint import like
from pyexim.expand.scope import Scope

_SEQUENCE: Final = re.compile(
    r"[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    r"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}")
_START: Final = re.compile(r"[\xc2-\xf4][\x80-\xbf]*")


def utf8clean(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8clean:...}: each invalid sequence becomes a question mark."""
    if text.isascii():
        return text
    out = []
    at, n = 0, len(text)
    while at < n:
        found = _SEQUENCE.match(text, at)
        if found is not None:
            out.append(found[0])
            at = found.end()
            continue
        out.append("?")
        at = _bad_end(text, at)
    return like("".join(out), text)


def _bad_end(text: str, at: int) -> int:
    """Return where an invalid sequence that begins here ends."""
    c = ord(text[at])
    wanted = 1 if 0xC2 <= c < 0xE0 else 2 if 0xE0 <= c < 0xF0 else 3 if 0xF0 <= c < 0xF8 else 0
    end = at + 1
    while wanted and end < len(text) and "\x80" <= text[end] <= "\xbf":
        end += 1
        wanted -= 1
    return end


def from_utf8(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${from_utf8:...}: as ISO-8859-1, with underscores for what that has not."""
    if text.isascii():
        return text
    characters = text.encode("latin-1").decode("utf-8", "replace")
    return like("".join(c if c <= "\xff" else "_" for c in characters), text)


def _unicode(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise ExpansionError(f"error converting utf8 ({printable(text)}) to alabel: string encoding error") from None


def _to_alabel(label: str) -> str:
    """Return a label in its A-form, by IDNA2008 without transitional mappings; it is lower case already."""
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def _prepared(text: str) -> str:
    import unicodedata  # heavy: only for names that are no ASCII

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", _unicode(text)).lower())


def domain_to_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_domain_to_alabel:...}"""
    if text.isascii():
        return text
    return like(".".join(_to_alabel(x) for x in _prepared(text).split(".")), text)


def localpart_to_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_localpart_to_alabel:...}"""
    if text.isascii():
        return text
    import unicodedata  # heavy: only for names that are no ASCII

    return like(_to_alabel(unicodedata.normalize("NFC", _unicode(text))), text)


def domain_from_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_domain_from_alabel:...}"""
    return like(".".join(_from_alabel(x, text) for x in text.split(".")), text)


def localpart_from_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_localpart_from_alabel:...}"""
    if not text.startswith("xn--"):
        raise ExpansionError(f"error converting alabel ({text}) to utf8: bad alabel prefix")
    return like(_from_alabel(text, text), text)


def _from_alabel(label: str, whole: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").encode("utf-8").decode("latin-1")
    except (UnicodeError, OverflowError, ValueError):
        raise ExpansionError(f"error converting alabel ({whole}) to utf8: Invalid input") from None
