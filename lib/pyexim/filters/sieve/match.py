"""Comparing strings in Sieve: match types and comparators.  Spec: RFC 5228 section 2.7, RFC 4790."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.octets import lower
from pyexim.filters.sieve.lexer import SieveError

COMPARATORS: Final = ("i;octet", "i;ascii-casemap", "en;ascii-casemap", "i;ascii-numeric")
NUMERIC: Final = "i;ascii-numeric"
_digits = re.compile(r"[0-9]+", re.ASCII).match


def matcher(kind: str, comparator: str) -> Callable[[str, str], bool]:
    """Return what tells whether (value, key) match."""
    if comparator == NUMERIC:
        if kind != "is":
            raise SieveError("comparator does not offer specified matchtype")
        return lambda value, key: _numeric(value) == _numeric(key)
    test = _TESTS[kind]
    if comparator == "i;octet":
        return test
    return lambda value, key: test(lower(value), lower(key))


def _numeric(text: str) -> int | None:
    """Return the number at the start of a text; None, which is beyond all numbers, where there is none."""
    m = _digits(text)
    return None if m is None else int(m[0][:40])


def _is(value: str, key: str) -> bool:
    return value == key


def _contains(value: str, key: str) -> bool:
    return key in value


def glob(value: str, key: str) -> bool:
    """Tell whether a value matches a pattern of "*" and "?"; a backslash takes the meaning from the next character."""
    items: list[str | None] = []
    at = 0
    while at < len(key):
        c = key[at]
        if c == "\\" and at + 1 < len(key):
            at += 1
            items.append("=" + key[at])
        else:
            items.append(None if c == "*" else "?" if c == "?" else "=" + c)
        at += 1
    place = item = 0
    star = back = -1
    while place < len(value):
        if item < len(items) and (items[item] == "?" or items[item] == "=" + value[place]):
            place, item = place + 1, item + 1
        elif item < len(items) and items[item] is None:
            star, back = item, place
            item += 1
        elif star >= 0:
            back += 1
            place, item = back, star + 1
        else:
            return False
    return all(i is None for i in items[item:])


_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {"is": _is, "contains": _contains, "matches": glob}
