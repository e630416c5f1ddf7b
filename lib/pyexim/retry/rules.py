"""Retry rules: one line of the configuration each, parsed once.

Spec: chapter "Retry configuration", sections "Format of retry rules" to "Retry parameters".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE, lower
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass
from pyexim.config.values import format_time, parse_fixed, parse_time
from pyexim.retry import errors as e


@dataclass(frozen=True, slots=True)
class Parameter:
    """One set of parameters: until ``cutoff`` seconds after the first failure, retry by an algorithm."""

    letter: str
    cutoff: int
    interval: int
    factor: int = 0
    """In thousandths."""


@dataclass(frozen=True, slots=True)
class ErrorTest:
    """What kind of error a rule is for.

    ``name`` is as -brt prints it ("*" for those that it does not print).  An error fits when its
    number is among ``numbers`` (empty: any), and the detail fits what is set.
    """

    name: str = "*"
    numbers: frozenset[int] = frozenset()
    origin: int = 0
    """FROM_MX, NOT_FROM_MX, or 0 for both."""
    code: int = -1
    """Last two digits of a 4xx reply, -1 for any."""
    tens: bool = False
    """Only the first of the two counts."""
    connecting: bool = False
    unread_for: int = -1
    """Seconds for which a mailbox must not have been read."""

    def fits(self, number: int, detail: int) -> bool:
        """Tell whether the rule is for this error."""
        if self.numbers and number not in self.numbers:
            return False
        if self.origin and detail & 0xFF != self.origin:
            return False
        if self.code >= 0:
            digits = detail >> 8 & 0xFF
            if digits // 10 != self.code // 10 if self.tens else digits != self.code:
                return False
        if self.connecting and not detail & e.CONNECT_TIMEOUT:
            return False
        return self.unread_for < 0 or detail >= self.unread_for


@dataclass(frozen=True, slots=True)
class RetryRule:
    """One rule."""

    pattern: str
    error: ErrorTest
    senders: str | None
    parameters: tuple[Parameter, ...]
    place: Place

    @property
    def ultimate_cutoff(self) -> int:
        """Seconds after the first failure at which retrying ends; 0 without parameters."""
        return self.parameters[-1].cutoff if self.parameters else 0

    def format(self) -> str:
        """Return the rule as -brt prints it."""
        out = [f"{self.pattern}  {self.error.name}  "]
        for p in self.parameters:
            text = f"{p.letter},{format_time(p.cutoff)},{format_time(p.interval)}"
            if p.letter == "G":
                text += f",{_format_factor(p.factor)}"
            out.append(text + "; ")
        return "".join(out)


def _format_factor(thousandths: int) -> str:
    whole, fraction = divmod(thousandths, 1000)
    digits = f"{fraction:03d}".rstrip("0") or "0"
    return f"{whole}.{digits}"


_SIMPLE: Final = {
    "*": ErrorTest(),
    "auth_failed": ErrorTest("auth_failed", frozenset({e.ERRNO_AUTHFAIL})),
    "lost_connection": ErrorTest(numbers=frozenset({e.ERRNO_SMTPCLOSED})),
    "lookup": ErrorTest(numbers=frozenset({e.ERRNO_UNKNOWNHOST})),
    "tls_required": ErrorTest(numbers=frozenset({e.ERRNO_TLSREQUIRED})),
    "quota": ErrorTest("quota", e.QUOTAS),
    "refused": ErrorTest("refused", frozenset({e.REFUSED})),
    "refused_mx": ErrorTest("refused_MX", frozenset({e.REFUSED}), e.FROM_MX),
    "refused_a": ErrorTest("refused_A", frozenset({e.REFUSED}), e.NOT_FROM_MX),
    "timeout": ErrorTest("timeout", frozenset({e.TIMEOUT})),
    "timeout_mx": ErrorTest("timeout_MX", frozenset({e.TIMEOUT}), e.FROM_MX),
    "timeout_a": ErrorTest("timeout_A", frozenset({e.TIMEOUT}), e.NOT_FROM_MX),
    "timeout_dns": ErrorTest("timeout", frozenset({e.TIMEOUT})),
    "timeout_connect": ErrorTest("timeout_connect", frozenset({e.TIMEOUT}), connecting=True),
    "timeout_connect_mx": ErrorTest("timeout_connect_MX", frozenset({e.TIMEOUT}), e.FROM_MX, connecting=True),
    "timeout_connect_a": ErrorTest("timeout_connect_A", frozenset({e.TIMEOUT}), e.NOT_FROM_MX, connecting=True),
}
_REPLIES: Final = {"mail": e.ERRNO_MAIL4XX, "rcpt": e.ERRNO_RCPT4XX, "data": e.ERRNO_DATA4XX}
_reply = lazy_pattern(r"(mail|rcpt|data)_4(.*)\Z", re.ASCII)
_digits = lazy_pattern(r"(?:xx|[0-9]x|[0-9][0-9])\Z", re.ASCII)


def parse_error(text: str) -> ErrorTest:
    """Return the test for an error name; ValueError with Exim's message for a name that means nothing."""
    name = lower(text)
    found = _SIMPLE.get(name)
    if found is not None:
        return found
    match = _reply.match(name)
    if match is not None:
        kind, digits = match[1], match[2]
        if _digits.match(digits) is None:
            raise ValueError(f"{kind}_4 must be followed by xx, dx, or dd, where x is literal and d is any digit")
        numbers = frozenset({_REPLIES[kind]})
        if digits == "xx":
            return ErrorTest(numbers=numbers)
        if digits[1] == "x":
            return ErrorTest(numbers=numbers, code=int(digits[0]) * 10, tens=True)
        return ErrorTest(numbers=numbers, code=int(digits))
    if name.startswith("quota_"):
        seconds = parse_time(name[len("quota_"):])
        if seconds is None:
            raise ValueError("bad time value")
        return ErrorTest("quota_" + format_time(seconds), e.QUOTAS, unread_for=seconds)
    for word, wanted in (("refused", "A or MX"), ("timeout", '"A", "MX", or "connect"')):
        if name.startswith(word + "_"):
            raise ValueError(f'{wanted} expected after "{word}"')
    raise ValueError(f'unknown or malformed retry error "{text}"')


def parse_rule(text: str, place: Place) -> RetryRule:
    """Read one line of the retry section; ConfigError with Exim's message for a malformed one."""
    try:
        pattern, rest = _word(text)
        if not rest:
            raise ValueError("missing error type in retry rule")
        end = next((i for i, c in enumerate(rest) if c in SPACE), len(rest))
        error = parse_error(rest[:end])
        rest = rest[end:].strip(SPACE)
        senders = None
        if lower(rest[:7]) == "senders":
            rest = rest[7:].lstrip(SPACE)
            if not rest.startswith("="):
                raise ValueError('"=" expected after "senders" in retry rule')
            senders, rest = _word(rest[1:])
        return RetryRule(pattern, error, senders, tuple(_parameters(rest)), place)
    except ValueError as problem:
        raise ConfigError(str(problem), place) from None


def _word(text: str) -> tuple[str, str]:
    """Take off the first word, which may be in double quotes: (word, rest)."""
    text = text.strip(SPACE)
    if text.startswith('"'):
        end = text.find('"', 1)
        if end < 0:
            return text[1:], ""
        return text[1:end], text[end + 1:].strip(SPACE)
    end = next((i for i, c in enumerate(text) if c in SPACE), len(text))
    return text[:end], text[end:].strip(SPACE)


def _parameters(text: str) -> list[Parameter]:
    """Read the sets of parameters."""
    found = []
    while text:
        letter = text[0].upper() if text[0].isascii() else text[0]
        if text[1:2] != ",":
            raise ValueError("comma expected")
        if letter not in "FGH":
            raise ValueError("unknown retry rule letter")
        text = text[2:].lstrip(SPACE)
        cutoff_text, text = _argument(text, last=False)
        interval_text, text = _argument(text, last=letter == "F")
        factor = 0
        cutoff, interval = parse_time(cutoff_text), parse_time(interval_text)
        if letter != "F":
            factor_text, text = _argument(text, last=True)
            number = parse_fixed(factor_text[:factor_text.find(".") + 4] if "." in factor_text else factor_text)
            factor = number if number is not None else 0
        if not cutoff or not interval or (letter != "F" and factor < 1000):
            raise ValueError("bad parameters for retry rule")
        if text and text[0] != ";":
            raise ValueError("semicolon expected")
        found.append(Parameter(letter, cutoff, interval, factor))
        text = text[1:].lstrip(SPACE)
    return found


def _argument(text: str, *, last: bool) -> tuple[str, str]:
    """Take off one argument: (argument, rest); unless it is the last one its comma, too."""
    end = next((i for i, c in enumerate(text) if c in ",; \t"), len(text))
    argument, rest = text[:end], text[end:]
    if last:
        rest = rest.lstrip(SPACE)
    else:
        if not rest.startswith(","):
            raise ValueError("comma expected")
        rest = rest[1:].lstrip(SPACE)
    return argument, rest
