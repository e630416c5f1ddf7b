"""Rewriting rules: read from lines of the rewrite section or from a headers_rewrite option, and checked.

Spec: sections "Rewriting rules", "Rewriting patterns", "Rewriting flags" of the chapter "Address
rewriting".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.config.configuration import RuleLine
from pyexim.expand.lists import split_list

HEADERS: Final = frozenset("sftcbr")
"""Sender, From, To, Cc, Bcc, Reply-To."""
ENVELOPE: Final = frozenset("FT")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "v": "\v", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``number`` counts from 1 and appears in the log."""

    number: int
    pattern: str
    replacement: str
    places: frozenset[str]
    smtp: bool = False
    """S: applied to the raw argument of MAIL and RCPT."""
    once: bool = False
    """q: no later rule after this one."""
    repeat: bool = False
    """R: applied again while it matches."""
    whole: bool = False
    """w: the whole item of a header line is replaced, not only the address."""
    qualify: bool = False
    """Q: the result may lack a domain."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in order, and all places that any of them concerns ("S" for SMTP-time rules)."""

    rules: tuple[Rule, ...]
    places: frozenset[str]


def parse_rules(lines: list[RuleLine]) -> RuleSet:
    """Read the rewrite section; ConfigError with Exim's text and the place."""
    return _set([_parse(line.text, number, line.place, True) for number, line in enumerate(lines, 1)])


_options: dict[str, RuleSet] = {}


def parse_option(text: str, place: Place | None = None) -> RuleSet:
    """Read a headers_rewrite option: rules separated by colons, for header lines only; kept per text."""
    found = _options.get(text)
    if found is None:
        items = [item for item in split_list(text) if item]
        found = _set([_parse(item, number, place, False) for number, item in enumerate(items, 1)])
        if len(_options) < 1000:
            _options[text] = found
    return found


def _set(rules: list[Rule]) -> RuleSet:
    places: set[str] = set()
    for rule in rules:
        places |= rule.places
        if rule.smtp:
            places.add("S")
    return RuleSet(tuple(rules), frozenset(places))


def _word(text: str) -> tuple[str, str]:
    """Take one item off the front: up to white space, or a quoted string with escapes; (item, rest)."""
    if not text.startswith('"'):
        for i, c in enumerate(text):
            if c in SPACE:
                return text[:i], text[i:].lstrip(SPACE)
        return text, ""
    out: list[str] = []
    i = 1
    while i < len(text) and text[i] != '"':
        c = text[i]
        i += 1
        if c != "\\" or i >= len(text):
            out.append(c)
            continue
        c = text[i]
        i += 1
        if c in "01234567":
            digits = c
            while len(digits) < 3 and i < len(text) and text[i] in "01234567":
                digits += text[i]
                i += 1
            out.append(chr(int(digits, 8) & 255))
        elif c == "x":
            digits = ""
            while len(digits) < 2 and i < len(text) and text[i] in "0123456789abcdefABCDEF":
                digits += text[i]
                i += 1
            out.append(chr(int(digits or "0", 16)))
        else:
            out.append(_ESCAPES.get(c, c))
    return "".join(out), text[i + 1:].lstrip(SPACE)


def _parse(text: str, number: int, place: Place | None, section: bool) -> Rule:
    pattern, rest = _word(text.strip(SPACE))
    if not rest:
        raise ConfigError("missing rewrite replacement string", place)
    replacement, flags = _word(rest)
    places: set[str] = set()
    switches: set[str] = set()
    allowed = "EFTbcfhrstSQqRw" if section else "bcfhrstQqRw"
    for c in flags:
        if c in SPACE:
            continue
        if not section and c in "EFTS":
            raise ConfigError("rewrite rule specifies a non-header rewrite - not allowed at transport time -", place)
        if c not in allowed:
            raise ConfigError(f"unknown rewrite flag character '{c}' (could be missing quotes round replacement item)",
                              place)
        if c == "S" and not pattern.startswith(("^", "\\N^")):
            raise ConfigError("rewrite rule has the S flag but is not a regular expression", place)
        if c in "SQqRw":
            switches.add(c)
        elif c == "h":
            places |= HEADERS
        elif c == "E":
            places |= ENVELOPE
        else:
            places.add(c)
    if not places and "S" not in switches:
        places |= HEADERS | ENVELOPE if section else HEADERS
    return Rule(number, pattern, replacement, frozenset(places), smtp="S" in switches, once="q" in switches,
                repeat="R" in switches, whole="w" in switches, qualify="Q" in switches)
