"""Routing rules of the manualroute router: text in, pattern, hosts and options out.

Spec: chapter "The manualroute router", sections "Routing rules in route_list" to "How the options are used".
"""

from __future__ import annotations

from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import like
from pyexim.match.lists import split_list


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it stands: nothing is expanded, options are not yet understood."""

    pattern: str
    hosts: str
    words: tuple[str, ...]


@dataclass(slots=True)
class RuleOptions:
    """The words after the host list."""

    randomize: bool = False
    lookup: str = "default"
    """default, byname or bydns."""
    ipv4_only: bool = False
    ipv4_prefer: bool = False
    transport: str | None = None


def take_word(text: str) -> tuple[str, str]:
    """Split off the first word, which may be in quotes with escapes: (word, rest)."""
    text = text.lstrip(SPACE)
    if text.startswith('"'):
        out = []
        position = 1
        while position < len(text) and text[position] != '"':
            if text[position] == "\\" and position + 1 < len(text):
                position += 1
                out.append({"n": "\n", "t": "\t", "r": "\r"}.get(text[position], text[position]))
            else:
                out.append(text[position])
            position += 1
        return like("".join(out), text), text[position + 1:].lstrip(SPACE)
    end = 0
    while end < len(text) and text[end] not in SPACE:
        end += 1
    return like(text[:end], text), like(text[end:].lstrip(SPACE), text)


def parse_route_list(text: str) -> list[Rule]:
    """Return the rules of a route_list."""
    items = split_list(text) if text.lstrip(SPACE).startswith("<") else split_list(text, ";")
    rules = []
    for item in items:
        if item:
            pattern, rest = take_word(item)
            rules.append(parse_data(rest, pattern))
    return rules


def parse_data(text: str, pattern: str = "") -> Rule:
    """Return the rule that is the data part alone (route_data)."""
    hosts, rest = take_word(text)
    words = []
    while rest:
        word, rest = take_word(rest)
        words.append(word)
    return Rule(pattern, hosts, tuple(words))


def understand(words: tuple[str, ...], randomize: bool, transports: object) -> RuleOptions | str:
    """Return what the option words mean; where a word means nothing, the words from there on."""
    found = RuleOptions(randomize=randomize)
    for position, word in enumerate(words):
        if word == "randomize":
            found.randomize = True
        elif word == "no_randomize":
            found.randomize = False
        elif word in ("byname", "bydns"):
            found.lookup = word
        elif word == "ipv4_only":
            found.ipv4_only = True
        elif word == "ipv4_prefer":
            found.ipv4_prefer = True
        elif word in transports:  # type: ignore[operator]
            found.transport = word
        else:
            return " ".join(words[position:])
    return found
