"""Time comes from here; no other module asks the operating system for it."""

from __future__ import annotations

from time import monotonic as _monotonic
from time import sleep as _sleep
from time import time as _time
from typing import Protocol


class Clock(Protocol):
    """What a part of the program that needs the time is given."""

    def time(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps, for deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The clock of the operating system."""

    __slots__ = ()
    time = staticmethod(_time)
    monotonic = staticmethod(_monotonic)
    sleep = staticmethod(_sleep)


class FixedClock:
    """A clock for tests: it stands still until it is told to move; sleeping moves it."""

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
