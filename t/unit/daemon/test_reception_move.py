"""Where a process cannot divide, its work goes on: the timer's handler raises nothing into it."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from pyexim import fdpass
from pyexim.daemon.reception import Reception, Served


def test_without_descriptors_sessions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    mine, theirs = fdpass.pair()
    run = SimpleNamespace(services=SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: 0.0)))
    reception = Reception(theirs, lambda: run)  # type: ignore[arg-type, return-value]
    one = Served(1, "192.0.2.1", SimpleNamespace(fd=99))  # type: ignore[arg-type]
    reception._sessions[99] = one
    monkeypatch.setattr(fdpass, "pair", none_left)
    reception._move([one], passing=True)
    assert reception._sessions == {99: one} and not reception._dividing
    mine.close()
    theirs.close()
