"""Lists in expanded text: separators, doubling, trimming.

Spec: section "List construction" (6.21).  The text has been expanded already.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.octets import SPACE
from pyexim.base.taint import Tainted

_CONTROL: Final = frozenset(chr(i) for i in range(32)) | {"\x7f"}


def separator(text: str, default: str = ":") -> tuple[str, str]:
    """Return (separator, the rest of the text): "<;" at the start of a list changes its separator.

    The separator may be written as an escape ("<\\n" expanded to a control character); a control
    character as separator is never doubled.  A "<" before a letter, digit or space is text.
    """
    i = 0
    n = len(text)
    while i < n and text[i] in SPACE:
        i += 1
    if i + 1 == n and text[i] == "<":
        return default, ""
    if i + 1 < n and text[i] == "<":
        c = text[i + 1]
        if c in _CONTROL or (not c.isalnum() and c.isascii() and c != " "):
            i += 2
            return c, text[i:]
    return default, text[i:] if i else text


def split_list(text: str, default: str = ":") -> list[str]:
    """Return the items of a list, white space around them removed; each is Tainted if the text is."""
    return split_with_separator(text, default)[1]


def split_with_separator(text: str, default: str = ":") -> tuple[str, list[str]]:
    """Return (separator, items)."""
    sep, rest = separator(text, default)
    items = _split(rest, sep)
    if text.__class__ is not str:
        return sep, [Tainted(x) for x in items]
    return sep, items


def _split(rest: str, sep: str) -> list[str]:
    if not rest:
        return []
    if sep in _CONTROL or sep + sep not in rest:
        pieces = rest.split(sep)
    else:
        pieces = _split_doubled(rest, sep)
    # A list ends where its text ends: nothing (or only white space) after the last separator is no item.
    out = [x.strip(SPACE) for x in pieces]
    if not out[-1]:
        out.pop()
    return out


def _split_doubled(rest: str, sep: str) -> list[str]:
    """Split where the separator stands alone; a doubled one stands for itself, leftmost pair first."""
    out: list[str] = []
    current: list[str] = []
    for piece in re.split("((?:" + re.escape(sep) + ")+)", rest):
        if piece and piece[0] == sep:
            pairs, single = divmod(len(piece), 2)
            current.append(sep * pairs)
            if single:
                out.append("".join(current))
                current = []
        else:
            current.append(piece)
    out.append("".join(current))
    return out


def double_separator(item: str, sep: str) -> str:
    """Return an item as it is written in a list: its separators doubled, an empty item as one space."""
    if not item:
        return " "
    if sep in item and sep not in _CONTROL:
        return item.replace(sep, sep + sep)
    return item


def join_list(items: list[str], sep: str) -> str:
    """Return a list of the items with their separators doubled; Tainted if any of them is."""
    text = sep.join(items)
    if "" in items or (text.count(sep) >= len(items) and sep not in _CONTROL):
        text = sep.join([double_separator(x, sep) for x in items])
    if items and not items[0]:
        text = text[1:]  # the space stands only for later empty items: a list may begin with its separator
    for item in items:
        if item.__class__ is not str:
            return Tainted(text)
    return text
