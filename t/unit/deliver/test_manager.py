"""Manager and workers as processes, with a stand-in for the delivery itself."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from delivery_lab import World

from pyexim import fdpass
from pyexim.base.clock import SystemClock
from pyexim.deliver import worker
from pyexim.deliver.api import Attempt, DeliverRun
from pyexim.deliver.manager import Manager, worker_forker
from pyexim.deliver.pool import Parking, ProcessPool
from pyexim.transports.smtp_pool import LiveConnection


@pytest.fixture
def manager(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Manager]]:
    made: list[Manager] = []

    def make(deliver: Callable[[str, DeliverRun], Attempt], **values) -> Manager:
        monkeypatch.setattr(worker, "deliver", deliver)
        world.services.clock = SystemClock()
        fork = worker_forker(lambda: DeliverRun(world.config, world.services, world.spool), None, world.log)
        one = Manager(fork, SystemClock(), world.log, **values)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def run_until(manager: Manager, condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        manager.turn(0.05)


def test_jobs_are_done_once_each_with_their_flags(manager, tmp_path: Path) -> None:
    def deliver(message_id: str, run: DeliverRun) -> Attempt:
        with open(tmp_path / "done", "a") as f:
            f.write(f"{message_id} {run.spool.queue_name} {run.queue_run} {run.force}\n")
        return Attempt("completed")

    done: list[tuple[str, str]] = []
    one = manager(deliver, on_done=lambda i, s: done.append((i, s)), limit=2)
    for i in range(50):
        assert one.submit(f"id{i}", "", {"queue_run": True})
    assert not one.submit("id3")
    one.submit("id3", "other", {"force": True})
    run_until(one, lambda: len(done) == 51)
    lines = (tmp_path / "done").read_text().splitlines()
    assert sorted(lines) == sorted([*(f"id{i}  True False" for i in range(50)), "id3 other False True"])
    assert not one.busy()


def test_jobs_come_by_the_socket(manager, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    done: list[str] = []
    one = manager(lambda i, r: Attempt("kept"), on_done=lambda i, s: done.append(i), jobs=theirs)
    fdpass.send(ours, {"type": "deliver", "id": "a", "queue": ""})
    fdpass.send(ours, {"type": "nonsense"})
    fdpass.send(ours, {"type": "deliver", "id": "b", "queue": "q"})
    run_until(one, lambda: sorted(done) == ["a", "b"])
    one.stop()
    assert one.finished()


def test_a_dying_worker_loses_its_attempt_only(manager, world: World, tmp_path: Path) -> None:
    def deliver(message_id: str, run: DeliverRun) -> Attempt:
        if message_id == "bad":
            os.kill(os.getpid(), 9)
        return Attempt("completed")

    done: dict[str, str] = {}
    one = manager(deliver, on_done=done.__setitem__, limit=2)
    for name in ("a", "bad", "b", "c"):
        one.submit(name)
    run_until(one, lambda: len(done) == 4)
    assert done == {"a": "completed", "b": "completed", "c": "completed", "bad": "died"}
    assert "died (-9)" in world.log.panics[0]


def test_waiting_messages_go_to_the_same_worker_first(manager, tmp_path: Path) -> None:
    def deliver(message_id: str, run: DeliverRun) -> Attempt:
        with open(tmp_path / "order", "a") as f:
            f.write(f"{os.getpid()} {message_id}\n")
        return Attempt("completed", ["m9", "m7"], ("smtp", "h")) if message_id == "m0" else Attempt("completed")

    done: list[str] = []
    one = manager(deliver, on_done=lambda i, s: done.append(i), limit=1)
    for i in range(10):
        one.submit(f"m{i}")
    run_until(one, lambda: len(done) == 10)
    order = [line.split()[1] for line in (tmp_path / "order").read_text().splitlines()]
    assert order == ["m0", "m9", "m7", "m1", "m2", "m3", "m4", "m5", "m6", "m8"]


def live(key: str = "k", **values) -> tuple[LiveConnection, socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    return LiveConnection(client, "smtp", "h", "127.0.0.1", client.getpeername()[1], key, **values), server


def test_an_idle_worker_hands_its_connection_to_the_next(manager, tmp_path: Path) -> None:
    servers = []

    def deliver(message_id: str, run: DeliverRun) -> Attempt:
        pool = run.services.pool
        if message_id == "first":
            conn = LiveConnection(socket.create_connection(("127.0.0.1", port)), "smtp", "h", "127.0.0.1", port, "k")
            pool.park(conn)
            return Attempt("completed")
        conn = pool.take(["other", "k"])
        (tmp_path / message_id).write_text(f"{os.getpid()} {conn.messages if conn else None}")
        if conn is not None:
            conn.sock.sendall(b"hello " + message_id.encode() + b"\n")
        time.sleep(0.3)
        return Attempt("completed")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    done: list[str] = []
    one = manager(deliver, on_done=lambda i, s: done.append(i), limit=2)
    one.submit("first")
    run_until(one, lambda: len(one.parking) == 1)
    servers.append(listener.accept()[0])
    # The worker that was first is kept busy, so that another one must take the connection.
    one.submit("second")
    one.submit("third")
    run_until(one, lambda: len(done) == 3)
    texts = [(tmp_path / n).read_text() for n in ("second", "third")]
    assert sorted(t.split()[1] for t in texts) == ["1", "None"]
    assert servers[0].recv(100).startswith(b"hello ")
    listener.close()


def test_parked_connections_end_with_quit() -> None:
    clock = SystemClock()
    poll = select.poll()
    parking = Parking(poll, clock, linger=0.05)
    conn, server = live()
    parking.add(conn.state(), os.dup(conn.fileno()))
    conn.sock.close()
    assert parking.take(["x"]) is None
    time.sleep(0.06)
    parking.expire()
    assert len(parking) == 0
    assert server.recv(100) == b"QUIT\r\n"
    assert server.recv(100) == b""


def test_process_pool() -> None:
    pool = ProcessPool(SystemClock(), linger=100)
    one, server_one = live("a")
    two, server_two = live("b", limit=2, messages=2)
    pool.park(one)
    pool.park(two)
    assert server_two.recv(100) == b"QUIT\r\n"
    assert pool.has("smtp", "h") and len(pool) == 1
    assert pool.take(["b"]) is None
    assert pool.take(["b", "a"]) is one
    pool.park(one)
    server_one.close()
    time.sleep(0.01)
    assert pool.take(["a"]) is None
    pool.close()
