"""The -M switches: what they do, say and log, as the real Exim 4.96 does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from delivery_lab import World

from pyexim.queue.actions import ActionRun, act, is_action
from pyexim.spool.api import SpoolSettings, read

GONE = "1vABCD-000000000Zz-0000"


class Desk:
    """An administrator at work."""

    def __init__(self, world: World, **values) -> None:
        self.world = world
        self.out = b""
        fields = {"login": "root", "uid": 0, "admin": True, "now": world.clock.now, **values}
        self.run = ActionRun(spool=world.spool, log=world.log, write=self.write, **fields)

    def write(self, data: bytes) -> None:
        self.out += data

    def __call__(self, switch: str, *arguments: str) -> tuple[int, str]:
        self.out = b""
        self.world.log.lines.clear()
        code = act(switch, list(arguments), self.run)
        return code, self.out.decode("latin-1")


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.fixture
def message_id(world: World) -> str:
    return world.queue_message(["a@lab.example", "b@lab.example"])


def test_freeze_and_thaw(world: World, desk: Desk, message_id: str) -> None:
    assert desk("Mf", message_id) == (0, f"Message {message_id} is now frozen\n")
    assert world.log.lines == ["frozen by root"]
    assert read(world.spool, message_id).frozen_since == world.clock.now
    assert desk("Mf", message_id) == (1, f"Message {message_id} is already frozen\n")
    assert desk("Mt", message_id) == (0, f"Message {message_id} is no longer frozen\n")
    assert world.log.lines == ["unfrozen by root"]
    assert read(world.spool, message_id).frozen_since is None
    assert desk("Mt", message_id) == (1, f"Message {message_id} is not frozen\n")


def test_remove(world: World, desk: Desk, message_id: str) -> None:
    assert desk("Mrm", message_id) == (0, f"Message {message_id} has been removed\n")
    assert world.log.lines == ["removed by root", "Completed"]
    assert os.listdir(f"{world.spool.directory}/input") == []
    code, text = desk("Mrm", message_id)
    assert (code, text) == (1, f"Spool data file for {message_id} does not exist\n"
                            "Continuing, to ensure all files removed\n"
                            f"Spool read error for {message_id}-H: No such file or directory\n"
                            "Continuing to ensure all files removed\n"
                            f"Message {message_id} has been removed or did not exist\n")
    assert world.log.lines == [f"Spool file {message_id}-D not found"]


def test_remove_by_others(world: World, message_id: str) -> None:
    assert Desk(world, admin=False, uid=77)("Mrm", message_id) == (1, "Permission denied\n")
    assert Desk(world, admin=False, uid=0)("Mrm", message_id)[0] == 0


def test_remove_a_broken_message(world: World, desk: Desk, message_id: str) -> None:
    (Path(world.spool.directory) / "input" / f"{message_id}-H").write_text("x\n")
    assert desk("Mrm", message_id)[0] == 0
    assert os.listdir(f"{world.spool.directory}/input") == []


def test_edit_recipients(world: World, desk: Desk, message_id: str) -> None:
    assert desk("Mar", message_id, "c@lab.example", "foo") == (
        1, f"Message {message_id} - error while adding recipient:\n  bad address foo: domain missing\n")
    assert desk("Mar", message_id, "c@LAB.example") == (0, f"Message {message_id} has been modified\n")
    assert world.log.lines == ["recipient <c@lab.example> added by root"]
    assert desk("Mmd", message_id, "c@lab.example", "zz@y", "zy@y") == (
        1, f"Message {message_id} - error while marking as delivered:\n"
        "  zz@y is not a recipient: message not updated\n"
        "- error while marking as delivered:\n  zy@y is not a recipient: message not updated\n")
    assert desk("Mmd", message_id, "c@lab.example") == (0, f"Message {message_id} has been modified\n")
    assert world.log.lines == ["address <c@lab.example> marked delivered by root"]
    message = read(world.spool, message_id)
    assert [r.address for r in message.recipients] == ["a@lab.example", "b@lab.example", "c@lab.example"]
    assert message.nonrecipients == {"c@lab.example"}


def test_mark_all_delivered(world: World, desk: Desk, message_id: str) -> None:
    assert desk("Mmad", message_id) == (0, f"Message {message_id} has been modified\n\n")
    assert world.log.lines == ["address <a@lab.example> marked delivered by root",
                               "address <b@lab.example> marked delivered by root"]
    assert read(world.spool, message_id).nonrecipients == {"a@lab.example", "b@lab.example"}


def test_edit_sender(world: World, desk: Desk, message_id: str) -> None:
    assert desk("Mes", message_id, "foo") == (
        1, f"Message {message_id} - error while editing sender:\n  bad address foo: domain missing\n")
    assert desk("Mes", message_id, "<x@y.z>") == (0, f"Message {message_id} has been modified\n")
    assert world.log.lines == ["sender address changed to <x@y.z> by root"]
    assert desk("Mes", message_id, "<>")[0] == 0
    assert read(world.spool, message_id).sender_address == ""


def test_show(world: World, desk: Desk, message_id: str) -> None:
    header = (Path(world.spool.directory) / "input" / f"{message_id}-H").read_text()
    assert desk("Mvh", message_id) == (0, header)
    assert desk("Mvb", message_id) == (0, f"{message_id}-D\nbody\n")
    assert desk("Mvc", message_id) == (0, f"Subject: t\nMessage-Id: <E{message_id}@lab.example>\n\nbody\n")
    os.makedirs(f"{world.spool.directory}/msglog", exist_ok=True)
    Path(f"{world.spool.directory}/msglog/{message_id}").write_text("a line\n")
    assert desk("Mvl", message_id) == (0, "a line\n")
    assert desk("Mvh", GONE) == (1, f"Failed to open input file for {GONE}-H: No such file or directory\n")
    assert desk("Mvb", GONE) == (1, f"Failed to open input file for {GONE}-D: No such file or directory\n")
    assert desk("Mvl", GONE) == (1, f"Failed to open msglog file for {GONE}: No such file or directory\n")


def test_messages_that_are_not_there(world: World, desk: Desk, message_id: str) -> None:
    for switch, arguments in (("Mf", ()), ("Mt", ()), ("Mar", ("a@b",))):
        assert desk(switch, GONE, *arguments) == (1, f"Spool data file for {GONE} does not exist\n")
        assert world.log.lines == [f"Spool file {GONE}-D not found"]
    code, text = desk("Mf", GONE, message_id)
    assert code == 1 and text.endswith(f"Message {message_id} is now frozen\n")


def test_move_to_another_queue(world: World, desk: Desk, message_id: str) -> None:
    desk.run.destination = "qn"
    assert desk("MG", message_id) == (0, f"Message {message_id} \n")
    assert world.log.lines == ["moved from input, msglog to (qn) input, msglog"]
    assert os.listdir(f"{world.spool.directory}/input") == []
    other = SpoolSettings(world.spool.directory, queue_name="qn", fsync=False)
    assert read(other, message_id).recipients[0].address == "a@lab.example"
    desk.run.spool, desk.run.destination = other, ""
    assert desk("MG", message_id)[0] == 0
    assert world.log.lines == ["moved from (qn) input, msglog to input, msglog"]
    assert read(world.spool, message_id).recipients[0].address == "a@lab.example"


def test_which_switches_are_done_here() -> None:
    assert all(is_action(s) for s in ("Mf", "Mt", "Mrm", "Mmad", "MG", "Mar", "Mmd", "Mes", "Mvh", "Mvb", "Mvl", "Mvc"))
    assert not is_action("M") and not is_action("Mg")
