"""JSON in expansions: ${extract json{...}, and the arrays of forany_json and its relatives.

The text is cut at the commas and colons of its outermost level; values stay as they are written.  Spec:
chapter "String expansions", sections 5 and 7.  A comma inside a JSON string does not separate.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE, is_digits
from pyexim.base.taint import like

_MARK: Final = re.compile(r'["\[\]{},:]')
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)


def _members(text: str) -> list[str]:
    """Split at the commas that are in no string, array or object."""
    out: list[str] = []
    depth = start = at = 0
    while True:
        found = _MARK.search(text, at)
        if found is None:
            break
        c = found[0]
        at = found.end()
        if c == '"':
            string = _STRING.match(text, found.start())
            at = string.end() if string is not None else len(text)
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif c == "," and depth <= 0:
            out.append(text[start:found.start()].strip(SPACE))
            start = at
    last = text[start:].strip(SPACE)
    if last or out:
        out.append(last)
    return out


def array_items(text: str) -> list[str]:
    """Return the items of a JSON array, each as it is written; ExpansionError where it is none."""
    body = text.strip(SPACE)
    if not body.startswith("["):
        raise ExpansionError("missing '[' wrapping array for extract json")
    if not body.endswith("]") or len(body) < 2:
        raise ExpansionError("missing ']' wrapping array for extract json")
    return [like(x, text) for x in _members(body[1:-1])]


def unquote(text: str) -> str | None:
    """Return a JSON string without its quotes, or None where it is no string; escapes stay."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        return like(text[1:-1], text)
    return None


def _string(text: str) -> str:
    value = unquote(text)
    if value is None:
        raise ExpansionError("missing '\"' wrapping string result for extract jsons")
    return value


def strings(text: str) -> list[str]:
    """Return the items of a JSON array of strings, without their quotes."""
    return [_string(x) for x in array_items(text)]


def extract(key: str, data: str, unquoted: bool) -> str | None:
    """Return a member of an object, or an element of an array by its number from 1; None: not there."""
    word = key.strip(SPACE)
    if not word:
        raise ExpansionError('first argument of "extract" must not be empty')
    if is_digits(word.removeprefix("-")):
        number = int(word[:12])
        if number <= 0:
            raise ExpansionError('first argument of "extract" must be greater than zero')
        items = array_items(data)
        found = items[number - 1] if number <= len(items) else None
        if found == "":
            found = None
    else:
        found = _member(word, data)
    if found is None:
        return None
    return _string(found) if unquoted else like(found, data)


_KEY: Final = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t\r\n\v\f]*(:?)', re.DOTALL)


def _member(key: str, data: str) -> str | None:
    body = data.strip(SPACE)
    if not body.startswith("{"):
        raise ExpansionError("missing '{' wrapping object for extract json")
    if not body.endswith("}") or len(body) < 2:
        raise ExpansionError("missing '}' wrapping object for extract json")
    for item in _members(body[1:-1]):
        found = _KEY.match(item)
        if found is None:
            if not item:
                continue
            raise ExpansionError("missing '\"' wrapping string key for extract json")
        if found[1] == key:
            if not found[2]:
                raise ExpansionError("missing object value-separator for extract json")
            return item[found.end():].strip(SPACE)
    return None
