"""Operators on UTF-8 and on internationalised names.

Spec: chapter "String expansions", section 6; chapter "Internationalisation".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
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
    wanted = 1 if 0xC0 <= c < 0xE0 else 2 if 0xE0 <= c < 0xF0 else 3 if 0xF0 <= c < 0xF8 else 0
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


def _unicode(text: str, name: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise ExpansionError("error converting utf8 to alabel: string contains invalid UTF-8") from None


def _label_to_alabel(label: str) -> str:
    if label.isascii():
        return label
    import encodings.idna

    prepared = encodings.idna.nameprep(label)
    return prepared if prepared.isascii() else "xn--" + prepared.encode("punycode").decode("ascii")


def domain_to_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_domain_to_alabel:...}"""
    if text.isascii():
        return text
    try:
        return like(".".join(_label_to_alabel(x) for x in _unicode(text, name).split(".")), text)
    except UnicodeError as e:
        raise ExpansionError(f"error converting utf8 to alabel: {e}") from None


def localpart_to_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_localpart_to_alabel:...}"""
    if text.isascii():
        return text
    return like("xn--" + _unicode(text, name).encode("punycode").decode("ascii"), text)


def domain_from_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_domain_from_alabel:...}"""
    return like(".".join(_from_alabel(x, "domain") for x in text.split(".")), text)


def localpart_from_alabel(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${utf8_localpart_from_alabel:...}"""
    return like(_from_alabel(text, "localpart"), text)


def _from_alabel(text: str, what: str) -> str:
    if not text[:4].lower() == "xn--":
        return text
    try:
        return text[4:].encode("ascii").decode("punycode").encode("utf-8").decode("latin-1")
    except (UnicodeError, OverflowError):
        raise ExpansionError("error converting alabel to utf8: string contains invalid punycode data") from None
