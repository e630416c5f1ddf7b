"""The condition of an if command, from text to Condition.

Spec: the filter document, "Obeying commands conditionally".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import lower
from pyexim.filters import table
from pyexim.filters.lexer import Lexer
from pyexim.filters.nodes import Condition
from pyexim.filters.outcome import FilterError

MAX_DEPTH: Final = 100
"""Nested brackets."""


def parse_condition(lexer: Lexer) -> Condition:
    """Read a condition and the word then; FilterError."""
    return _combination(lexer, 0)


def _combination(lexer: Lexer, depth: int) -> Condition:
    """Read tests with and and or between them, to the word then (at the top) or to the closing bracket."""
    if depth > MAX_DEPTH:
        raise FilterError(f"conditions are nested too deeply {lexer.near()}")
    alternatives: list[list[Condition]] = [[]]
    while True:
        alternatives[-1].append(_one(lexer, depth))
        if depth and lexer.char == ")":
            return _combined(alternatives)
        lexer.refuse_bracket()
        word = lexer.word(brackets=True)
        if word == "then":
            if depth:
                raise FilterError(f'missing ")" at end of condition {lexer.near()}')
            return _combined(alternatives)
        if word == "or":
            alternatives.append([])
        elif word != "and":
            raise FilterError(f'"and" or "or" or "{")" if depth else "then"}" expected {lexer.near()}, '
                              f'but found "{word}"')


def _combined(alternatives: list[list[Condition]]) -> Condition:
    operands = [some[0] if len(some) == 1 else Condition("and", parts=some) for some in alternatives]
    return operands[0] if len(operands) == 1 else Condition("or", parts=operands)


def _one(lexer: Lexer, depth: int) -> Condition:
    """Read one test, or a combination in brackets."""
    wanted = True
    while True:
        if not lexer.char:
            raise FilterError('"then" missing at end of filter file')
        if lexer.char == "(":
            return _negated(_bracketed(lexer, depth), wanted)
        word = lexer.item(brackets=True)
        if word != "not":
            break
        wanted = not wanted
    if word == "then":
        raise FilterError(f'unexpected "then" {lexer.near()}')
    if word in table.PLAIN_TESTS:
        return Condition(word, wanted)
    if word == "personal":
        condition = Condition(word, wanted)
        while lexer.take("alias"):
            condition.aliases.append(lexer.item(brackets=True))
        return condition
    if word == "foranyaddress":
        condition = Condition(word, wanted, lexer.item(brackets=True))
        if lexer.char != "(":
            raise FilterError(f'"(" expected after "foranyaddress" {lexer.near()}')
        condition.parts = [_bracketed(lexer, depth)]
        return condition
    return _comparison(lexer, word, wanted)


def _bracketed(lexer: Lexer, depth: int) -> Condition:
    lexer.at += 1
    lexer.skip()
    condition = _combination(lexer, depth + 1)
    lexer.at += 1
    lexer.skip()
    return condition


def _negated(condition: Condition, wanted: bool) -> Condition:
    if wanted:
        return condition
    if condition.kind in ("and", "or"):
        return Condition("not", parts=[condition])
    condition.wanted = not condition.wanted
    return condition


def _comparison(lexer: Lexer, left: str, wanted: bool) -> Condition:
    """Read what follows the first string of a comparison: is or does, perhaps not, and which one it is."""
    word = lexer.word(brackets=True)
    first = lower(word)
    if first not in ("is", "does"):
        row = table.COMPARISONS.get(word)
    else:
        start = lexer.at
        following = lexer.word(brackets=True)
        if lower(following) == "not":
            wanted = not wanted
            start = lexer.at
            following = lexer.word(brackets=True)
        row = table.COMPARISONS.get(following)
        if row is None and first == "is":
            row = ("is", word[0] == "I")
            lexer.at = start
        word = following
    if row is None:
        raise FilterError(f'unrecognized condition word "{word}" {lexer.near()}')
    return Condition(row[0], wanted, left, lexer.item(brackets=True), row[1])
