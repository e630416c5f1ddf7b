"""Redirection lists: the text of an alias or of a .forward file, taken apart.

No addresses are routed and no options obeyed here: text in, items and a verdict out.  Files for
``:include:`` come through a callable.  Spec: chapter "The redirect router", sections "Items in a
non-filter redirection list" and "Special items in redirection lists".
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.base.octets import SPACE, lower
from pyexim.base.record import dataclass, field
from pyexim.base.taint import like
from pyexim.mailfmt.address import parse_address

MAX_INCLUDES = 30


class RedirectionError(Exception):
    """The list is wrong; ``text`` is Exim's message."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the list names."""

    kind: str
    """address, pipe, file or directory."""
    text: str
    keep_domain: bool = False
    """An unqualified address preceded by a backslash: it gets the domain of the incoming address."""


@dataclass(slots=True)
class Redirection:
    """What a list says.

    ``verdict`` is "" for the items, or fail, defer or blackhole, which replace them; ``text`` is what
    follows :fail: or :defer:, ``special`` the whole special item.  ``skipped`` are the errors that were
    skipped: (message, item).
    """

    items: list[Item] = field(default_factory=list)
    verdict: str = ""
    text: str = ""
    special: str = ""
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListRules:
    """How a list is to be read."""

    allow_domain_literals: bool = False
    strip_trailing_dot: bool = False
    allow_utf8_domains: bool = False
    skip_errors: bool = False
    forbidden: frozenset[str] = frozenset()
    """Special items that are not permitted: fail, defer, blackhole, include."""
    read_include: Callable[[str], str] | None = None
    """Returns the content of an included file; raises RedirectionError."""


def is_filter(text: str) -> str | None:
    """Return "Exim" or "Sieve" for a text that is filtering instructions."""
    start = lower(text.lstrip(SPACE)[:40])
    if not start.startswith("#"):
        return None
    words = start[1:].lstrip(" \t")
    for name in ("exim", "sieve"):
        if words.startswith(name) and words[len(name):].lstrip(" \t").startswith("filter"):
            return "Exim" if name == "exim" else "Sieve"
    return None


def parse_redirection(text: str, rules: ListRules) -> Redirection:
    """Take a list apart; RedirectionError for what is wrong with it and not to be skipped."""
    found = Redirection()
    _parse(text, rules, found, 0)
    return found


def _parse(text: str, rules: ListRules, found: Redirection, depth: int) -> bool:
    """Read a list into ``found``; False when a special item ends everything."""
    position = 0
    total = len(text)
    while True:
        position = _skip_blank(text, position)
        if position >= total:
            return True
        end = item_end(text, position)
        item = like(text[position:end].strip(SPACE), text)
        rest = item
        if item.startswith('"') and _closing_quote(item) == len(item) - 1 and len(item) > 1:
            item = rest = like(_dequote(item[1:-1]).strip(SPACE), text)
        elif item.startswith(":"):
            # the text of :fail: and :defer: goes to the end of the line, whatever commas it contains
            line_end = text.find("\n", position)
            rest = like(text[position:line_end if line_end >= 0 else total].lstrip(SPACE), text)
        special = _special_name(item)
        if special in ("fail", "defer") and rest is not item:
            end = max(end, position + len(text[position:].split("\n", 1)[0]))
        position = end + 1
        if special is not None:
            if not _obey_special(special, item, rest, rules, found, depth):
                return False
            continue
        if not item:
            continue
        _plain_item(item, rules, found)


def _skip_blank(text: str, position: int) -> int:
    """Skip white space, separators and comments."""
    total = len(text)
    while position < total:
        c = text[position]
        if c in SPACE or c == ",":
            position += 1
        elif c == "#":
            end = text.find("\n", position)
            position = total if end < 0 else end + 1
        else:
            break
    return position


def item_end(text: str, position: int) -> int:
    """Return the index of the comma or newline that ends an item (or the length)."""
    total = len(text)
    depth = 0
    while position < total:
        c = text[position]
        if c == "\\":
            position += 1
        elif c == '"':
            end = _closing_quote(text, position)
            position = end if end > 0 else total
        elif c == "(":
            depth += 1
        elif c == ")":
            depth = max(0, depth - 1)
        elif c == "\n" or (c == "," and depth == 0):
            return position
        position += 1
    return total


def _closing_quote(text: str, start: int = 0) -> int:
    """Return the index of the quote that closes the one at ``start``, or -1."""
    position = start + 1
    total = len(text)
    while position < total:
        c = text[position]
        if c == "\\":
            position += 1
        elif c == '"':
            return position
        position += 1
    return -1


def _dequote(text: str) -> str:
    """Remove the backslashes before quotes and backslashes; others belong to the item."""
    if "\\" not in text:
        return text
    out = []
    position = 0
    while position < len(text):
        if text[position] == "\\" and text[position + 1:position + 2] in ("\\", '"'):
            position += 1
        out.append(text[position])
        position += 1
    return "".join(out)


_SPECIALS = ("blackhole", "unknown", "include", "fail", "defer")


def _special_name(item: str) -> str | None:
    if item.startswith(":"):
        for name in _SPECIALS:
            if item.startswith(f":{name}:") and (name != "unknown" or item == ":unknown:"):
                return name
    return None


def _obey_special(name: str, item: str, rest: str, rules: ListRules, found: Redirection, depth: int) -> bool:
    """Obey a special item; False when nothing after it counts."""
    if name in rules.forbidden and name != "include":
        raise RedirectionError(f'"{item}" is not permitted')
    if name == "unknown":
        return True
    if name == "include":
        if "include" in rules.forbidden or rules.read_include is None:
            raise RedirectionError("included files not permitted")
        if depth >= MAX_INCLUDES:
            raise RedirectionError("included files are nested too deeply")
        path = like(item[len(":include:"):].strip(SPACE), item)
        return _parse(rules.read_include(path), rules, found, depth + 1)
    found.items.clear()
    found.verdict = name
    found.special = item
    if name != "blackhole":
        found.text = like(rest[len(name) + 2:].lstrip(SPACE), rest)
    return False


def _plain_item(item: str, rules: ListRules, found: Redirection) -> None:
    """Add an address, pipe or file."""
    first = item[0]
    if first == "\\":
        parsed = _parse_address(like(item[1:], item), rules)
        if parsed is not None and parsed[1] == 0 and parsed[0]:
            found.items.append(Item("address", parsed[0], keep_domain=True))
            return
    if first in "|/":
        parsed = _parse_address(item, rules)
        if parsed is None or parsed[1] == 0:
            kind = "pipe" if first == "|" else "directory" if item.endswith("/") else "file"
            found.items.append(Item(kind, item))
            return
        found.items.append(Item("address", parsed[0]))
        return
    if _only_comment(item):
        return
    result = parse_address(item, allow_domain_literals=rules.allow_domain_literals,
                           strip_trailing_dot=rules.strip_trailing_dot, allow_utf8_domains=rules.allow_utf8_domains)
    if result.error is not None or not result.address:
        error = f'{result.error or "missing or malformed local part"} in "{item}"'
        if not rules.skip_errors:
            raise RedirectionError(error)
        found.skipped.append(error)
        return
    found.items.append(Item("address", like(result.address, item)))


def _parse_address(text: str, rules: ListRules) -> tuple[str, int] | None:
    result = parse_address(text, allow_domain_literals=rules.allow_domain_literals,
                           strip_trailing_dot=rules.strip_trailing_dot, allow_utf8_domains=rules.allow_utf8_domains)
    return None if result.error is not None else (like(result.address, text), result.domain_at)


def _only_comment(item: str) -> bool:
    """Tell whether an item is comments in parentheses and nothing else."""
    if item[0] != "(":
        return False
    depth = 0
    for c in item:
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
        elif depth == 0 and c not in SPACE:
            return False
    return depth == 0
