"""The pool's bookkeeping, with children that are only sockets."""

from __future__ import annotations

import socket
from itertools import count

import pytest

from pyexim.daemon.pool import LOW, MOST_SESSIONS, QUIET_SECONDS, Child, Pool


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


def take(pool: Pool, peer: str = "192.0.2.1") -> tuple[Child, int]:
    taken = pool.take(peer, 0.0)
    assert taken is not None
    return taken


def test_sessions_are_counted_by_host(forks: Forks) -> None:
    pool = Pool(forks, 2)
    assert pool.take("192.0.2.1", 0.0) is None
    pool.spawn(2)
    first, number = take(pool)
    second, other = take(pool)
    assert first is not second and number != other
    assert (pool.sessions, pool.from_host("192.0.2.1"), pool.from_host("192.0.2.2")) == (2, 2, 0)
    assert pool.ended(first, number)
    assert pool.ended(first, number), "said twice"
    assert (pool.sessions, pool.from_host("192.0.2.1")) == (1, 1)
    pool.remove(second)
    assert (pool.sessions, len(pool), pool.from_host("192.0.2.1")) == (0, 1, 0)


def test_the_child_with_the_fewest_sessions_gets_the_next(forks: Forks) -> None:
    pool = Pool(forks, 3)
    pool.spawn(3)
    chosen = [take(pool)[0].pid for _ in range(9)]
    assert all(chosen.count(pid) == 3 for pid in (100, 101, 102))


def test_who_is_held_going_or_full_gets_no_more(forks: Forks) -> None:
    pool = Pool(forks, 3)
    held, going, full, free = pool.spawn(4)
    held.held = going.going = True
    full.sessions = {-n: "h" for n in range(1, MOST_SESSIONS + 1)}
    assert {take(pool)[0].pid for _ in range(5)} == {free.pid}


def test_children_are_forked_up_to_the_width_and_for_those_held(forks: Forks) -> None:
    pool = Pool(forks, 3)
    assert pool.missing() == LOW
    pool.spawn(LOW)
    assert pool.missing() == 0
    take(pool)
    assert pool.missing() == 0, "one is free yet"
    take(pool)
    assert pool.missing() == 1
    pool.spawn(1)
    take(pool)
    assert pool.missing() == 0, "it is wide enough"
    for one in pool.children.values():
        one.held = True
    assert pool.missing() == LOW


def test_fork_failure_is_no_child(forks: Forks) -> None:
    pool = Pool(forks, 5)
    forks.fail = True
    assert pool.spawn(3) == []
    assert pool.take("h", 0.0) is None


@pytest.mark.parametrize("passing", [False, True])
def test_a_divided_child_takes_sessions_along(forks: Forks, passing: bool) -> None:
    pool = Pool(forks, 2)
    (old,) = pool.spawn(1)
    numbers = [take(pool)[1] for _ in range(4)]
    new = pool.divided(old, 500, forks(0)[1], numbers[::2], passing=passing)
    assert sorted(new.sessions) == numbers[::2] and sorted(old.sessions) == numbers[1::2]
    assert pool.sessions == 4
    assert take(pool)[0] is (old if passing else new) or not passing
    pool.remove(old)
    assert pool.sessions == 2 + (0 if passing else len(new.sessions) - 2)
    assert pool.ended(new, numbers[0])
    assert pool.ended(new, numbers[2]) is not passing or bool(new.sessions)


def test_a_new_generation_lets_sessions_end(forks: Forks) -> None:
    pool = Pool(forks, 2)
    pool.spawn(3)
    busy, number = take(pool)
    assert len(pool.renew()) == 2
    assert len(pool) == 1 and pool.take("h", 0.0) is None
    assert not pool.ended(busy, number), "with its last session it goes"
    assert pool.missing() == LOW


def test_children_without_sessions_go_home_only_when_it_is_quiet(forks: Forks) -> None:
    pool = Pool(forks, 4)
    pool.spawn(4 + 3)
    pool.last_busy = 1000.0
    assert pool.relax(1000.0 + QUIET_SECONDS - 1) == []
    assert len(pool.relax(1000.0 + QUIET_SECONDS)) == 3
    assert len(pool) == 4
