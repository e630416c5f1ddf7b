"""Operators on text: case, quoting, escaping, RFC 2047, re-expansion.

Spec: chapter "String expansions", section 6.  Letters are ASCII letters.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base import octets
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.taint import is_tainted, like
from pyexim.expand.scope import Scope
from pyexim.mailfmt import rfc2047 as encoded_words


def lc(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${lc:...}"""
    return like(octets.lower(text), text)


def uc(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${uc:...}"""
    return like(octets.upper(text), text)


def strlen(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${strlen:...}, in octets."""
    return str(len(text))


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_QUOTED: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def quote(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${quote:...}: in double quotes unless it is a plain word; ${quote_TYPE:...}: for a lookup."""
    if argument is not None:
        from pyexim.expand import table

        quoted = table.service("lookup_quote")(argument, text)
        if quoted is None:
            raise ExpansionError(f'unknown lookup type "{argument}"')
        return str(quoted) if quoted.__class__ is str else quoted  # it keeps the taint, marked as quoted
    if _PLAIN.fullmatch(text):
        return text
    return like('"' + text.translate(_QUOTED) + '"', text)


_RX: Final = {i: "\\" + chr(i) for i in range(256) if not chr(i).isalnum() or i > 127}


def rxquote(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${rxquote:...}: a backslash before everything that is no letter or digit."""
    return like(text.translate(_RX), text)


def escape(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${escape:...}: unprintable octets as escapes."""
    top_bit = bool(scope.config.main.print_topbitchars)
    table = _PRINTED_TOP if top_bit else _PRINTED
    return like("".join([table[ord(c)] for c in text]), text)


def _printed(top_bit: bool) -> list[str]:
    named = {10: "\\n", 13: "\\r", 8: "\\b", 11: "\\v", 12: "\\f", 9: "\t"}
    return [named.get(i) or (chr(i) if 32 <= i < 127 or (top_bit and i > 127) else f"\\{i:03o}")
            for i in range(256)]


_PRINTED: Final = _printed(False)
_PRINTED_TOP: Final = _printed(True)
"""As log lines have it, but that tabs and backslashes stay."""


_ESCAPE8: Final = re.compile(r"[\\\x7f-\xff]")


def escape8bit(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${escape8bit:...}: octets above 126, and backslashes, as octal escapes."""
    return like(_ESCAPE8.sub(lambda m: f"\\{ord(m[0]):03o}", text), text)


_HEX: Final = {i: f"\\x{i:02x}" for i in range(256) if not 33 <= i <= 126}


def hexquote(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${hexquote:...}: everything but visible ASCII as \\xNN."""
    return like(text.translate(_HEX), text)


def charset(scope: Scope) -> str:
    """Return the character set of headers: of the filter, of the configuration, or UTF-8."""
    return scope.facts.get("headers_charset") or scope.config.main.headers_charset or "UTF-8"




def rfc2047(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${rfc2047:...}: encoded words where the text needs them."""
    if not _must_encode(text):
        return text
    return like(encoded_words.encode_always(text, charset(scope)), text)


_MUST: Final = re.compile(r'[^ -~]|[?=()<>@,;:\\".\[\]_]')


def _must_encode(text: str) -> bool:
    return _MUST.search(text) is not None




def rfc2047d(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${rfc2047d:...}: encoded words decoded into the character set of headers."""
    target = charset(scope)
    source = encoded_words.unknown_charset(text)
    if source is not None:
        raise ExpansionError(f'iconv_open("{target}", "{source}") failed: Invalid argument'
                             " (maybe unsupported conversion)")
    return encoded_words.decode(text, target, check_length=scope.config.main.check_rfc2047_length)


def expand_again(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${expand:...}: expand the result once more."""
    from pyexim.expand.engine import expand, refuse_tainted

    try:
        if is_tainted(text):
            refuse_tainted(text, scope)
        return expand(text, scope)
    except ForcedFail:
        raise
    except ExpansionError as e:
        if type(e) is not ExpansionError:
            raise
        raise ExpansionError(f'internal expansion of "{text}" failed: {e.text}') from None


def headerwrap(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${headerwrap_columns_limit:...}: fold a header line at white space; cut it at the limit."""
    columns, limit = 80, 998
    if argument:
        found = re.fullmatch(r"([0-9]*)(?:_([0-9]*))?", argument)
        if found is None:
            raise ExpansionError(f'non-digit after underscore in "{name}"')
        columns = int(found[1][:9]) if found[1] else columns
        limit = int(found[2][:9]) if found[2] else limit
    return like(_wrap(text[:limit], max(columns, 1)), text)


def _wrap(text: str, columns: int) -> str:
    lines = []
    start, n, indent = 0, len(text), ""
    while n - start + len(indent) > columns:
        room = columns - len(indent)
        at = text.rfind(" ", start + 1, start + room + 1)
        if at < 0:
            at = text.find(" ", start + max(room, 1))
            if at < 0:
                break
        lines.append(indent + text[start:at])
        start = at + 1
        while start < n and text[start] in " \t":
            start += 1
        indent = "\t"
    lines.append(indent + text[start:])
    return "\n".join(lines)
