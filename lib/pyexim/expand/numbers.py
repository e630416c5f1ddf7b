"""Numbers in expansions: the operands of comparisons, ${eval:, ${randint:.

Arithmetic is that of 64-bit signed integers, as Exim's.  Spec: chapter "String expansions", sections 6, 7.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import like
from pyexim.expand.scope import Scope

MAX: Final = (1 << 63) - 1
MIN: Final = -(1 << 63)
_WRAP: Final = 1 << 64
_INTEGER: Final = lazy_pattern(r"[ \t\n\v\f\r]*([+-]?[0-9]+)([kKmMgG]?)[ \t\n\v\f\r]*")
_MULTIPLIER: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def integer(text: str) -> int:
    """Return the operand of a numeric comparison: decimal, K, M or G after it; empty is zero."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    found = _INTEGER.match(text)
    if found is None:
        if not text.strip(SPACE):
            return 0
        raise ExpansionError(f'integer expected but "{text}" found')
    value = int(found[1]) if len(found[1]) < 21 else MAX + 1
    value *= _MULTIPLIER[found[2].lower()]
    if not MIN <= value <= MAX:
        raise ExpansionError(f'absolute value of integer "{text}" is too large (overflow)')
    if found.end() != len(text):
        raise ExpansionError(f'invalid integer "{text}"')
    return value


def randint(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${randint:n}: a random number from 0 to n-1."""
    if not text:
        raise ExpansionError('integer expected but "" found')
    limit = integer(text)
    if limit < 0:
        raise ExpansionError(f'non-negative integer expected but "{text}" found')
    from random import randrange  # only for this operator

    return str(randrange(limit)) if limit > 0 else "0"


def eval_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${eval:...}: numbers as in C, octal with a leading 0."""
    return like(str(evaluate(text, False)), text)


def eval10_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${eval10:...}: all numbers are decimal."""
    return like(str(evaluate(text, True)), text)


def evaluate(text: str, decimal: bool) -> int:
    """Return the value of an arithmetic expression; ExpansionError with Exim's text."""
    reader = _Arithmetic(text, decimal)
    try:
        value = reader.expression()
    except _Wrong as e:
        raise ExpansionError(f'error in expression evaluation: {e} (after processing "{text[:reader.pos]}")') from None
    return value


class _Wrong(Exception):
    pass


def _wrap(value: int) -> int:
    """Return a result as 64 bits hold it."""
    value &= _WRAP - 1
    return value - _WRAP if value > MAX else value


_NUMBER10: Final = lazy_pattern(r"[0-9]+")
_NUMBER: Final = lazy_pattern(r"0[xX][0-9A-Fa-f]*|0[0-7]*|[1-9][0-9]*")
_PRECEDENCE: Final = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}


class _Arithmetic:
    """Reads and computes with two stacks, so that depth costs no recursion."""

    def __init__(self, text: str, decimal: bool) -> None:
        self.text = text
        self.pos = 0
        self.number = _NUMBER10 if decimal else _NUMBER

    def space(self) -> None:
        text, n = self.text, len(self.text)
        while self.pos < n and text[self.pos] in SPACE:
            self.pos += 1

    def expression(self) -> int:
        """Read everything; what is left over is an error."""
        values: list[int] = []
        waiting: list[str] = []
        depth = 0
        while True:
            depth += self._operand(values, waiting)
            closed = self._after_operand(values, waiting, depth)
            if closed is None:
                return values[0]
            depth = closed

    def _operand(self, values: list[int], waiting: list[str]) -> int:
        """Read unary operators, opening parentheses and a number; how many parentheses were opened."""
        opened = 0
        text = self.text
        while True:
            self.space()
            c = text[self.pos:self.pos + 1]
            if c == "-" or c == "~" or c == "+":
                self.pos += 1
                waiting.append({"-": "neg", "~": "not", "+": "pos"}[c])
            elif c == "(":
                self.pos += 1
                opened += 1
                waiting.append("(")
            else:
                found = self.number.match(text, self.pos)
                if found is None:
                    raise _Wrong("expecting number or opening parenthesis")
                values.append(self._value(found))
                return opened

    def _value(self, found: re.Match[str]) -> int:
        digits = found[0]
        self.pos = found.end()
        if len(digits) > 80:
            value = MAX
        elif self.number is _NUMBER10:
            value = int(digits)
        elif digits[:2] in ("0x", "0X"):
            value = int(digits[2:] or "0", 16)
        else:
            value = int(digits, 8 if digits[0] == "0" else 10)
        if value > MAX:
            value = MAX
        multiplier = _MULTIPLIER.get(self.text[self.pos:self.pos + 1].lower(), 0)
        if multiplier > 1:
            self.pos += 1
            value = _wrap(value * multiplier)
        self.space()
        return value

    def _after_operand(self, values: list[int], waiting: list[str], depth: int) -> int | None:
        """Read closing parentheses and an operator; the depth, or None at the end."""
        text = self.text
        while True:
            self.space()
            if self.pos >= len(text):
                if depth:
                    raise _Wrong("expecting closing parenthesis")
                self._reduce(values, waiting, 0)
                return None
            c = text[self.pos]
            if c == ")" and depth:
                self._reduce(values, waiting, 0)
                waiting.pop()
                self._unary(values, waiting)
                depth -= 1
                self.pos += 1
                continue
            operator = text[self.pos:self.pos + 2]
            if operator not in ("<<", ">>"):
                operator = c
            precedence = _PRECEDENCE.get(operator)
            if precedence is None:
                raise _Wrong("expecting closing parenthesis" if depth else "expecting operator")
            self._reduce(values, waiting, precedence)
            waiting.append(operator)
            self.pos += len(operator)
            return depth

    def _unary(self, values: list[int], waiting: list[str]) -> None:
        while waiting and waiting[-1] in ("neg", "not", "pos"):
            operator = waiting.pop()
            if operator == "neg":
                values[-1] = _wrap(-values[-1])
            elif operator == "not":
                values[-1] = ~values[-1]

    def _reduce(self, values: list[int], waiting: list[str], precedence: int) -> None:
        """Apply the waiting operators that bind at least as tightly."""
        self._unary(values, waiting)
        while waiting and waiting[-1] != "(" and _PRECEDENCE[waiting[-1]] >= max(precedence, 1):
            operator = waiting.pop()
            right = values.pop()
            values[-1] = self._apply(operator, values[-1], right)
            self._unary(values, waiting)

    def _apply(self, operator: str, a: int, b: int) -> int:
        if operator == "+":
            value = a + b
            if a >= 0 and b >= 0 and value > MAX:
                raise _Wrong("overflow in sum")
            return _wrap(value)
        if operator == "-":
            return _wrap(a - b)
        if operator == "*":
            return _wrap(a * b)
        if operator in "/%":
            if b == 0:
                raise _Wrong("divide by zero" if operator == "/" else "modulo by zero")
            return self._divide(operator, a, b)
        if operator == "<<":
            return _wrap(a << (b & 63))
        if operator == ">>":
            return a >> (b & 63)
        if operator == "&":
            return a & b
        return a | b if operator == "|" else a ^ b

    def _divide(self, operator: str, a: int, b: int) -> int:
        if a == MIN and b == -1:
            return MAX if operator == "/" else 0
        quotient = abs(a) // abs(b)
        if (a < 0) != (b < 0):
            quotient = -quotient
        return quotient if operator == "/" else a - quotient * b
