"""The conditions of ${if: comparisons, combinations, tests of strings, files and lists.

Spec: chapter "String expansions", sections 7 and 8.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionDefer, ExpansionError
from pyexim.base.octets import SPACE, is_digits, lower, to_bytes
from pyexim.expand import table
from pyexim.expand.base import Fault, Part, Test, as_callable, restore_var, set_numeric
from pyexim.expand.lists import split_list
from pyexim.expand.numbers import integer
from pyexim.expand.parser import Parser
from pyexim.expand.regex import Regex, RegexLimit, compile_or_error
from pyexim.expand.scope import Scope

# -- comparisons of strings


def parse_eq(parser: Parser, name: str) -> Test:
    """eq: by far the most frequent condition, therefore without a call in between."""
    first = parser.argument('missing { after "eq"')
    second = parser.argument('missing 2nd string in {} after "eq"')
    if isinstance(second, str):
        text, value = second, as_callable(first)
        return lambda scope: value(scope) == text
    left, right = as_callable(first), second
    return lambda scope: left(scope) == right(scope)


def eqi(scope: Scope, a: str, b: str) -> bool:
    """Equal but for the case of ASCII letters."""
    return lower(a) == lower(b)


def lt(scope: Scope, a: str, b: str) -> bool:
    return a < b


def lti(scope: Scope, a: str, b: str) -> bool:
    return lower(a) < lower(b)


def le(scope: Scope, a: str, b: str) -> bool:
    return a <= b


def lei(scope: Scope, a: str, b: str) -> bool:
    return lower(a) <= lower(b)


def gt(scope: Scope, a: str, b: str) -> bool:
    return a > b


def gti(scope: Scope, a: str, b: str) -> bool:
    return lower(a) > lower(b)


def ge(scope: Scope, a: str, b: str) -> bool:
    return a >= b


def gei(scope: Scope, a: str, b: str) -> bool:
    return lower(a) >= lower(b)


# -- comparisons of numbers


def number_equal(scope: Scope, a: str, b: str) -> bool:
    return integer(a) == integer(b)


def number_less(scope: Scope, a: str, b: str) -> bool:
    return integer(a) < integer(b)


def number_less_equal(scope: Scope, a: str, b: str) -> bool:
    return integer(a) <= integer(b)


def number_greater(scope: Scope, a: str, b: str) -> bool:
    return integer(a) > integer(b)


def number_greater_equal(scope: Scope, a: str, b: str) -> bool:
    return integer(a) >= integer(b)


def bool_(scope: Scope, text: str) -> bool:
    """The strict boolean: words, or an integer."""
    word = text.strip(SPACE)
    if not word:
        return False
    digits = word[1:] if word[0] == "-" else word
    if is_digits(digits):
        return digits.strip("0") != ""
    known = _BOOL.get(lower(word))
    if known is None:
        raise ExpansionError(f'unrecognised boolean value "{word}"')
    return known


_BOOL: Final = {"true": True, "yes": True, "false": False, "no": False}


def bool_lax(scope: Scope, text: str) -> bool:
    """The boolean of the routers' condition option: everything is true but "", "0", "no", "false"."""
    return lower(text.strip(SPACE)) not in ("", "0", "no", "false")


# -- combinations


def _inside(test: Test, note: str) -> Test:
    """Add to the errors of a condition where it stands."""
    def noted(scope: Scope) -> bool:
        try:
            return test(scope)
        except ExpansionError as e:
            e.text = e.text + note
            e.args = (e.text,)
            raise

    return noted


def parse_and_or(parser: Parser, name: str) -> Test:
    """and{{condition}{condition}...}, or{...}."""
    note = f' inside "{name}{{...}}" condition'
    parser.space()
    if not parser.accept("{"):
        raise Fault(f'missing {{ after "{name}"')
    tests: list[Test] = []
    while True:
        parser.space()
        if parser.accept("}"):
            break
        if not parser.accept("{"):
            raise Fault(f'each subcondition inside an "{name}{{...}}" condition must be in its own {{}}')
        parser.depth += 1
        parser.max_depth = max(parser.max_depth, parser.depth)
        try:
            test = parser.condition()
        except Fault as fault:
            raise Fault(fault.text + note) from None
        parser.depth -= 1
        parser.space()
        if not parser.accept("}"):
            raise Fault(f'missing }} at end of condition inside "{name}" group')
        tests.append(_inside(test, note))
    return _all(tests) if name == "and" else _any(tests)


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda scope: one(scope) and two(scope)
    conditions = tuple(tests)

    def every(scope: Scope) -> bool:
        for test in conditions:  # noqa: SIM110 - a generator would put a C frame between nested conditions
            if not test(scope):
                return False
        return True

    return every


def _any(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda scope: one(scope) or two(scope)
    conditions = tuple(tests)

    def some(scope: Scope) -> bool:
        for test in conditions:  # noqa: SIM110 - as above
            if test(scope):
                return True
        return False

    return some


def parse_for(parser: Parser, name: str) -> Test:
    """forany{list}{condition}, forall and their JSON forms."""
    note = f' inside "{name}" condition'
    missing = f'missing {{ after "{name}"'
    items = as_callable(parser.argument(missing))
    parser.space()
    if not parser.accept("{"):
        raise Fault(missing)
    try:
        test = _inside(parser.condition(), note)
    except Fault as fault:
        raise Fault(fault.text + note) from None
    if parser.trace is not None:
        parser.trace.repeat(name)
    parser.close(f'missing }} at end of condition inside "{name}"')
    wanted = name.startswith("forany")
    split = _json_items(name) if "json" in name else split_list

    def loop(scope: Scope) -> bool:
        saved = scope.vars.get("item")
        result = False  # for an empty list, with forall too
        try:
            for item in split(items(scope)):
                scope.vars["item"] = item
                result = test(scope)
                if result is wanted:
                    break
        finally:
            restore_var(scope, "item", saved)
        return result

    return loop


def _json_items(name: str) -> Callable[[str], list[str]]:
    which = "strings" if name.endswith("jsons") else "array_items"
    return table.load("pyexim.expand.items_json:" + which)  # type: ignore[no-any-return]


# -- tests of one thing


def parse_def(parser: Parser, name: str) -> Test:
    """def:variable, def:h_header:."""
    if not parser.accept(":"):
        raise Fault('":" expected after "def"')
    word = parser.name()
    style, bar, _ = word.partition("_")
    if bar and style in ("h", "rh", "bh", "lh", "header", "rheader", "bheader", "lheader"):
        parser.pos -= len(word) - len(style) - 1
        header = parser.header_name().lower()
        if parser.malformed_header and parser.peek() in ("", "}") and "}" in header:
            raise Fault("missing or misplaced { or } - could be header name not terminated by colon")
        exists: Callable[[Scope, str], bool] = table.load("pyexim.expand.headers:exists")
        return lambda scope: exists(scope, header)
    if not word:
        raise Fault('variable name omitted after "def:"')
    getter: Part = parser.variable(word, 'unknown variable "%s" after "def:"')
    value = as_callable(getter)
    return lambda scope: value(scope) != ""


def exists(scope: Scope, path: str) -> bool:
    """Is there a file of this name?"""
    if "exists" in scope.expand_forbidden:
        raise ExpansionError(table.FORBIDDEN["exists"])
    try:
        os.stat(to_bytes(path))
    except (OSError, ValueError):
        return False
    return True


def isip(scope: Scope, text: str) -> bool:
    """Is it an IP address of either version?"""
    return _ip_version(text) != 0


def isip4(scope: Scope, text: str) -> bool:
    return _ip_version(text) == 4


def isip6(scope: Scope, text: str) -> bool:
    return _ip_version(text) == 6


def _ip_version(text: str) -> int:
    find: Callable[[str], int] = table.load("pyexim.expand.operators_ip:version")
    return find(text)


def parse_first_delivery(parser: Parser, name: str) -> Test:
    """first_delivery: is this the first attempt to deliver the message?"""
    def first(scope: Scope) -> bool:
        message = scope.message
        return message is not None and (message.first_delivery or message.deliver_firsttime)

    return first


def parse_queue_running(parser: Parser, name: str) -> Test:
    """queue_running: does a queue runner make this delivery?"""
    return lambda scope: bool(scope.facts.get("queue_running"))


def parse_absent(parser: Parser, name: str) -> Test:
    """A condition that asks a foreign service this program has no library for."""
    parser.argument(f'missing {{ after "{name}"')

    def absent(scope: Scope) -> bool:
        raise ExpansionError(f'support for "{name}" not compiled')

    return absent


def bracketed(parser: Parser) -> list[Part]:
    """Read {{string}{string}...}."""
    parser.space()
    if not parser.accept("{"):
        return []
    out = []
    while True:
        parser.space()
        if not parser.accept("{"):
            break
        out.append(parser.nested())
    if not parser.accept("}"):
        return []
    return out


def parse_acl(parser: Parser, name: str) -> Test:
    """acl{{name}{argument}...}: the ACL's answer; its message becomes $value."""
    parser.effects.add("value")
    parts = bracketed(parser)
    if not 1 <= len(parts) <= 10:
        raise Fault("too few arguments or bracketing error for acl" if len(parts) < 1
                    else "too many arguments or bracketing error for acl")
    calls = [as_callable(p) for p in parts]

    def test(scope: Scope) -> bool:
        call: Callable[[Scope, list[str]], tuple[str, str]] = table.load("pyexim.expand.items_calls:call_acl")
        status, message = call(scope, [c(scope) for c in calls])
        if status == "defer":
            from pyexim.base.errors import ForcedFail

            raise ForcedFail(f'DEFER from acl "{calls[0](scope)}"')
        scope.vars["value"] = message
        return status == "ok"

    return test


# -- regular expressions


def parse_match(parser: Parser, name: str) -> Test:
    """match{subject}{regular expression}; sets $0, $1... when it succeeds."""
    parser.effects.add("numeric")
    subject = as_callable(parser.argument('missing { after "match"'))
    pattern = parser.argument('missing 2nd string in {} after "match"')
    if isinstance(pattern, str):
        return _constant_match(subject, pattern)
    right = pattern

    def match(scope: Scope) -> bool:
        text = subject(scope)
        return _search(scope, compiled_regex(right(scope)), text)

    return match


def _constant_match(subject: Callable[[Scope], str], pattern: str) -> Test:
    regex: Regex | None = None

    def match(scope: Scope) -> bool:
        nonlocal regex
        text = subject(scope)
        if regex is None:
            regex = compiled_regex(pattern)
        return _search(scope, regex, text)

    return match


def compiled_regex(pattern: str) -> Regex:
    """Compile a regular expression of an expansion; ExpansionError with Exim's text."""
    regex = compile_or_error(pattern)
    if isinstance(regex, str):
        raise ExpansionError(regex)
    return regex


def _search(scope: Scope, regex: Regex, text: str) -> bool:
    try:
        groups = regex.search(text)
    except RegexLimit:
        return False
    if groups is None:
        return False
    set_numeric(scope, groups)
    return True


# -- lists


def inlist(scope: Scope, subject: str, source: str) -> bool:
    """Is the subject an item of the list?  $value is the item, as tainted as the list."""
    for item in split_list(source):
        if item == subject and item:
            scope.vars["value"] = item
            return True
    return False


def inlisti(scope: Scope, subject: str, source: str) -> bool:
    """As inlist, without regard to case."""
    wanted = lower(subject)
    for item in split_list(source):
        if item and lower(item) == wanted:
            scope.vars["value"] = item
            return True
    return False


def _literal(source: str) -> str:
    """Return the text whose expansion is the given one: the list functions expand what they are given."""
    if "$" in source or "\\" in source:
        return source.replace("\\", "\\\\").replace("$", "\\$")
    return source


def _matched(scope: Scope, found: Any, source: str) -> bool:
    if found.deferred:
        raise ExpansionDefer(f'unable to complete match against "{source}": {found.error}')
    if found.found:
        scope.vars["value"] = found.value if found.value is not None else ""
    return bool(found.found)


def match_domain(scope: Scope, subject: str, source: str) -> bool:
    return _matched(scope, table.service("match_domain")(subject, _literal(source), scope), source)


def match_address(scope: Scope, subject: str, source: str) -> bool:
    return _matched(scope, table.service("match_address")(subject, _literal(source), scope), source)


def match_local_part(scope: Scope, subject: str, source: str) -> bool:
    return _matched(scope, table.service("match_local_part")(subject, _literal(source), scope), source)


def match_ip(scope: Scope, subject: str, source: str) -> bool:
    """Match an IP address (or nothing) against a list of addresses; names are never looked up."""
    if not subject:
        return "" in split_list(source)
    if not _ip_version(subject):
        raise ExpansionError(f'"{subject}" is not an IP address')
    found = table.service("match_host_address")("", subject, _literal(source), scope, name="match_ip")
    if found.deferred:
        raise ExpansionDefer(f'unable to complete match against "{source}": {found.error}')
    if found.found and found.value is not None:
        scope.vars["value"] = found.value  # what a lookup in the list found; other items leave $value as it is
    return bool(found.found)
