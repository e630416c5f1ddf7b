"""Messages with broken spool files are reported in Exim's words, and kept for keep_malformed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery_lab import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyexim.base.messageid import received_second
from pyexim.deliver import process
from pyexim.deliver.api import DeliverRun
from pyexim.spool.api import lock

ID = "1vABCD-000000000Ab-1234"


@pytest.fixture
def attempt(world: World) -> Callable[[float], str]:
    world.queue_message(["a@lab.example"], message_id=ID)

    def go(age: float) -> str:
        world.clock.now = received_second(ID) + age
        return process.deliver(ID, DeliverRun(world.config, world.services, world.spool)).status

    return go


def path(world: World, suffix: str) -> Path:
    return Path(world.spool.directory) / "input" / (ID + suffix)


def test_a_malformed_header_file_is_kept_and_then_removed(world: World, attempt: Callable[[float], str]) -> None:
    path(world, "-H").write_bytes(b"garbage\n")
    path(world, "-J").write_bytes(b"a@lab.example\n")
    keep = world.config.main.keep_malformed
    assert attempt(keep) == "broken"
    assert world.log.lines == [f"Format error in spool file {ID}-H: size=8"]
    assert len(os.listdir(path(world, "-H").parent)) == 3
    assert attempt(keep + 1) == "broken"
    assert world.log.lines[1:] == [f"Format error in spool file {ID}-H: size=8",
                                   "Message removed because older than 4d"]
    assert os.listdir(path(world, "-H").parent) == [] and not world.log.panics


def test_what_another_process_has_stays(world: World, attempt: Callable[[float], str],
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    path(world, "-H").write_bytes(b"")
    answers = [True, False]
    monkeypatch.setattr("pyexim.spool.locked.try_lock", lambda fd: answers.pop(0))
    attempt(1e9)
    assert world.log.lines == [f"Format error in spool file {ID}-H: size=0"]
    assert path(world, "-H").exists() and path(world, "-D").exists()


def test_what_cannot_be_read_now_may_be_later(world: World, attempt: Callable[[float], str]) -> None:
    path(world, "-H").unlink()
    path(world, "-H").mkdir()
    assert attempt(1e9) == "broken"
    assert world.log.lines == [f"Error reading spool file {ID}-H: Is a directory"]
    assert path(world, "-D").exists()


def test_a_data_file_that_is_another_ones_is_kept(world: World, attempt: Callable[[float], str]) -> None:
    path(world, "-D").write_bytes(b"")
    assert attempt(1e9) == "broken"
    assert world.log.lines == [f"Format error in spool file {ID}-D: size=0"]
    assert path(world, "-H").exists()


@given(st.binary(max_size=200), st.binary(max_size=60), st.integers(0, 2000), st.integers(0, 30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_files_crash_an_attempt(world: World, damage: bytes, journal: bytes, at: int, cut: int) -> None:
    if not path(world, "-H").exists():
        world.queue_message(["nosuch@lab.example"], message_id=ID)
    whole = path(world, "-H").read_bytes()
    path(world, "-H").write_bytes(whole[:at] + damage + whole[at + cut:])
    path(world, "-J").write_bytes(journal)
    world.log.panics.clear()
    status = process.deliver(ID, DeliverRun(world.config, world.services, world.spool)).status
    assert status != "gone" and not world.log.panics
    if path(world, "-H").exists():
        for name in os.listdir(path(world, "-H").parent):
            os.unlink(path(world, "-H").parent / name)
    world.queue_message(["nosuch@lab.example"], message_id=ID)
    message = lock(world.spool, ID)
    assert message is not None
    message.close()
