"""A delivery that has been made is not made again, whatever becomes of the processes and files around it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from delivery_lab import World, make_address, make_router, make_transport

from pyexim.deliver import local, plan, process
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.starter import defer_all, results_of
from pyexim.model.address import Address
from pyexim.model.message import Message
from pyexim.routers.base import Routed, RouteRun
from pyexim.spool import locked
from pyexim.spool.api import LockedMessage, read
from pyexim.transports.base import Result, TransportRun

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


def test_a_full_disk_is_seen_before_anything_is_delivered(world: World, attempt: Callable[[str], str],
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = world.queue_message(ADDRESSES)
    monkeypatch.setattr(os, "fstatvfs", lambda fd: SimpleNamespace(f_bavail=0))
    assert attempt(message_id) == "kept"  # b is deferred: what says so is that a was tried
    assert sorted(world.services.privileged.jobs) == ADDRESSES
    monkeypatch.setattr(locked, "append_line", full)
    assert attempt(message_id) == "kept"
    assert len(world.services.privileged.jobs) == 2
    assert any("journal" in line for line in world.log.panics)


def full(*_args: object, **_kw: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Full(Dying):
    """A starter whose deliveries fail because a disk is full."""

    def run_local(self, job) -> list[Result]:
        self.jobs.append(str(job.batch[0].address))
        return [Result(a, "defer", errno=errno.ENOSPC) for a in job.batch]


@pytest.mark.parametrize("works", [False, True])
def test_after_trouble_with_a_disk_the_journal_is_tried_first(works: bool, world: World, attempt: Callable[[str], str],
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = world.queue_message(ADDRESSES)
    world.services.privileged = Full()
    if not works:
        monkeypatch.setattr(locked, "append_line", full)
    assert attempt(message_id) == "kept"
    assert len(world.services.privileged.jobs) == 1 + works
    assert any("the journal cannot be written" in line for line in world.log.lines) != works


def test_an_entry_is_made_once_and_synced_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[bytes, bool]] = []
    monkeypatch.setattr(local, "append_line", lambda fd, line, *, sync: calls.append((line, sync)))
    told: list[int] = []

    class Twice:
        def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
            told.extend([run.delivered(*batch, sync=False), run.delivered(*batch), run.delivered(*batch)])
            return [Result(a, "ok") for a in batch]

    transport = make_transport("tlocal")
    transport.driver = Twice()
    world.config.transports["tlocal"] = transport
    values = {"transport": "tlocal", "return_path": "", "uid": 0, "gid": 0}
    batch = [make_address("a@lab.example", transport=transport)]
    result, = local.deliver_batch(values, batch, Message(), world.config, world.services, -1, -1, True)
    assert calls == [(b"a@lab.example\n", False), (b"", False), (b"", True)]
    assert told == [0, 0, 0] and result.journal_error == 0
    monkeypatch.setattr(local, "append_line", full)
    result, = local.deliver_batch(values, batch, Message(), world.config, world.services, -1, -1, True)
    assert told[3] == errno.ENOSPC and result.journal_error == errno.ENOSPC


def test_results_cut_off_are_deferrals() -> None:
    batch = [make_address("a@lab.example")]
    for data in (b"", b"[", b'[{"n": 0', b"[]", b'{"refused": "no"}', b"nonsense", b'[{"n": 7, "status": "ok"}]'):
        results = results_of(data, batch)
        assert [r.status for r in results] == ["defer"], data
