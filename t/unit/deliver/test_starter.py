"""The starter as a process, without privilege: jobs, refusals, children that die, files opened."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_lab import make_address, make_transport

from pyexim import child
from pyexim.deliver import starter
from pyexim.deliver.jobs import decode_job, decode_results, encode_job, encode_results, pack, unpack
from pyexim.deliver.starter import Client, Direct, LocalJob, StarterSettings
from pyexim.transports.base import Result

TRANSPORT = make_transport("t")


def run_job(job: str, header: str, data_fd: int, journal_fd: int, pipe: int, uid: int) -> int:
    """A stand-in for the child's work."""
    if job == "die":
        os.kill(os.getpid(), 9)
    if job == "half":
        os.write(pipe, b'[{"n":0,"sta')
        return 0
    os.write(journal_fd, header.encode())
    batch = [make_address("a@x"), make_address("b@x")]
    os.write(pipe, encode_results([Result(a, "ok", text=os.getcwd(), seconds=1.5) for a in batch], batch))
    return 0


def make_job(tmp_path: Path, job: str, **values) -> LocalJob:
    data = os.open(tmp_path / "D", os.O_RDWR | os.O_CREAT)
    journal = os.open(tmp_path / "J", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return LocalJob(job, "journal line\n", data, journal, os.geteuid(), os.getegid(), current_dir=str(tmp_path),
                    batch=[make_address(x, transport=TRANSPORT) for x in ("a@x", "b@x")], **values)


@pytest.fixture(params=["client", "direct"])
def way(request: pytest.FixtureRequest) -> Iterator[Client | Direct]:
    settings = StarterSettings(run_job, privileged=False)
    if request.param == "direct":
        yield Direct(settings)
        return
    pid, connector = starter.launch(settings)
    client = Client(connector.connect())
    yield client
    client.close()
    connector.close()
    child.wait(pid)


def test_results_come_back(way: Client | Direct, tmp_path: Path) -> None:
    job = make_job(tmp_path, "good")
    for _ in range(3):
        results = way.run_local(job)
        assert [(r.status, r.text, r.seconds) for r in results] == [("ok", str(tmp_path), 1.5)] * 2
        assert [r.address for r in results] == job.batch
    assert (tmp_path / "J").read_text() == "journal line\n" * 3


@pytest.mark.parametrize("kind", ["die", "half"])
def test_a_child_that_dies_defers_its_addresses(way: Client | Direct, tmp_path: Path, kind: str) -> None:
    results = way.run_local(make_job(tmp_path, kind))
    assert [r.status for r in results] == ["defer", "defer"]
    assert way.run_local(make_job(tmp_path, "good"))[0].status == "ok"


def test_directory_that_does_not_exist(way: Client | Direct, tmp_path: Path) -> None:
    job = make_job(tmp_path, "good")
    results = way.run_local(LocalJob(job.job, job.header, job.data_fd, job.journal_fd, job.uid, job.gid,
                                     current_dir="/nonexistent", batch=job.batch))
    assert results[0].errno == errno.ENOENT and results[0].text == "failed to chdir to /nonexistent"


def test_files_are_opened(way: Client | Direct, tmp_path: Path) -> None:
    (tmp_path / "forward").write_text("x@y")
    fd, number = way.open_file(str(tmp_path / "forward"), os.geteuid(), os.getegid(), None)
    assert number == 0 and os.read(fd, 10) == b"x@y"
    assert way.open_file(str(tmp_path / "none"), 1, 1, None) == (-1, errno.ENOENT)


def test_never_users() -> None:
    rules = StarterSettings(run_job, frozenset({0, 7}), privileged=True)
    assert starter.check_user(rules, 7, 7) == "User 7 is on the never_users list"
    assert starter.check_user(rules, 0, 0) is not None
    assert starter.check_user(rules, -1, 5) is not None
    assert starter.check_user(rules, 8, 8) is None
    assert starter.check_user(StarterSettings(run_job, privileged=False), 0, 0) is None


def test_a_starter_that_is_gone_defers(tmp_path: Path) -> None:
    pid, connector = starter.launch(StarterSettings(run_job, privileged=False))
    client = Client(connector.connect())
    os.kill(pid, 9)
    child.wait(pid)
    assert client.run_local(make_job(tmp_path, "good"))[0].status == "defer"
    assert client.open_file("/etc/passwd", 1, 1)[0] == -1


def test_jobs_keep_taint_and_ancestors() -> None:
    from pyexim.base.taint import Tainted, is_tainted
    from pyexim.config.configuration import Configuration
    from pyexim.config.main_options import MainOptions

    parent = make_address("list@x")
    one = make_address("caf\xe9@x", parent=parent, vars={"r_a": Tainted("b")}, home_dir="/home/x",
                       local_part_data="cafe", headers_add=["X: y\n"], uid=5)
    job = decode_job(encode_job("t", [one], home="/h"))
    from pyexim.deliver.jobs import unpack_address

    copy = unpack_address(job["batch"][0], Configuration(MainOptions(), "f"))
    assert copy.address == one.address and is_tainted(copy.address)
    assert copy.parent is not None and copy.parent.address == "list@x"
    assert copy.vars == {"r_a": "b"} and is_tainted(copy.vars["r_a"])
    assert not is_tainted(copy.local_part_data) and copy.uid == 5 and copy.headers_add == ["X: y\n"]
    assert unpack(pack({"a": [1, None, "x", Tainted("y")]})) == {"a": [1, None, "x", "y"]}


def test_results_that_are_not_whole_are_none() -> None:
    batch = [make_address("a@x"), make_address("b@x")]
    whole = encode_results([Result(a, "ok") for a in batch], batch)
    assert decode_results(whole, batch) is not None
    assert decode_results(whole[:-1], batch) is None
    assert decode_results(b"", batch) is None
    assert decode_results(encode_results([Result(batch[0], "ok")], batch), batch) is None


def pid_job(job: str, header: str, data_fd: int, journal_fd: int, pipe: int, uid: int) -> int:
    """A stand-in that tells which process did it."""
    if job == "crash":
        raise ValueError("as asked")
    batch = [make_address("a@x"), make_address("b@x")]
    os.write(pipe, encode_results([Result(a, "ok", text=str(os.getpid())) for a in batch], batch))
    return 0


@pytest.fixture
def staying() -> Iterator[Client]:
    pid, connector = starter.launch(StarterSettings(pid_job, privileged=False))
    client = Client(connector.connect())
    yield client
    client.close()
    connector.close()
    child.wait(pid)


def who_did(client: Client, job: LocalJob) -> str:
    time.sleep(0.05)  # for the word that the last child is free
    return client.run_local(job)[0].text


def test_a_child_stays_for_the_next_job_of_its_user(staying: Client, tmp_path: Path) -> None:
    job = make_job(tmp_path, "good", stay=True)
    first = who_did(staying, job)
    assert who_did(staying, job) == first == who_did(staying, job)
    other = make_job(tmp_path, "good", stay=True, user_name="somebody")
    second = who_did(staying, other)
    assert second != first
    assert who_did(staying, job) == first
    once = make_job(tmp_path, "good")
    assert who_did(staying, once) not in (first, second)


def test_a_child_that_crashes_does_not_stay(staying: Client, tmp_path: Path) -> None:
    told: list[str] = []
    staying.panic = told.append
    first = who_did(staying, make_job(tmp_path, "good", stay=True))
    assert who_did(staying, make_job(tmp_path, "crash", stay=True)) != first
    assert "as asked" in told[0]
    assert who_did(staying, make_job(tmp_path, "good", stay=True)) != first


def test_a_child_that_was_killed_is_not_used_again(staying: Client, tmp_path: Path) -> None:
    job = make_job(tmp_path, "good", stay=True)
    first = who_did(staying, job)
    os.kill(int(first), 9)
    assert who_did(staying, job) != first


def test_children_leave_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyexim.deliver import starting

    monkeypatch.setattr(starting, "STAY", 20)
    pid, connector = starter.launch(StarterSettings(pid_job, privileged=False))
    client = Client(connector.connect())
    job = make_job(tmp_path, "good", stay=True)
    seen = set()
    for _ in range(3):
        seen.add(client.run_local(job)[0].text)
        time.sleep(0.5)
    assert len(seen) == 3
    # Jobs that come just when a child is leaving are done all the same.
    for _ in range(40):
        assert client.run_local(job)[0].status == "ok"
        time.sleep(0.02)
    client.close()
    connector.close()
    child.wait(pid)
