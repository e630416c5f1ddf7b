"""The command socket in the master, with forks that are only counted."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from pyexim import fdpass
from pyexim.daemon import command
from pyexim.daemon.desk import SPARE_SECONDS, SPARES, Desk


class Forks:
    """Stands in for forking: remembers who was forked, and runs nothing."""

    def __init__(self) -> None:
        self.pids = count(100)
        self.made: list[int] = []
        self.fail = False

    def __call__(self, job: Callable[[], int]) -> int:
        if self.fail:
            raise OSError(11, "no more processes")
        self.made.append(next(self.pids))
        return self.made[-1]


@pytest.fixture
def forks() -> Forks:
    return Forks()


@pytest.fixture
def desk(forks: Forks, tmp_path: Path) -> Desk:
    tmp_path.chmod(0o700)
    made = Desk(forks, lambda sock: 0)
    made.open(str(tmp_path / "socket"))
    assert made.socket is not None
    return made


def knock(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(tmp_path / "socket"))
    return sock


def test_nobody_is_forked_ahead_before_a_command_has_come(desk: Desk, forks: Forks) -> None:
    desk.keep_up(1000.0)
    assert forks.made == []


def test_the_first_caller_is_served_by_a_fork_and_the_next_by_one_that_waits(
        desk: Desk, forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[tuple[dict[str, object], int]] = []
    monkeypatch.setattr(fdpass, "send", lambda sock, record, fds=(): handed.append((record, len(fds))))
    with knock(tmp_path), knock(tmp_path):
        desk.take(1000.0)
        assert forks.made == [100] and handed == []
        desk.keep_up(1000.0)
        assert len(forks.made) == 1 + SPARES
        desk.take(1001.0)
        assert len(forks.made) == 1 + SPARES and handed == [({"type": "caller"}, 1)]
        desk.keep_up(1001.0)
        assert len(forks.made) == 2 + SPARES


def test_a_dead_one_that_waits_is_passed_over(desk: Desk, forks: Forks, tmp_path: Path) -> None:
    with knock(tmp_path), knock(tmp_path):
        desk.take(1000.0)
        desk.keep_up(1000.0)  # nobody holds the other ends of these: as if they had died
        desk.take(1000.0)
        assert len(forks.made) == 2 + SPARES


def test_they_go_home_when_no_command_comes(desk: Desk, forks: Forks, tmp_path: Path) -> None:
    with knock(tmp_path):
        desk.take(1000.0)
    desk.keep_up(1000.0)
    before = len(os.listdir("/proc/self/fd"))
    desk.keep_up(1000.0 + SPARE_SECONDS + 1)
    assert len(os.listdir("/proc/self/fd")) == before - SPARES
    assert len(forks.made) == 1 + SPARES


def test_no_user_has_more_than_his_share(desk: Desk, forks: Forks, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "peer_of", lambda sock: (1, 1000, 1000))
    for _ in range(command.MAX_OF_A_USER):
        with knock(tmp_path):
            desk.take(1000.0)
    with knock(tmp_path) as late:
        desk.take(1000.0)
        assert fdpass.receive(late) == ({"type": "decline"}, [])
    desk.discard(forks.made[0])
    with knock(tmp_path):
        desk.take(1000.0)
    assert len(forks.made) == command.MAX_OF_A_USER + 1


def test_where_no_process_can_be_forked_nothing_stays_open(desk: Desk, forks: Forks, tmp_path: Path) -> None:
    forks.fail = True
    with knock(tmp_path) as caller:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="no more processes"):
            desk.take(1000.0)
        with pytest.raises(OSError, match="no more processes"):
            desk.keep_up(1000.0)
        assert len(os.listdir("/proc/self/fd")) == before
        assert caller.recv(10) == b""  # the caller does the work itself
