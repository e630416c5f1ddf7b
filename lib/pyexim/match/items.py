"""What the items of a list have in common: outcomes, patterns for names, lookups, compiled lists.

An item is compiled to a function of (subject, scope) that returns a Match, or None where it does not
match.  A Match with ``deferred`` ends the list without an answer; one with ``unknown`` says that a host's
name or address could not be found, which the list's own flags judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyexim.base.octets import lower
from pyexim.base.taint import untaint
from pyexim.expand.regex import RegexLimit, compile_or_error
from pyexim.expand.scope import Scope


@dataclass(frozen=True, slots=True)
class Match:
    """What a list said.

    ``found`` is the answer; with ``deferred`` there is none, and ``error`` says why.  ``value`` is
    the data of the match ($domain_data and so on), None where nothing matched.  It is true in a
    boolean context when found.
    """

    found: bool
    value: str | None = None
    deferred: bool = False
    error: str = ""
    unknown: bool = False
    """Inside a host list only: what the item needs to know cannot be found."""

    def __bool__(self) -> bool:
        return self.found


NOT_FOUND: Final = Match(False)
Matcher = Callable[[Any, Scope], "Match | None"]

_LOOKUP: Final = re.compile(r"((?:net\d*-)?(?:partial\d*(?:\([^)]*\))?-)?[a-z0-9]+(?:\*@?|\*)?(?:,[^;]*)?);", re.ASCII)
QUERY_STYLE: Final = frozenset({"dnsdb", "ibase", "ldap", "ldapdn", "ldapm", "mysql", "nisplus", "oracle", "passwd",
                                "pgsql", "redis", "sqlite", "spf", "whoson", "regdom", "psl"})
NUMERIC: Final = tuple(str(i) for i in range(33))


def deferral(error: str) -> Match:
    """Return the outcome of an item that cannot be decided now."""
    return Match(False, None, True, error)


def set_numeric(scope: Scope, groups: list[str]) -> None:
    """Set $0, $1 ... for what follows, replacing what was there."""
    variables = scope.vars
    for name in NUMERIC:
        if name in variables:
            del variables[name]
    for number, text in enumerate(groups[:33]):
        variables[NUMERIC[number]] = text


def split_lookup(item: str) -> tuple[str, str] | None:
    """Return (lookup type with prefix and options, file or query) of a lookup item, or None."""
    m = _LOOKUP.match(item)
    return (m[1], item[m.end():].lstrip(" \t")) if m is not None else None


def is_query_style(lookup_type: str) -> bool:
    """Tell whether a lookup type takes a query rather than a key and a file."""
    base = lookup_type.partition(",")[0].rstrip("*@")
    return base.rpartition("-")[2] in QUERY_STYLE


def lookup_item(lookup_type: str, rest: str, key: Callable[[Any, Scope], str]) -> Matcher:
    """Compile a lookup: the key of the subject in a file, or a query."""
    from pyexim.lookup.api import find

    query = is_query_style(lookup_type)
    plain_type = re.sub(r"^net\d*-", "", lookup_type)

    def match(subject: Any, scope: Scope) -> Match | None:
        result = find(plain_type, rest if query else key(subject, scope), None if query else rest, scope)
        if result.found:
            return Match(True, untaint(result.value))
        return deferral(result.error) if result.deferred else None

    return match


def plain_name(pattern: str, *, caseful: bool = False) -> Matcher:
    """Compile a name: equal, or with a leading asterisk equal at the end."""
    value = Match(True, pattern)
    wanted = untaint(pattern) if caseful else lower(untaint(pattern))
    if pattern.startswith("*"):
        tail = wanted[1:]

        def ends(subject: Any, scope: Scope) -> Match | None:
            name = subject if caseful else lower(subject)
            if not name.endswith(tail):
                return None
            set_numeric(scope, [subject, subject[:len(subject) - len(tail)]])
            return value

        return ends

    def equal(subject: Any, scope: Scope) -> Match | None:
        return value if subject == wanted or (not caseful and lower(subject) == wanted) else None

    return equal


def regex_item(pattern: str, *, caseful: bool = False, subjects: Callable[[Any], str] | None = None) -> Matcher:
    """Compile a regular expression; a wrong one defers with PCRE's complaint."""
    regex = compile_or_error(untaint(pattern), not caseful)
    if isinstance(regex, str):
        outcome = deferral(regex)
        return lambda subject, scope: outcome
    value = Match(True, pattern)

    def match(subject: Any, scope: Scope) -> Match | None:
        try:
            groups = regex.search(subjects(subject) if subjects else subject)
        except RegexLimit as e:
            scope.services.log.panic(f"the pattern {pattern} takes too long: {e}")
            return None
        if groups is None:
            return None
        set_numeric(scope, groups)
        return value

    return match


class CompiledList:
    """A list ready to be matched: (negated, matcher) in order."""

    __slots__ = ("_default", "items")

    def __init__(self, items: list[tuple[bool, Matcher]]) -> None:
        self.items = items
        # A list that ends with a negative item matches what none of its items matches.
        self._default = Match(True, None) if items and items[-1][0] else NOT_FOUND

    def match(self, subject: Any, scope: Scope) -> Match:
        """Match a subject."""
        for negated, matcher in self.items:
            outcome = matcher(subject, scope)
            if outcome is None:
                continue
            if outcome.found:
                return NOT_FOUND if negated else outcome
            if outcome.deferred or outcome.unknown:
                return outcome
        return self._default


def read_lines(path: str, *, spaced_comments: bool) -> list[str] | str:
    """Return the items in a file that a list names, or a text saying why it cannot be read.

    ``spaced_comments``: a "#" begins a comment only at the start of a line or after white space.
    """
    try:
        with open(path.encode("latin-1"), "rb") as f:
            text = f.read().decode("latin-1")
    except OSError as e:
        return f"failed to open {path} when checking for a list match: {e.strerror}"
    out = []
    for line in text.split("\n"):
        if spaced_comments:
            line = re.split(r"(?:^|(?<=[ \t]))#", line, maxsplit=1)[0]
        else:
            line = line.partition("#")[0]
        line = line.strip(" \t\r\f\v")
        if line:
            out.append(line)
    return out
