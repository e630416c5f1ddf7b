"""A reception process that cannot begin says so in a line and ends."""

from __future__ import annotations

import errno
import os
import select
from types import SimpleNamespace

import pytest

from pyexim import fdpass
from pyexim.daemon import reception


def test_without_descriptors_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    run = SimpleNamespace(services=SimpleNamespace(log=SimpleNamespace(panic=lines.append), clock=None))

    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(select, "epoll", none_left)
    ours, theirs = fdpass.pair()
    with ours, theirs:
        assert reception.serve(theirs, lambda: run) == os.EX_OSERR
    assert lines == ["reception process could not begin: Too many open files"]
