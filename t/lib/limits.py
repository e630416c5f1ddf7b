"""A limit on CPU time, for tests that say "this takes linear time": no test depends on how fast a machine is."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

CPU_LIMIT = 30
"""Seconds: some thirty times what a slow machine needs, and far below what quadratic work costs."""


@contextlib.contextmanager
def cpu_limit() -> Iterator[None]:
    """Fail where the work inside does not end."""
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError("this takes far longer than its length explains")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
