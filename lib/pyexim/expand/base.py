"""Helper types of the expansion language, shared by the parser and the items.

A source string becomes *parts*: a part is either literal text (``str``) or a callable that takes the
Scope and returns text.  A condition is a callable that takes the Scope and returns a bool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.base.taint import combined, like
from pyexim.expand.scope import Scope

Evaluate = Callable[[Scope], str]
Test = Callable[[Scope], bool]
Part = str | Evaluate

DIGIT_NAMES: Final = frozenset(str(i) for i in range(100))
"""Names of the numeric variables that a match may set."""


class Fault(Exception):
    """A string is wrongly written; ``text`` is Exim's message.  Found when parsing."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def as_callable(part: Part) -> Evaluate:
    """Return the part as something to call."""
    if isinstance(part, str):
        text = part
        return lambda scope: text
    return part


def evaluate(part: Part, scope: Scope) -> str:
    """Return the value of a part."""
    return part if isinstance(part, str) else part(scope)


def save_numeric(scope: Scope) -> dict[str, str]:
    """Return the numeric variables as they are now."""
    values = scope.vars
    if not values:
        return {}
    return {k: v for k, v in values.items() if k in DIGIT_NAMES}


def restore_numeric(scope: Scope, saved: dict[str, str]) -> None:
    """Give the numeric variables back the values that ``save_numeric`` saw."""
    values = scope.vars
    for k in [k for k in values if k in DIGIT_NAMES]:
        del values[k]
    if saved:
        values.update(saved)


def set_numeric(scope: Scope, groups: list[str]) -> None:
    """Set the numeric variables to what a match captured: $0 the whole, $1... the groups."""
    values = scope.vars
    old = [k for k in values if k in DIGIT_NAMES]
    for k in old:
        del values[k]
    for i, group in enumerate(groups):
        values[str(i)] = group


def restore_var(scope: Scope, name: str, saved: str | None) -> None:
    """Give a variable of the running evaluation its former value back."""
    if saved is None:
        scope.vars.pop(name, None)
    else:
        scope.vars[name] = saved


def join(parts: list[Part]) -> Part:
    """Return one part that yields the concatenation; taint of any of them taints the whole."""
    merged: list[Part] = []
    run: list[str] = []
    for part in parts:
        if isinstance(part, str):
            run.append(part)
            continue
        if run:
            merged.append("".join(run))
            run = []
        merged.append(part)
    if run:
        merged.append("".join(run))
    merged = [part for part in merged if part != ""]
    if not merged:
        return ""
    if len(merged) == 1:
        return merged[0]
    if len(merged) == 2:
        return _pair(merged[0], merged[1])
    pieces = tuple(merged)

    def sequence(scope: Scope) -> str:
        out = []
        tainted = False
        for piece in pieces:
            if piece.__class__ is str:
                out.append(piece)
            else:
                value = piece(scope)  # type: ignore[operator]
                if value.__class__ is not str:
                    tainted = True
                out.append(value)
        text = "".join(out)
        return combined(text, out) if tainted else text

    return sequence


def _pair(first: Part, second: Part) -> Evaluate:
    if isinstance(first, str):
        head, tail = first, as_callable(second)

        def text_then(scope: Scope) -> str:
            value = tail(scope)
            return head + value if value.__class__ is str else like(head + value, value)

        return text_then
    if isinstance(second, str):
        start, end = first, second

        def then_text(scope: Scope) -> str:
            value = start(scope)
            return value + end if value.__class__ is str else like(value + end, value)

        return then_text
    one, two = first, second

    def both(scope: Scope) -> str:
        left = one(scope)
        right = two(scope)
        if left.__class__ is str and right.__class__ is str:
            return left + right
        return combined(left + right, (left, right))

    return both
