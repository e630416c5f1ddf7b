"""The reader of the expansion language: a source string becomes parts, small callables, in one pass.

Spec: chapter "String expansions".  What an item, operator, condition or variable does is found through
:mod:`pyexim.expand.table`; this module knows the syntax they share: literal text and escapes, ``$name``,
``${name}``, ``${operator:...}``, ``${item{...}{...}}``, the "yes and no" strings and conditions.

A wrongly written string is a Fault with Exim's message.  Exim reads and evaluates in one go, so that what
stands before the mistake has been evaluated when it is found; ``compile_source`` keeps that order for
what stands in the outermost string.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE
from pyexim.base.pattern import lazy_pattern
from pyexim.expand import table
from pyexim.expand.base import (
    Evaluate,
    Fault,
    Part,
    Test,
    as_callable,
    evaluate,
    join,
    restore_numeric,
    restore_var,
    save_numeric,
)
from pyexim.expand.scope import Scope

if TYPE_CHECKING:
    from pyexim.expand.trace import Tracer

_OUTER: Final = lazy_pattern(r"[$\\]")
_INNER: Final = lazy_pattern(r"[$\\}]")
_RAW: Final = lazy_pattern(r"[\\}]")
_NAME: Final = lazy_pattern(r"[A-Za-z0-9_]*")
_ITEM_NAME: Final = lazy_pattern(r"[A-Za-z0-9_-]*")
_DIGITS: Final = lazy_pattern(r"[0-9]+")
_HEADER_KIND: Final = lazy_pattern(r"([rbl]?h(?:eader)?)_")
_HEADER_NAME: Final = lazy_pattern(r"[^\x00-\x20\x7f-\xff:]*")
_OCTAL: Final = lazy_pattern(r"[0-7]{1,3}")
_HEX: Final = lazy_pattern(r"[0-9A-Fa-f]{1,2}")
_SYMBOL: Final = lazy_pattern(r"[=<>]=?")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE_TABLE: Final = str.maketrans(_ESCAPES)
_SIMPLE_ESCAPES: Final = lazy_pattern(r"(?:\\[^0-7Nx])+", re.DOTALL)
"""Escapes of one character each that need nothing after it."""

DEEP: Final = 50
"""Nesting from which on the interpreter's limit on frames is lifted while parsing or evaluating."""
MAX_DEPTH: Final = 5000
_FRAMES: Final = 60_000

Choice = tuple[Part | None, Part | None, bool]
"""What follows a condition: the yes part, the no part (None: not given), and whether "fail" stands there."""


@contextmanager
def deep_stack() -> Iterator[None]:
    """Allow deeper recursion: the frames of Python functions live on the heap, not on the C stack."""
    old = sys.getrecursionlimit()
    if old < _FRAMES:
        sys.setrecursionlimit(_FRAMES)
    try:
        yield
    finally:
        sys.setrecursionlimit(old)


class Parser:
    """Reads one source string.

    ``trace`` is told of every piece when the steps are to be shown, or None.  ``effects`` collects what the
    conditions being read may set: "numeric", "value".
    """

    __slots__ = ("depth", "effects", "malformed_header", "max_depth", "n", "pos", "src", "trace")

    def __init__(self, source: str, trace: Tracer | None = None) -> None:
        self.src = source
        self.n = len(source)
        self.pos = 0
        self.depth = 0
        self.max_depth = 0
        self.malformed_header = False
        self.effects: set[str] = set()
        self.trace = trace

    # -- strings

    def whole(self) -> Part:
        """Read the outermost string; a mistake in it is raised when the evaluation comes to it."""
        parts: list[Part] = []
        trace = self.trace
        if trace is not None:
            trace.begin("string", self.pos)
        try:
            self._read(parts, _OUTER)
        except Fault as fault:
            parts.append(_raiser(fault.text))
            if trace is not None:
                del trace.stack[1:]
        part = join(parts)
        return trace.end_string(part, self.n) if trace is not None else part

    def nested(self) -> Part:
        """Read a string up to its closing brace, which is consumed; the opening one has been."""
        self._deeper()
        parts: list[Part] = []
        trace = self.trace
        if trace is not None:
            trace.begin("string", self.pos)
        self._read(parts, _INNER)
        if self.pos >= self.n:
            raise Fault("missing } at end of string" + self._header_note())
        self.pos += 1
        self.depth -= 1
        part = join(parts)
        return trace.end_string(part, self.pos - 1) if trace is not None else part

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > self.max_depth:
            self.max_depth = self.depth
            if self.depth > MAX_DEPTH:
                raise Fault("expansion is nested too deeply")

    def raw(self) -> str:
        """Read a string in which a dollar is an ordinary character, up to its closing brace, consumed."""
        parts: list[Part] = []
        self._read(parts, _RAW)
        if self.pos >= self.n:
            raise Fault("missing } at end of string")
        self.pos += 1
        return "".join(p for p in parts if isinstance(p, str))

    def _read(self, parts: list[Part], special: re.Pattern[str]) -> None:
        """Read up to the end of the string, or up to an unconsumed closing brace if that is special."""
        src = self.src
        search = special.search
        trace = self.trace
        while True:
            found = search(src, self.pos)
            at = self.n if found is None else found.start()
            if at > self.pos:
                parts.append(src[self.pos:at])
                if trace is not None:
                    trace.literal(self.pos, at, "text")
            self.pos = at
            if found is None:
                return
            c = src[at]
            if c == "$":
                if trace is not None:
                    trace.begin("item", at)
                part = self._dollar()
                parts.append(part if trace is None else trace.end_item(part, self.pos))
            elif c == "\\":
                parts.append(self._backslash() if trace is not None else self._backslashes())
                if trace is not None:
                    trace.literal(at, self.pos, "protected" if src.startswith("\\N", at) else "backslashed")
            else:
                return

    def _backslashes(self) -> str:
        """Read a run of simple escapes at once, or one that is not simple."""
        found = _SIMPLE_ESCAPES.match(self.src, self.pos)
        if found is None:
            return self._backslash()
        self.pos = found.end()
        return found[0][1::2].translate(_ESCAPE_TABLE)

    def _backslash(self) -> str:
        self.pos += 1
        if self.pos >= self.n:
            raise Fault("\\ at end of string")
        c = self.src[self.pos]
        if c == "N":
            end = self.src.find("\\N", self.pos + 1)
            text = self.src[self.pos + 1:end if end >= 0 else self.n]
            self.pos = end + 2 if end >= 0 else self.n
            return text
        if c in "01234567":
            found = _OCTAL.match(self.src, self.pos)
            assert found is not None
            self.pos = found.end()
            return chr(int(found[0], 8) & 0xFF)
        self.pos += 1
        if c == "x":
            found = _HEX.match(self.src, self.pos)
            if found is None:
                return "\0"
            self.pos = found.end()
            return chr(int(found[0], 16))
        return _ESCAPES.get(c, c)

    def _dollar(self) -> Part:
        self.pos += 1
        c = self.src[self.pos] if self.pos < self.n else ""
        if c == "{":
            self.pos += 1
            return self._braced()
        found = _HEADER_KIND.match(self.src, self.pos)
        if found is not None:
            self.pos = found.end()
            return self.header(found[1])
        if c.isascii() and c.isalpha():
            name = self.name()
            return self.variable(name, 'unknown variable name "%s"')
        if c.isascii() and c.isdigit():
            found = _DIGITS.match(self.src, self.pos)
            assert found is not None
            self.pos = found.end()
            return _numeric(found[0])
        raise Fault("$ not followed by letter, digit, or {")

    def _braced(self) -> Part:
        src = self.src
        c = src[self.pos] if self.pos < self.n else ""
        if c.isascii() and c.isdigit():
            found = _DIGITS.match(src, self.pos)
            assert found is not None
            self.pos = found.end()
            if not src.startswith("}", self.pos):
                raise Fault("} expected after number")
            self.pos += 1
            return _numeric(found[0])
        if not (c.isascii() and c.isalpha()):
            raise Fault("letter or digit expected after ${")
        found = _ITEM_NAME.match(src, self.pos)
        assert found is not None
        name = found[0]
        self.pos = found.end()
        item = table.ITEMS.get(name)
        if item is not None:
            return self._item(name, item)
        c = src[self.pos] if self.pos < self.n else ""
        if c == ":":
            return self._operator(name)
        if c == "}":
            self.pos += 1
            return self.variable(name, 'unknown variable in "${%s}"')
        raise Fault(f'"${{{name}" is not a known operator (or a }} is missing in a variable reference)')

    def name(self) -> str:
        """Read letters, digits and underscores; maybe none."""
        found = _NAME.match(self.src, self.pos)
        assert found is not None
        self.pos = found.end()
        return found[0]

    def space(self) -> None:
        """Skip white space."""
        src, n, pos = self.src, self.n, self.pos
        while pos < n and src[pos] in SPACE:
            pos += 1
        self.pos = pos

    def accept(self, c: str) -> bool:
        """Consume one character if it is the next."""
        if self.src.startswith(c, self.pos):
            self.pos += 1
            return True
        return False

    def peek(self) -> str:
        """Return the next character, "" at the end."""
        return self.src[self.pos] if self.pos < self.n else ""

    # -- variables and headers

    def variable(self, name: str, message: str) -> Part:
        """Return the part for a variable; ``message`` is the text for an unknown one, with %s for the name."""
        variables = table.load("pyexim.expand.variables:find")
        getter, note = variables(name)
        if getter is None:
            raise Fault(message % name + note)
        return getter  # type: ignore[no-any-return]

    def header_name(self) -> str:
        """Read a header's name and the colon that ends it, if it is there."""
        found = _HEADER_NAME.match(self.src, self.pos)
        assert found is not None
        self.pos = found.end()
        if self.src.startswith(":", self.pos):
            self.pos += 1
        else:
            self.malformed_header = True
        return found[0]

    def header(self, kind: str) -> Part:
        """Read the rest of $h_name: and its relatives."""
        name = self.header_name().lower()
        insert: Callable[[Scope, str, str], str] = table.load("pyexim.expand.headers:insert")
        style = kind[0] if kind[0] != "h" else ""
        return lambda scope: insert(scope, name, style)

    def _header_note(self) -> str:
        return " - could be header name not terminated by colon" if self.malformed_header else ""

    # -- operators and items

    def _operator(self, name: str) -> Part:
        row = table.OPERATORS.get(name)
        argument: str | None = None
        if row is None:
            base, bar, argument = name.partition("_")
            row = table.OPERATORS.get(base) if bar else None
            if row is None:
                raise Fault(f'unknown expansion operator "{name}"')
        self.pos += 1
        function: Callable[[Scope, str, str | None, str], str] = table.load(row)
        if name in table.OF_CERTIFICATES and self.src.startswith("$tls_", self.pos):
            made: Part | None = table.load(table.FINGERPRINT)(self, name, function)
            if made is not None:
                return made
        operand = self.nested()
        if isinstance(operand, str):
            text = operand
            return lambda scope: function(scope, text, argument, name)
        value = operand
        return lambda scope: function(scope, value(scope), argument, name)

    def _item(self, name: str, row: table.Item) -> Part:
        if row.parse:
            parse: Callable[[Parser, str], Part] = table.load(row.function)
            return parse(self, name)
        parts = self.arguments(name, row.least, row.most)
        function: Callable[[Scope, list[str]], str] = table.load(row.function)
        forbidden = row.forbid
        calls = [as_callable(p) for p in parts]

        def item(scope: Scope) -> str:
            if forbidden and scope.expand_forbidden and forbidden in scope.expand_forbidden:
                raise ExpansionError(table.FORBIDDEN[forbidden])
            return function(scope, [call(scope) for call in calls])

        if not forbidden and len(calls) == 1:
            only = calls[0]
            return lambda scope: function(scope, [only(scope)])
        return item

    def argument(self, missing: str) -> Part:
        """Read one ``{string}``; ``missing`` is the message where there is none."""
        self.space()
        if not self.accept("{"):
            raise Fault(missing)
        return self.nested()

    def arguments(self, name: str, least: int, most: int) -> list[Part]:
        """Read between ``least`` and ``most`` ``{string}`` and the closing brace of the item."""
        out: list[Part] = []
        while len(out) < most:
            self.space()
            if not self.accept("{"):
                if len(out) < least:
                    raise Fault(f"Not enough arguments for '{name}' (min is {least})")
                break
            out.append(self.nested())
        self.space()
        if not self.accept("}"):
            if self.peek() == "{":
                raise Fault(f"Too many arguments for '{name}' (max is {most})")
            raise Fault(f"missing '}}' after '{name}'")
        return out

    def close(self, message: str) -> None:
        """Skip white space and consume the closing brace; ``message`` where it is not there."""
        self.space()
        if not self.accept("}"):
            raise Fault(message)

    # -- yes and no

    def choice(self, name: str) -> Choice:
        """Read the strings that follow a condition, a key or a lookup, and the item's closing brace."""
        self.space()
        if self.accept("}"):
            return None, None, False
        if not self.accept("{"):
            raise self.curly("'yes' part did not start with '{'")
        yes = self.nested()
        no: Part | None = None
        self.space()
        if self.accept("{"):
            no = self.nested()
        elif self.peek() != "}":
            if self.name() != "fail":
                raise Fault(f'syntax error in "{name}" item - "fail" expected')
            self.space()
            if not self.accept("}"):
                raise self.curly("did not close with '}'")
            return yes, None, True
        self.space()
        if not self.accept("}"):
            raise self.curly("did not close with '}'")
        return yes, no, False

    def curly(self, what: str, place: int | None = None) -> Fault:
        """Return the Fault for misplaced braces in what follows a condition."""
        rest = self.src[self.pos if place is None else place:]
        return Fault(f"curly-bracket problem in conditional yes/no parsing: {what}\n remaining string is '{rest}'")

    # -- conditions

    def condition(self) -> Test:
        """Read a condition."""
        negated = False
        self.space()
        trace = self.trace
        if trace is not None:
            trace.begin("condition", self.pos)
        while self.accept("!"):
            negated = not negated
            self.space()
        self._deeper()
        positive = test = self._condition()
        self.depth -= 1
        if negated:
            def test(scope: Scope) -> bool:
                return not positive(scope)

        return trace.end_condition(test, self.pos) if trace is not None else test

    def condition_name(self) -> str:
        """Read the name of a condition, a word or a comparison."""
        start = self.pos
        c = self.peek()
        if c.isascii() and c.isalpha():
            return self.name()
        found = _SYMBOL.match(self.src, self.pos)
        if found is None:
            raise Fault(f'condition name expected, but found "{self.src[start:start + 16]}"')
        self.pos = found.end()
        return found[0]

    def _condition(self) -> Test:
        name = self.condition_name()
        row = table.CONDITIONS.get(name)
        if row is None:
            raise Fault(f'unknown condition "{name}"')
        if row.parse:
            parse: Callable[[Parser, str], Test] = table.load(row.function)
            return parse(self, name)
        first = self.argument(f'missing {{ after "{name}"')
        if row.strings == 1:
            one: Callable[[Scope, str], bool] = table.load(row.function)
            if isinstance(first, str):
                text = first
                return lambda scope: one(scope, text)
            value = first
            return lambda scope: one(scope, value(scope))
        self.space()
        if not self.accept("{"):
            raise Fault(f'missing 2nd string in {{}} after "{name}"')
        second: Part = self.raw() if row.raw_second else self.nested()
        self.effects.update(row.effects)
        two: Callable[[Scope, str, str], bool] = table.load(row.function)
        left = as_callable(first)
        if isinstance(second, str):
            constant = second
            return lambda scope: two(scope, left(scope), constant)
        right = second
        return lambda scope: two(scope, left(scope), right(scope))


def _numeric(digits: str) -> Evaluate:
    name = str(int(digits[:9]))

    def numeric(scope: Scope) -> str:
        return scope.vars.get(name, "")

    return numeric


def _raiser(text: str) -> Evaluate:
    def fail(scope: Scope) -> str:
        raise ExpansionError(text)

    return fail


def compile_source(source: str, trace: Tracer | None = None) -> Part:
    """Return the part for a source string; never raises: a mistake is raised on evaluation."""
    parser = Parser(source, trace)
    if source.count("{") < DEEP:
        return parser.whole()
    with deep_stack():
        part = parser.whole()
    if parser.max_depth < DEEP or isinstance(part, str):
        return part
    inner = part

    def deep(scope: Scope) -> str:
        with deep_stack():
            return inner(scope)

    return deep


def choose(name: str, choice: Choice, default_yes: Part) -> tuple[Part, Part]:
    """Return the parts for success and failure of an item; ``default_yes`` where no string was given."""
    yes, no, fail = choice
    if yes is None:
        return default_yes, ""
    if fail:
        def forced(scope: Scope) -> str:
            raise ForcedFail(f'"{name}" failed and "fail" requested')

        return yes, forced
    return yes, "" if no is None else no


def parse_if(parser: Parser, name: str) -> Part:
    """${if condition {yes}{no}}."""
    outer = parser.effects
    parser.effects = set()
    parser.space()
    test = parser.condition()
    effects = parser.effects
    parser.effects = outer
    choice = parser.choice(name)
    yes, no = choose(name, choice, "true")
    if effects:
        return _if_with_effects(test, yes, no, "numeric" in effects, "value" in effects)
    if isinstance(yes, str) and isinstance(no, str):
        yes_text, no_text = yes, no
        return lambda scope: yes_text if test(scope) else no_text
    on_true, on_false = as_callable(yes), as_callable(no)
    return lambda scope: on_true(scope) if test(scope) else on_false(scope)


def _if_with_effects(test: Test, yes: Part, no: Part, numeric: bool, value: bool) -> Evaluate:
    """An if whose condition sets $1... or $value; they have their former values again afterwards."""
    def conditional(scope: Scope) -> str:
        saved_numeric = save_numeric(scope) if numeric else None
        saved_value = scope.vars.get("value") if value else None
        try:
            return evaluate(yes if test(scope) else no, scope)
        finally:
            if saved_numeric is not None:
                restore_numeric(scope, saved_numeric)
            if value:
                restore_var(scope, "value", saved_value)

    return conditional
