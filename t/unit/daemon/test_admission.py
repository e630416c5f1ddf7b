"""Admission, row by row: counts, peer, load and settings in, a verdict out."""

from __future__ import annotations

import pytest

from pyexim.daemon.admission import Admit, Counts, Refuse, Settings, decide

PEER = "[192.0.2.1]"


def verdict(settings: Settings, total: int, from_host: int = 0, *, per_host: int = 0, reserved: bool = False,
            load: int = 0) -> Admit | Refuse:
    return decide(settings, Counts(total, from_host), PEER, max_per_host=per_host, is_reserved=lambda: reserved,
                  load=lambda: load)


def test_below_every_limit() -> None:
    assert verdict(Settings(accept_max=5), 4) == Admit()


def test_no_limit_at_all() -> None:
    assert verdict(Settings(accept_max=0), 100_000) == Admit()


def test_too_many() -> None:
    assert verdict(Settings(accept_max=2), 2) == Refuse(
        "421 Too many concurrent SMTP connections; please try again later.",
        "Connection from [192.0.2.1] refused: too many connections")


def test_too_many_from_one_host() -> None:
    assert verdict(Settings(accept_max=9), 3, 2, per_host=2) == Refuse(
        "421 Too many concurrent SMTP connections from this IP address; please try again later.",
        "Connection from [192.0.2.1] refused: too many connections from that IP address")
    assert verdict(Settings(accept_max=9), 3, 1, per_host=2) == Admit()


RESERVE = Settings(accept_max=3, reserve=2, has_reserve_hosts=True, hostname="mx.example")


def test_reserve_is_for_its_hosts() -> None:
    assert verdict(RESERVE, 0) == Admit()
    assert verdict(RESERVE, 1) == Refuse(
        "421 mx.example: Too many concurrent SMTP connections; please try again later",
        "temporarily refused connection from [192.0.2.1]: not in reserve list: connected=1 max=3 reserve=2")
    assert verdict(RESERVE, 1, reserved=True) == Admit()
    assert isinstance(verdict(RESERVE, 3, reserved=True), Refuse)


LOADED = Settings(accept_max=5, reserve=1, load_reserve=2000, has_reserve_hosts=True, hostname="mx.example")


@pytest.mark.parametrize(("load", "reserved", "admitted"), [
    (2000, False, True), (2001, False, False), (9000, True, True), (0, False, True)])
def test_load(load: int, reserved: bool, admitted: bool) -> None:
    assert isinstance(verdict(LOADED, 0, load=load, reserved=reserved), Admit) is admitted


def test_load_refusal_tells_the_load() -> None:
    assert verdict(LOADED, 0, load=12340) == Refuse(
        "421 mx.example: Too much load; please try again later",
        "temporarily refused connection from [192.0.2.1]: not in reserve list and load average = 12.34")


def test_accept_queue() -> None:
    settings = Settings(accept_max=9, accept_queue=2)
    assert verdict(settings, 1) == Admit(queue_only=False)
    assert verdict(settings, 2) == Admit(queue_only=True)


def test_expensive_questions_are_not_asked_in_vain() -> None:
    def never() -> bool:
        raise AssertionError("asked in vain")

    assert decide(Settings(accept_max=5), Counts(0, 0), PEER, max_per_host=0, is_reserved=never,
                  load=never) == Admit()
