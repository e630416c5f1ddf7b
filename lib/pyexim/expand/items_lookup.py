"""Items that find something and then use it as $value: extract, lookup, env.

Spec: chapter "String expansions", section 5; the lookups themselves are of the room ``lookup``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import ExpansionDefer, ExpansionError
from pyexim.base.octets import SPACE, is_digits, lower, printable
from pyexim.base.taint import like
from pyexim.expand import table
from pyexim.expand.base import (
    Fault,
    Part,
    as_callable,
    restore_numeric,
    save_numeric,
    set_numeric,
)
from pyexim.expand.items_lists import value_part, with_value
from pyexim.expand.parser import Parser, choose
from pyexim.expand.scope import Scope

# -- extract


def parse_extract(parser: Parser, name: str) -> Part:
    """${extract{key}{data}...}, ${extract{number}{separators}{data}...}, ${extract json{...}{data}...}."""
    parser.space()
    for keyword in ("jsons", "json"):
        if parser.src.startswith(keyword, parser.pos):
            parser.pos += len(keyword)
            return _parse_json(parser, name, keyword == "jsons")
    key = parser.argument("missing '{' for arg 1 of extract")
    word: str | None = key if isinstance(key, str) else getattr(key, "literal", None)
    numeric = None if word is None else _is_number(word)
    second = parser.argument("missing '{' for arg 2 of extract")
    parser.space()
    if numeric is None:
        return _parse_dynamic(parser, name, key, second)
    if numeric:
        third = as_callable(parser.argument("missing '{' for arg 3 of extract"))
        yes, no = choose(name, parser.choice(name), value_part)
        separators = as_callable(_after(key, second))
        number = int((word or "0").strip(SPACE)[:12])

        def by_number(scope: Scope) -> str:
            chars = separators(scope)
            return with_value(scope, field_by_number(third(scope), number, chars), yes, no)

        return by_number
    yes, no = choose(name, parser.choice(name), value_part)
    data = as_callable(_after(key, second))
    name_wanted = (word or "").strip(SPACE)
    if not name_wanted:
        def empty(scope: Scope) -> str:
            raise ExpansionError('first argument of "extract" must not be empty')

        return empty
    return lambda scope: with_value(scope, field_by_key(data(scope), name_wanted), yes, no)


def _after(first: Part, second: Part) -> Part:
    """Return the second part; the first one is evaluated before where that leaves a trace."""
    if isinstance(first, str):
        return second
    before, value = first, as_callable(second)

    def both(scope: Scope) -> str:
        before(scope)
        return value(scope)

    return both


def _is_number(key: str) -> bool:
    word = key.strip(SPACE)
    return is_digits(word.removeprefix("-"))


def _parse_dynamic(parser: Parser, name: str, key: Part, second: Part) -> Part:
    """The key is known only on evaluation, and with it which string is which; each is read once."""
    parts: list[Part] = []
    places = []
    fail = False
    while True:
        parser.space()
        places.append(parser.pos)
        if parser.accept("}"):
            break
        if len(parts) < 3 and parser.accept("{"):
            parts.append(parser.nested())
        elif parser.name() == "fail":
            fail = True
            parser.space()
            if not parser.accept("}"):
                raise parser.curly("did not close with '}'")
            break
        elif len(parts) == 3:
            raise parser.curly("did not close with '}'")
        else:
            raise Fault('syntax error in "extract" item - "fail" expected')
    named: tuple[Part, Part] | Fault
    numbered: tuple[Part, Part, Part] | Fault
    named = _assign(parser, name, parts, fail, places)
    if parts:
        rest = _assign(parser, name, parts[1:], fail, places[1:])
        numbered = rest if isinstance(rest, Fault) else (parts[0], *rest)
    else:
        numbered = Fault("missing '{' for arg 3 of extract")
    return _dynamic(as_callable(key), as_callable(second), named, numbered)


def _assign(parser: Parser, name: str, parts: list[Part], fail: bool, places: list[int]) -> tuple[Part, Part] | Fault:
    """Return the yes and no strings when these are all that follow the data, or the mistake in that."""
    if len(parts) > 2 or (fail and len(parts) == 2):
        return parser.curly("did not close with '}'", places[2])
    if fail and not parts:
        return parser.curly("'yes' part did not start with '{'", places[0])
    yes = parts[0] if parts else None
    return choose(name, (yes, parts[1] if len(parts) > 1 else None, fail), value_part)


def _dynamic(key: Callable[[Scope], str], second: Callable[[Scope], str], named: tuple[Part, Part] | Fault,
             numbered: tuple[Part, Part, Part] | Fault) -> Part:
    def run(scope: Scope) -> str:
        word = key(scope).strip(SPACE)
        middle = second(scope)
        if _is_number(word):
            if isinstance(numbered, Fault):
                raise ExpansionError(numbered.text)
            data, yes, no = numbered
            return with_value(scope, field_by_number(as_callable(data)(scope), int(word[:12]), middle), yes, no)
        if isinstance(named, Fault):
            raise ExpansionError(named.text)
        if not word:
            raise ExpansionError('first argument of "extract" must not be empty')
        return with_value(scope, field_by_key(middle, word), *named)

    return run


def field_by_number(data: str, number: int, separators: str) -> str | None:
    """Return a field, counted from 1 or from the end by -1; 0 is everything."""
    if number == 0:
        return data
    if not separators:
        fields = [data]
    elif len(separators) == 1:
        fields = data.split(separators)
    else:
        fields = re.split("[" + re.escape("".join(dict.fromkeys(separators))) + "]", data)
    if abs(number) > len(fields):
        return None
    return like(fields[number - 1 if number > 0 else number], data)


_KEY_END: Final = frozenset(SPACE + "=")


def field_by_key(data: str, key: str) -> str | None:
    """Return the value of a key in "key=value key = "quoted value" ..."; the case of keys is ignored."""
    wanted = lower(key)
    at, n = 0, len(data)
    while True:
        while at < n and data[at] in SPACE:
            at += 1
        if at >= n:
            return None
        start = at
        while at < n and data[at] not in _KEY_END:
            at += 1
        name = data[start:at]
        while at < n and data[at] in SPACE:
            at += 1
        if at < n and data[at] == "=":
            at += 1
            while at < n and data[at] in SPACE:
                at += 1
        value, at = dequote(data, at)
        if lower(name) == wanted:
            return like(value, data)


_QUOTED_END: Final = re.compile(r'["\\]')
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}


def dequote(data: str, at: int) -> tuple[str, int]:
    """Read a word, or a string in double quotes with its escapes; (value, where it ends)."""
    n = len(data)
    if at >= n or data[at] != '"':
        start = at
        while at < n and data[at] not in SPACE:
            at += 1
        return data[start:at], at
    at += 1
    out: list[str] = []
    while True:
        found = _QUOTED_END.search(data, at)
        if found is None:
            out.append(data[at:])
            return "".join(out), n
        out.append(data[at:found.start()])
        at = found.end()
        if found[0] == '"':
            return "".join(out), at
        text, at = _escape(data, at)
        out.append(text)


_CODES: Final = re.compile(r"([0-7]{1,3})|x([0-9A-Fa-f]{0,2})")


def _escape(data: str, at: int) -> tuple[str, int]:
    """Read what follows a backslash."""
    if at >= len(data):
        return "\\", at
    found = _CODES.match(data, at)
    if found is None:
        return _ESCAPES.get(data[at], data[at]), at + 1
    code = int(found[1], 8) if found[1] else int(found[2] or "0", 16)
    return chr(code & 0xFF), found.end()


def _parse_json(parser: Parser, name: str, strings: bool) -> Part:
    key = as_callable(parser.argument("missing '{' for arg 1 of extract"))
    data = as_callable(parser.argument("missing '{' for arg 2 of extract"))
    yes, no = choose(name, parser.choice(name), value_part)
    extract: Callable[[str, str, bool], str | None] = table.load("pyexim.expand.items_json:extract")
    return lambda scope: with_value(scope, extract(key(scope), data(scope), strings), yes, no)


# -- env


def parse_env(parser: Parser, name: str) -> Part:
    """${env{key}{yes}{no}}: a variable of the environment."""
    key = as_callable(parser.argument("missing '{' for arg 1 of env"))
    yes, no = choose(name, parser.choice(name), value_part)

    def run(scope: Scope) -> str:
        word = key(scope)
        found = os.environb.get(word.encode("latin-1")) if word and "\0" not in word else None
        return with_value(scope, None if found is None else found.decode("latin-1"), yes, no)

    return run


# -- lookup

_TYPE: Final = re.compile(r"[^{ \t\n\v\f\r]*")


def parse_lookup(parser: Parser, name: str) -> Part:
    """${lookup{key}type{file}{yes}{no}}, ${lookup type{query}{yes}{no}}."""
    parser.space()
    key: Part | None = None
    if parser.accept("{"):
        key = parser.nested()
        parser.space()
    found = _TYPE.match(parser.src, parser.pos)
    spec = found[0] if found else ""
    if not spec[:1].isalpha() or not spec.isascii():
        raise Fault("missing lookup type")
    parser.pos += len(spec)
    parser.space()
    check: Callable[[str, bool], str | None] = table.service("lookup_check")
    wrong = check(spec, key is not None)
    if wrong is not None:
        raise Fault(wrong)
    argument = as_callable(parser.argument("missing '{' for lookup file-or-query arg"))
    yes, no = choose(name, parser.choice(name), value_part)
    call = table.service("lookup")
    single = as_callable(key) if key is not None else None

    def run(scope: Scope) -> str:
        if scope.expand_forbidden and "lookup" in scope.expand_forbidden:
            raise ExpansionError(table.FORBIDDEN["lookup"])
        if single is not None:
            wanted = single(scope)
            file: str | None = argument(scope)
        else:
            query = argument(scope)
            wanted = like(query.lstrip(SPACE), query)
            file = None
        saved = save_numeric(scope)
        try:
            result = call(spec, wanted, file, scope)
            if result.deferred:
                if result.at_open:
                    raise ExpansionError(result.error)  # a plain failure in Exim, other than one of the search
                raise ExpansionDefer(f'lookup of "{printable(wanted)}" gave DEFER: {result.error}')
            if result.found and result.wild is not None:
                set_numeric(scope, ["", like(result.wild, wanted), like(result.fixed, wanted)])
            return with_value(scope, result.value if result.found else None, yes, no)
        finally:
            restore_numeric(scope, saved)

    return run

