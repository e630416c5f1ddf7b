"""Parked sessions: who waits, from where, until when."""

from __future__ import annotations

import socket

from pyexim.daemon.lounge import Lounge, Waiting


def waiting(peer: str, deadline: float) -> Waiting:
    mine, _ = socket.socketpair()
    return Waiting(mine, "state", peer, deadline)


def test_hosts_are_counted() -> None:
    lounge = Lounge()
    one, two, other = waiting("192.0.2.1", 9.0), waiting("192.0.2.1", 9.0), waiting("192.0.2.2", 9.0)
    for each in (one, two, other):
        lounge.add(each)
    assert (len(lounge), lounge.from_host("192.0.2.1"), lounge.from_host("192.0.2.9")) == (3, 2, 0)
    lounge.remove(one)
    lounge.remove(one)
    assert (len(lounge), lounge.from_host("192.0.2.1")) == (2, 1)
    lounge.remove(two)
    assert lounge.from_host("192.0.2.1") == 0
    assert lounge.all() == [other]


def test_those_whose_time_is_over_come_in_order_and_once() -> None:
    lounge = Lounge()
    late, early, gone = waiting("a", 30.0), waiting("b", 10.0), waiting("c", 5.0)
    for each in (late, early, gone):
        lounge.add(each)
    lounge.remove(gone)
    assert lounge.next_deadline() == 10.0
    assert lounge.overdue(9.0) == []
    assert lounge.overdue(10.0) == [early] and early.timed_out
    lounge.remove(early)
    assert lounge.next_deadline() == 30.0
    lounge.remove(late)
    assert lounge.next_deadline() is None
