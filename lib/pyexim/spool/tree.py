"""The tree of non-recipients, as the -H file has it: a balanced binary tree in preorder.

"XX" is the empty tree; otherwise a line for each node, with Y or N for a left and for a right branch.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyexim.base.errors import SpoolError


def format_tree(addresses: Iterable[str]) -> list[str]:
    """Return the lines (without line ends) that stand for a set of addresses."""
    items = sorted(addresses)
    if not items:
        return ["XX"]
    lines: list[str] = []
    todo = [(0, len(items))]
    while todo:
        low, high = todo.pop()
        middle = (low + high - 1) // 2
        left, right = middle > low, middle + 1 < high
        lines.append(f"{'Y' if left else 'N'}{'Y' if right else 'N'} {items[middle]}")
        if right:
            todo.append((middle + 1, high))
        if left:
            todo.append((low, middle))
    return lines


def parse_tree(text: str, start: int) -> tuple[set[str], int]:
    """Read a tree at an index of the text; the addresses and the index after it.  SpoolError if malformed."""
    if text.startswith("XX\n", start):
        return set(), start + 3
    found: set[str] = set()
    expected = 1
    while expected:
        end = text.find("\n", start)
        if end < start + 3 or text[start] not in "YN" or text[start + 1] not in "YN" or text[start + 2] != " ":
            raise SpoolError("malformed tree of non-recipients", 22)
        expected += (text[start] == "Y") + (text[start + 1] == "Y") - 1
        found.add(text[start + 3:end])
        start = end + 1
    return found, start
