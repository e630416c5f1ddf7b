"""A delivery that has been made is not made again, whatever becomes of the processes and files around it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest
from delivery_lab import World, make_address, make_router, make_transport

from pyexim.deliver import plan, process
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.starter import collect, defer_all
from pyexim.model.address import Address
from pyexim.routers.base import Routed, RouteRun
from pyexim.spool.api import LockedMessage, read
from pyexim.transports.base import Result

ADDRESSES = ["a@lab.example", "b@lab.example"]


class Dying:
    """A starter whose child journals the delivery to "a" and dies before it tells anything."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def run_local(self, job) -> list[Result]:
        address = job.batch[0]
        self.jobs.append(str(address.address))
        if address.local_part == "a":
            os.write(job.journal_fd, str(address.unique).encode() + b"\n")
        return defer_all(job.batch, "the local delivery process ended without a result")


@pytest.fixture
def attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    transport, router = make_transport("tlocal"), make_router("local")

    def route(address: Address, run: RouteRun) -> object:
        address.router, address.transport = router, transport
        address.uid, address.gid = os.geteuid(), os.getegid()
        return Routed()

    monkeypatch.setattr(plan, "route_address", route)
    world.services.privileged = Dying()
    world.config.compiled["deliver.never_users"] = frozenset()
    return lambda message_id: process.deliver(message_id, DeliverRun(world.config, world.services, world.spool)).status


def test_what_the_journal_says_is_done(world: World, attempt: Callable[[str], str]) -> None:
    message_id = world.queue_message(ADDRESSES)
    attempt(message_id)
    assert sorted(world.services.privileged.jobs) == ADDRESSES
    assert "=> a <a@lab.example> R=local T=tlocal" in world.log.lines
    assert any(line.startswith("== b@lab.example") for line in world.log.lines)
    attempt(message_id)
    assert world.services.privileged.jobs.count("a@lab.example") == 1


def test_without_a_journal_nothing_is_delivered(world: World, attempt: Callable[[str], str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = world.queue_message(ADDRESSES)

    def full(self: LockedMessage) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LockedMessage, "journal_fd", full)
    assert attempt(message_id) == "kept"
    assert world.services.privileged.jobs == []
    assert read(world.spool, message_id).nonrecipients == set()
    assert any("journal" in line for line in world.log.panics)


def test_results_cut_off_are_deferrals() -> None:
    batch = [make_address("a@lab.example")]
    for data in (b"", b"[", b'[{"n": 0', b"[]", b'{"refused": "no"}', b"nonsense", b'[{"n": 7, "status": "ok"}]'):
        read_end, write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)
        results = collect(read_end, batch)
        os.close(read_end)
        assert [r.status for r in results] == ["defer"], data
