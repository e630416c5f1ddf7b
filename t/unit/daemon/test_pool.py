"""The pool's bookkeeping, with children that are only sockets."""

from __future__ import annotations

import socket
from itertools import count

import pytest

from pyexim.daemon.pool import BURST, HIGH, LOW, QUIET_SECONDS, Pool


class Forks:
    """Stands in for forking; keeps the children's ends open."""

    def __init__(self) -> None:
        self.pids = count(100)
        self.ends: list[socket.socket] = []
        self.fail = False

    def __call__(self, generation: int) -> tuple[int, socket.socket]:
        if self.fail:
            raise OSError(11, "no more processes")
        mine, theirs = socket.socketpair()
        self.ends.append(theirs)
        return next(self.pids), mine


@pytest.fixture
def forks() -> Forks:
    return Forks()


def test_take_and_ready_count_the_hosts(forks: Forks) -> None:
    pool = Pool(forks, 10)
    pool.spawn(2)
    first, second = pool.take("192.0.2.1", 0.0), pool.take("192.0.2.1", 0.0)
    assert first is not None and second is not None
    assert pool.take("192.0.2.1", 0.0) is None
    assert (pool.busy, pool.from_host("192.0.2.1"), pool.from_host("192.0.2.2")) == (2, 2, 0)
    assert pool.ready(first)
    assert (pool.busy, pool.from_host("192.0.2.1")) == (1, 1)
    pool.remove(second)
    assert (pool.busy, len(pool), pool.from_host("192.0.2.1")) == (0, 1, 0)


def test_growth_doubles_while_it_goes_on_up_to_the_limit(forks: Forks) -> None:
    pool = Pool(forks, 20)
    assert [len(pool.grow(100)) for _ in range(6)] == [1, 2, 4, BURST, 5, 0]
    pool.content()
    pool.remove(next(iter(pool.children.values())))
    assert len(pool.grow(100)) == 1


def test_no_more_are_forked_than_wait(forks: Forks) -> None:
    pool = Pool(forks, 0)
    assert [len(pool.grow(1)) for _ in range(3)] == [1, 1, 1]


def test_fork_failure_is_no_child(forks: Forks) -> None:
    pool = Pool(forks, 5)
    forks.fail = True
    assert pool.grow(3) == []
    assert pool.take("h", 0.0) is None


def test_a_new_generation_lets_sessions_end(forks: Forks) -> None:
    pool = Pool(forks, 5)
    pool.spawn(3)
    busy = pool.take("h", 0.0)
    assert busy is not None
    assert len(pool.renew()) == 2
    assert len(pool) == 1
    assert not pool.ready(busy)
    assert len(pool) == 0
    assert len(pool.top_up()) == LOW


def test_idle_children_go_home_only_when_it_is_quiet(forks: Forks) -> None:
    pool = Pool(forks, 100)
    pool.spawn(HIGH + 3)
    pool.last_busy = 1000.0
    assert pool.relax(1000.0 + QUIET_SECONDS - 1) == []
    assert len(pool.relax(1000.0 + QUIET_SECONDS)) == 3
    assert len(pool) == HIGH
