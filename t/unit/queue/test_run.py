"""Queue runs: selection, order, stages and the lines that they log; the deliveries are stand-ins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from delivery_lab import World

from pyexim.base.clock import SystemClock
from pyexim.deliver import worker
from pyexim.deliver.api import Attempt, DeliverRun
from pyexim.model.message import Message, Recipient
from pyexim.queue.run import QueueRun, QueueRunner, describe, make_selector, order

IDS = [f"1vABCD-000000000Ab-000{i}" for i in range(5)]


@pytest.mark.parametrize(("options", "want"), [
    (QueueRun(), ""), (QueueRun(two_stage=True), " -qq"), (QueueRun(first_only=True), " -qi"),
    (QueueRun(two_stage=True, first_only=True, force_frozen=True, force=True), " -qqiff"),
    (QueueRun(force=True, local_only=True), " -qfl"), (QueueRun(recipient="nosuch"), " -R nosuch"),
    (QueueRun(sender="nosuch", force=True, force_frozen=True), " -qff -S nosuch"),
    (QueueRun(recipient="^no", recipient_regex=True), " -Rr ^no")])
def test_describe(options: QueueRun, want: str) -> None:
    assert describe(options) == want


@pytest.mark.parametrize(("options", "selected"), [
    (QueueRun(recipient="B@X"), True), (QueueRun(recipient="a@x"), False), (QueueRun(sender="sender"), True),
    (QueueRun(sender="other"), False), (QueueRun(sender="sender", recipient="zzz"), False),
    (QueueRun(recipient="^b@", recipient_regex=True), True), (QueueRun(recipient="^@", recipient_regex=True), False)])
def test_selection(options: QueueRun, selected: bool) -> None:
    message = Message(sender_address="Sender@y", recipients=[Recipient("a@x"), Recipient("b@x")],
                      nonrecipients={"a@x"})
    selector = make_selector(options)
    assert selector is not None and selector(message) is selected


def test_no_selection_and_wrong_expressions() -> None:
    assert make_selector(QueueRun()) is None
    with pytest.raises(ValueError, match="regular expression"):
        make_selector(QueueRun(recipient="(", recipient_regex=True))


def test_order() -> None:
    assert order(["c", "a", "b"], in_order=True) == ["a", "b", "c"]
    assert sorted(order(["c", "a", "b"], in_order=False)) == ["a", "b", "c"]


def go(world: World, options: QueueRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **values) -> list[str]:
    """Do a run; "id flags" of each attempt in the order of the attempts."""
    def deliver(message_id: str, run: DeliverRun) -> Attempt:
        names = ("force", "force_frozen", "first_only", "local_only", "routing_only")
        flags = [n for n in names if getattr(run, n)]
        assert run.queue_run
        with open(tmp_path / "done", "a") as f:
            f.write(" ".join([message_id[-1], *flags]) + "\n")
        return Attempt("kept")

    monkeypatch.setattr(worker, "deliver", deliver)
    world.services.clock = SystemClock()
    run = DeliverRun(world.config, world.services, world.spool)
    (tmp_path / "done").unlink(missing_ok=True)
    assert QueueRunner(options, lambda: run, run, **values).go() == 0
    return (tmp_path / "done").read_text().splitlines() if (tmp_path / "done").exists() else []


@pytest.fixture
def queue(world: World) -> World:
    world.config.main.queue_run_in_order = True
    for i, message_id in enumerate(IDS):
        world.queue_message([f"u{i}@lab.example"], message_id=message_id)
    return world


def test_plain_run(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert go(queue, QueueRun(), tmp_path, monkeypatch) == ["0", "1", "2", "3", "4"]
    assert queue.log.lines == [f"Start queue run: pid={os.getpid()}", f"End queue run: pid={os.getpid()}"]


def test_two_stages_flags_and_limits(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = QueueRun(two_stage=True, force=True, start_id=IDS[1], stop_id=IDS[2])
    assert go(queue, options, tmp_path, monkeypatch) == [
        "1 force routing_only", "2 force routing_only", "1 force", "2 force"]


def test_first_selected_message_is_forced(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert go(queue, QueueRun(recipient="@lab"), tmp_path, monkeypatch) == ["0 force", "1", "2", "3", "4"]
    assert go(queue, QueueRun(recipient="u3@"), tmp_path, monkeypatch) == ["3 force"]
    assert go(queue, QueueRun(sender="nobody"), tmp_path, monkeypatch) == []


def test_several_workers_do_every_message_once(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.config.main.queue_run_in_order = False
    assert sorted(go(queue, QueueRun(), tmp_path, monkeypatch, workers=3)) == ["0", "1", "2", "3", "4"]


def test_load_stops_the_run(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.config.main.deliver_queue_load_max = 5000
    assert go(queue, QueueRun(), tmp_path, monkeypatch, load_average=lambda: 9000) == []
    assert queue.log.lines[1] == f"Abandon queue run: pid={os.getpid()} (load 9.00, max 5.00)"


def test_orphans_are_removed(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = Path(queue.spool.directory) / "input" / "1vABCD-zzzzzzzzzzz-0000-D"
    orphan.write_text("1vABCD-zzzzzzzzzzz-0000-D\n")
    go(queue, QueueRun(), tmp_path, monkeypatch)
    assert not orphan.exists()
    assert f"removed orphan file {orphan.name}" in queue.log.lines


def test_named_queue(queue: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    queue.spool = replace(queue.spool, queue_name="slow")
    assert go(queue, QueueRun(), tmp_path, monkeypatch) == []
    assert queue.log.lines[0] == f"Start 'slow' queue run: pid={os.getpid()}"
