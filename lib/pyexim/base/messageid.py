"""Message ids: six base-62 digits of seconds, then process id, then a fraction of a second.

Long form (4.97 and later): 6-11-4, fraction in units of 1 µs (2 µs with localhost_number).
Short form (until 4.96): 6-6-2, fraction in units of 1/2000 s (localhost_number: 1/200 s, plus 200
times the number).  Spec: section "Message identification".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.pattern import lazy_pattern

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE: Final = {c: i for i, c in enumerate(DIGITS)}

PATTERN: Final = r"(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}|[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2})"
"""Regular expression of an id of either form, to be embedded in others."""

_match = lazy_pattern(PATTERN + r"\Z", re.ASCII)


def is_message_id(text: str) -> bool:
    """Tell whether the text has the form of a message id, long or short."""
    return _match.match(text) is not None


def base62(number: int, width: int) -> str:
    """Return the last ``width`` base-62 digits of a number."""
    out = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        out = DIGITS[digit] + out
    return out


def base62_value(digits: str) -> int:
    """Return the number that base-62 digits stand for; KeyError on another character."""
    value = 0
    for c in digits:
        value = value * 62 + _VALUE[c]
    return value


def received_second(message_id: str) -> int:
    """Return the time of reception that an id tells, in seconds since the epoch."""
    return base62_value(message_id[:6])


def process_id(message_id: str) -> int:
    """Return the id of the process that received the message."""
    return base62_value(message_id[7:-5] if len(message_id) == 23 else message_id[7:13])


class Generator:
    """Makes the ids of one process: never the same twice, and never waiting for a clock tick.

    Where the next id would not be later than the last one, the fraction counts on from it; an id
    may thus run ahead of the clock by as many units as messages came within one of them.  A forked
    child makes a Generator of its own (another process id), never uses its parent's.
    """

    def __init__(self, pid: int, localhost_number: int | None = None, short: bool = False) -> None:
        self._short = short
        self._number = localhost_number
        self._pid = base62(pid, 6 if short else 11)
        if short:
            self._units = 200 if localhost_number is not None else 2000
        else:
            self._units = 500_000 if localhost_number is not None else 1_000_000
        self._last = 0
        self._second = -1
        self._begin = ""
        """The part of the ids that stays the same for a second."""

    def next(self, now: float) -> str:
        """Return a new id for a message whose reception began at ``now`` (since the epoch)."""
        tick = int(now * self._units)
        if tick <= self._last:
            tick = self._last + 1
        self._last = tick
        second, fraction = divmod(tick, self._units)
        if second != self._second:
            self._second = second
            self._begin = f"{base62(second, 6)}-{self._pid}-"
        if self._number is not None:
            fraction += self._number * self._units
        return self._begin + base62(fraction, 2 if self._short else 4)
