"""What all lists have in common: outcomes, compiled lists, named lists, files, lookups, patterns.

An item is compiled to a function of (subject, scope) that returns a Match, or None where it does not
match.  A Match with ``deferred`` ends the list without an answer; one with ``unknown`` says that a host's
name or address could not be found, which the list's own flags judge.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted, like, untaint
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.regex import RegexLimit, compile_or_error
from pyexim.expand.scope import Scope
from pyexim.lookup import api as lookup


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
    """Inside a host list only: what the item needs to know cannot be found; ``error`` says what."""
    reported: bool = False
    """The panic log has the error already: something is wrong with the list, a file or the expansion."""

    def __bool__(self) -> bool:
        return self.found


NOT_FOUND: Final = Match(False)
FOUND: Final = Match(True)
Matcher = Callable[[Any, Scope], "Match | None"]

CACHE_LIMIT: Final = 2000
"""Compiled lists kept for a configuration; expanded lists differ from message to message."""
MAX_DEPTH: Final = 40
"""Named lists inside named lists."""
NUMERIC: Final = tuple(str(i) for i in range(33))
_LOOKUP: Final = lazy_pattern(
    r"((?:net\d*-)?(?:partial\d*(?:\([^)]*\)|-))?[A-Za-z0-9_]+(?:\*@|\*)*(?:,[^;]*)?);", re.ASCII)
_NET: Final = lazy_pattern(r"net\d*-", re.ASCII)
_KIND_WORDS: Final = {"domain": "domain", "localpart": "local part", "address": "address", "host": "host"}


def deferral(error: str) -> Match:
    """Return the outcome of an item that cannot be decided now."""
    return Match(False, None, True, error)


def reported(error: str, scope: Scope) -> Match:
    """Return the deferral for something that is wrong with a list, after telling the panic log."""
    scope.services.log.panic(error)
    return Match(False, None, True, error, reported=True)


def failing(error: str) -> Matcher:
    """Compile an item that is wrong: it defers, and the panic log says why."""
    return lambda subject, scope: reported(error, scope)


def set_numeric(scope: Scope, groups: list[str]) -> None:
    """Set $0, $1 ... for what follows, replacing what was there."""
    variables = scope.vars
    for number, text in enumerate(groups[:33]):
        variables[NUMERIC[number]] = text
    number = len(groups)
    while number < 33 and NUMERIC[number] in variables:
        del variables[NUMERIC[number]]
        number += 1


def no_numeric(scope: Scope) -> None:
    """Unset $0, $1 ...: a name was compared, and is another."""
    if "0" in scope.vars:
        set_numeric(scope, [])


def tidy_numeric(kind: str, before: str | None, outcome: Match, scope: Scope) -> None:
    """Leave nothing in $0, $1 ... of what went on inside an address list or a host list, as Exim does.

    ``before`` is $0 as it was.  A match of an address list unsets them.
    """
    if scope.vars.get("0") is not before or (kind == "address" and outcome.found):
        no_numeric(scope)


# -- lists


class CompiledList:
    """A list ready to be matched: (negated, matcher) in order.

    ``costly``: an item asks a file, a database or the DNS.  ``constant``: the same for every message.
    """

    __slots__ = ("_default", "constant", "costly", "items")

    def __init__(self, items: list[tuple[bool, Matcher]], *, costly: bool = False, constant: bool = True) -> None:
        self.items = items
        self.costly = costly
        self.constant = constant
        # A list that ends with a negative item matches what none of its items matches.
        self._default = FOUND if items and items[-1][0] else NOT_FOUND

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
            if negated:
                # a negative line of a file: "not in the list" turned round
                return Match(True, outcome.value)
            return NOT_FOUND
        return self._default

    def match_item(self, subject: Any, scope: Scope) -> Match | None:
        """Match a subject, for a list that refers to this one by name."""
        outcome = self.match(subject, scope)
        return outcome if outcome.found or outcome.deferred else None


Compiler = Callable[["Context", str], CompiledList]


@dataclass(frozen=True, slots=True)
class Context:
    """What the items of a list are compiled under."""

    scope: Scope
    kind: str
    """domain, localpart, address, host or string."""
    caseful: bool = False
    option: str = ""
    """The option or condition, for log texts."""
    depth: int = 0


def cache_of(scope: Scope) -> dict[Any, CompiledList]:
    """Return the compiled lists of the configuration in use."""
    cache: dict[Any, CompiledList] | None = scope.config.compiled.get("lists")
    if cache is None:
        cache = scope.config.compiled["lists"] = {}
    return cache


def expanded_list(source: str, scope: Scope) -> str | Match:
    """Expand the text of a list; the outcome of the match where that fails."""
    try:
        return expand(source, scope)
    except ForcedFail:
        return NOT_FOUND
    except ExpansionError as e:
        return reported(f'failed to expand "{source}" while checking a list: {e.text}', scope)


def compiled_list(source: str, scope: Scope, kind: str, caseful: bool, option: str, compiler: Compiler,
                  expanded: bool = False) -> CompiledList | Match:
    """Return a list ready for matching, expanded first unless it is; or the outcome where that fails."""
    cache = cache_of(scope)
    if not expanded and not is_literal(source):
        text = expanded_list(source, scope)
        if isinstance(text, Match):
            return text
        source = text
    tainted = source.__class__ is not str
    key = kind, source, caseful, tainted
    compiled = cache.get(key)
    if compiled is None:
        compiled = compiler(Context(scope, kind, caseful, option), source)
        if len(cache) >= CACHE_LIMIT:
            for old in list(cache)[:CACHE_LIMIT // 2]:
                del cache[old]
        cache[key] = compiled
    return compiled


def lasting(source: str, general: Callable[[Any, Scope], Match], kind: str, option: str, compiler: Compiler,
            subject_of: Callable[[Any], Any] | None = None, *, caseful: bool = False) -> Callable[[Any, Scope], Match]:
    """Return the test of a list, for a caller that lasts as long as the configuration.

    It does what ``general`` does; but a list with nothing to expand is compiled at the first test, and not even
    looked for at the others.  ``subject_of`` makes the subject of what is to be tested.
    """
    if not is_literal(source):
        return general
    kept: CompiledList | None = None

    def test(tested: Any, scope: Scope) -> Match:
        nonlocal kept
        if scope.services.debug is not None:
            return general(tested, scope)
        if kept is None:
            compiled = compiled_list(source, scope, kind, caseful, option, compiler)
            assert isinstance(compiled, CompiledList)
            kept = compiled
        return kept.match(tested if subject_of is None else subject_of(tested), scope)

    return test


def negation(item: str) -> tuple[bool, str]:
    """Return (whether an item is negative, the item without the mark)."""
    if item[:1] == "!":
        return True, like(item[1:].lstrip(" \t"), item)
    return False, item


# -- named lists


def named_item(name: str, context: Context, compiler: Compiler) -> tuple[Matcher, bool, bool]:
    """Compile a reference to a named list; (matcher, costly, constant)."""
    scope, kind = context.scope, context.kind
    named = scope.config.named_lists.get(kind, {}).get(name)
    if named is None:
        return failing(f'unknown named {_KIND_WORDS[kind]} list "+{name}"'), False, True
    if context.depth >= MAX_DEPTH:
        return failing(f'named {_KIND_WORDS[kind]} list "+{name}" refers to itself'), False, True
    below = Context(scope, kind, context.caseful, context.option, context.depth + 1)
    if is_literal(named.text):
        compiled = compiler(below, named.text)
        matcher: Matcher = compiled.match_item
        costly, constant = compiled.costly, compiled.constant
    else:
        costly, constant = True, named.cached
        text, caseful, option = named.text, context.caseful, context.option

        def matcher(subject: Any, scope: Scope) -> Match | None:
            found = compiled_list(text, scope, kind, caseful, option, compiler)
            if isinstance(found, Match):
                return found if found.deferred else None
            return found.match_item(subject, scope)

    if costly and constant:
        return _remembered(matcher, f"{kind}+{name}{'!' if context.caseful else ''}"), costly, constant
    return matcher, costly, constant


def _remembered(matcher: Matcher, key: str) -> Matcher:
    """Keep the results of a named list while one message is at work (spec: "Named list caching")."""
    def match(subject: Any, scope: Scope) -> Match | None:
        owner = scope.message, scope.conn
        kept = scope.facts.get("lists")
        if kept is None or kept[0][0] is not owner[0] or kept[0][1] is not owner[1]:
            kept = scope.facts["lists"] = owner, {}
        results: dict[Any, Match | None] = kept[1]
        index = key, getattr(subject, "cache_key", subject)
        if index in results:
            return results[index]
        outcome = matcher(subject, scope)
        if outcome is None or not outcome.deferred:
            results[index] = outcome
        return outcome

    return match


# -- files


Liner = Callable[[str], Matcher]
_SPACED_COMMENT: Final = lazy_pattern(r"(?:^|(?<=[ \t]))#")


def file_item(path: str, item_of: Liner, *, spaced_comments: bool, is_plain: Callable[[str], bool],
              table: Callable[[list[str]], Matcher]) -> Matcher:
    """Compile a file of items, read again whenever it has changed.

    ``spaced_comments``: a "#" begins a comment only at the start of a line or after white space.  Plain lines that
    follow each other become one ``table``.
    """
    if is_tainted(path):
        return failing(f"Tainted filename '{untaint(path)}'")
    name = path.encode("latin-1")
    identity: tuple[int, ...] = ()
    lines: list[tuple[bool, Matcher, Match | None]] = []

    def match(subject: Any, scope: Scope) -> Match | None:
        nonlocal identity, lines
        try:
            st = os.stat(name)
            now = st.st_dev, st.st_ino, st.st_mtime_ns, st.st_size
            if now != identity:
                lines = []
                marked = map(negation, read_lines(name, spaced_comments=spaced_comments))
                for (plain, negated), group in groupby(marked, key=lambda line: (is_plain(line[1]), line[0])):
                    if plain:
                        lines.append((negated, table([line for _, line in group]), None))
                    else:
                        lines += [(negated, item_of(line), Match(True, line)) for _, line in group]
                identity = now
        except OSError as e:
            return reported(f'failed to open {path} when checking "{path}": {e.strerror}', scope)
        for negated, matcher, as_line in lines:
            outcome = matcher(subject, scope)
            if outcome is None:
                continue
            if outcome.deferred or outcome.unknown:
                return outcome
            value = outcome if outcome.value is not None or as_line is None else as_line
            return Match(False, value.value) if negated else value
        return None

    return match


def read_lines(path: bytes, *, spaced_comments: bool) -> list[str]:
    """Return the items in a file that a list names; OSError where it cannot be read."""
    with open(path, "rb") as f:
        text = f.read().decode("latin-1")
    out = []
    for line in text.split("\n"):
        if "#" in line:
            if spaced_comments:
                line = _SPACED_COMMENT.split(line, maxsplit=1)[0]
            else:
                line = line.partition("#")[0]
        line = line.strip(" \t\r\f\v")
        if line:
            out.append(line)
    return out


# -- lookups


def split_lookup(item: str) -> tuple[str, str] | None:
    """Return (lookup type with prefix and options, file or query) of a lookup item, or None."""
    m = _LOOKUP.match(item)
    return (m[1], like(item[m.end():].lstrip(" \t"), item)) if m is not None else None


def without_net(lookup_type: str) -> str:
    """Return a lookup type without its "net-" prefix."""
    return _NET.sub("", lookup_type, count=1)


def is_query_style(lookup_type: str) -> bool:
    """Tell whether a lookup type takes a query rather than a key and a file."""
    return lookup.is_query_style(without_net(lookup_type))


def lookup_item(lookup_type: str, rest: str, key: Callable[[Any], str]) -> Matcher:
    """Compile a lookup: the key of the subject in a file, or a query.

    $0 is the key; a partial match or a default sets $1 and $2.
    """
    plain_type = without_net(lookup_type)
    query = is_query_style(lookup_type)
    wrong = lookup.check_type(plain_type, not query)
    if wrong is not None:
        return failing(wrong)
    find = lookup.find

    def match(subject: Any, scope: Scope) -> Match | None:
        wanted = rest if query else key(subject)
        if not wanted:
            return None
        result = find(plain_type, wanted, None if query else rest, scope)
        if result.found:
            if not query and result.wild is not None:
                set_numeric(scope, [wanted, like(result.wild, wanted), like(result.fixed, wanted)])
            else:
                set_numeric(scope, [like(lower(subject), subject) if query else wanted]
                            if isinstance(subject, str) else [])
            return Match(True, untaint(result.value))
        no_numeric(scope)
        return lookup_deferral(result, scope) if result.deferred else None

    return match


def lookup_deferral(result: lookup.LookupResult, scope: Scope) -> Match:
    """Return the outcome of an item whose lookup has no answer; the panic log is told of a file that cannot be used."""
    return reported(result.error, scope) if result.at_open else deferral(result.error)


# -- patterns


def plain_name(pattern: str, *, caseful: bool = False) -> Matcher:
    """Compile a name: equal, or with a leading asterisk equal at the end."""
    value = Match(True, pattern)
    wanted = untaint(pattern) if caseful else lower(untaint(pattern))
    if pattern[:1] == "*":
        tail = wanted[1:]

        def ends(subject: Any, scope: Scope) -> Match | None:
            name = subject if caseful else lower(subject)
            if not name.endswith(tail):
                no_numeric(scope)
                return None
            set_numeric(scope, [like(name, subject), like(name[:len(name) - len(tail)], subject)])
            return value

        return ends

    def equal(subject: Any, scope: Scope) -> Match | None:
        name = subject if caseful else lower(subject)
        if name != wanted:
            no_numeric(scope)
            return None
        set_numeric(scope, [like(name, subject)])
        return value

    return equal


def name_table(patterns: list[str], *, caseful: bool = False) -> Matcher:
    """Compile plain names, also with leading asterisks, to looks into tables; the first that matches counts."""
    if len(patterns) == 1:
        return plain_name(patterns[0], caseful=caseful)
    whole: dict[str, tuple[int, Match]] = {}
    tails: dict[str, tuple[int, Match]] = {}
    for number, pattern in enumerate(patterns):
        text = untaint(pattern) if caseful else lower(untaint(pattern))
        names = tails if text[:1] == "*" else whole
        names.setdefault(text.removeprefix("*"), (number, Match(True, pattern)))
    lengths = sorted({len(tail) for tail in tails})

    def match(subject: Any, scope: Scope) -> Match | None:
        name = subject if caseful else lower(subject)
        best, wild = whole.get(name), -1
        for length in lengths:
            if length > len(name):
                break
            found = tails.get(name[len(name) - length:])
            if found is not None and (best is None or found[0] < best[0]):
                best, wild = found, length
        if best is None:
            no_numeric(scope)
            return None
        set_numeric(scope, [like(name, subject), *([like(name[:len(name) - wild], subject)] if wild >= 0 else [])])
        return best[1]

    return match


def regex_item(pattern: str, *, caseful: bool = False, subjects: Callable[[Any], str] | None = None,
               valued: bool = True) -> Matcher:
    """Compile a regular expression; a wrong one defers with PCRE's complaint.

    ``valued``: the pattern is the value of a match; ``subjects`` takes the text out of the subject.
    """
    regex = compile_or_error(untaint(pattern), not caseful)
    if isinstance(regex, str):
        return failing(regex)
    value = Match(True, pattern) if valued else FOUND

    def match(subject: Any, scope: Scope) -> Match | None:
        try:
            text = subjects(subject) if subjects else subject
            groups = regex.search(text)
        except RegexLimit as e:
            scope.services.log.panic(f"the pattern {pattern} takes too long: {e}")
            return None
        if groups is None:
            no_numeric(scope)
            return None
        set_numeric(scope, [text, *groups[1:]])  # $0 is the whole text, not only what the pattern fits
        return value

    return match
