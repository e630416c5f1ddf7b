"""The syntax of lists: separators that can be changed, doubled to stand for themselves, white space around items.

Spec: chapter "The Exim configuration file", sections "List construction" to "Empty items in lists".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import SPACE
from pyexim.base.taint import like

_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_CONTROL: Final = frozenset([*map(chr, range(32)), "\x7f"])
_DOUBLED: Final = "\ue000"
"""Stands for a doubled separator while splitting; no octet has this code."""


def separator_of(text: str, separator: str = ":") -> tuple[str, str]:
    """Return the separator that a list uses and the text after its "<x", if it has one."""
    start = text.lstrip(SPACE)
    if len(start) > 1 and start[0] == "<" and (start[1] in _PUNCTUATION or start[1] in _CONTROL):
        return start[1], start[2:]
    return separator, text


def split_list(text: str, separator: str = ":") -> list[str]:
    """Split an expanded list into its items; an empty item at the end is dropped.

    A list may begin with "<" and the separator it uses instead of the given one.  A printing
    separator is doubled inside an item, a control character cannot be part of one.
    """
    separator, rest = separator_of(text, separator)
    if separator not in rest:
        item = rest.strip(SPACE)
        items = [item] if item else []
    else:
        double = separator * 2
        if double in rest and separator not in _CONTROL:
            items = [item.strip(SPACE).replace(_DOUBLED, separator)
                     for item in rest.replace(double, _DOUBLED).split(separator)]
        else:
            items = [item.strip(SPACE) for item in rest.split(separator)]
        if not items[-1]:
            items.pop()
    return items if text.__class__ is str else [like(item, text) for item in items]


def join_list(items: list[str], separator: str = ":") -> str:
    """Return a list of which the items are the given ones: separators doubled, empty items written with a space."""
    double = separator * 2
    parts = [item.replace(separator, double) if item else " " for item in items]
    text = separator.join(parts)
    if separator in "".join(part[:1] for part in parts[1:]) or any(part[-1:] == separator for part in parts[:-1]):
        text = f" {separator} ".join(parts)
    if items and not items[-1]:
        text += separator
    return text
