"""How smtp_ratelimit_mail and smtp_ratelimit_rcpt slow a client down: their four numbers.

Spec: smtp_ratelimit_hosts in the chapter "Main configuration".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_pace: Final = lazy_pattern(
    r"(-?\d+),[ \t]*(\d+(?:\.\d+)?)([smhdw]),[ \t]*(\d+(?:\.\d+)?),[ \t]*(\d+(?:\.\d+)?)([smhdw])[ \t]*",
    re.ASCII)


@dataclass(frozen=True, slots=True)
class Pace:
    """After ``threshold`` commands each one is delayed, first by ``initial`` seconds, then by ``factor`` times more."""

    threshold: int
    initial: float
    factor: float
    maximum: float

    def delay(self, count: int) -> float:
        """Return the seconds by which the command of this number (from 1) is delayed."""
        over = count - self.threshold
        if over <= 0:
            return 0.0
        try:
            return min(self.initial * self.factor ** (over - 1), self.maximum)
        except OverflowError:
            return self.maximum


def parse_pace(text: str) -> Pace | None:
    """Read "threshold,initial delay,factor,maximum"; None where it is malformed."""
    m = _pace.fullmatch(text)
    if m is None:
        return None
    threshold, initial, unit, factor, maximum, maximum_unit = m.groups()
    return Pace(int(threshold), float(initial) * _UNITS[unit], float(factor), float(maximum) * _UNITS[maximum_unit])
