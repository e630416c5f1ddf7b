"""What a fault after a message has been written must not do: deliver it twice, or leave a lock for good."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyexim.base.clock import SystemClock
from pyexim.transports import maildir, mbox, newfile, paths
from pyexim.transports.locking import break_stale, take_lockfile
from pyexim.transports.newfile import NewFile
from pyexim.transports.write import Copy, WriteError

HOST = "lab.example"


def take(mailbox: Path):
    return take_lockfile(str(mailbox), host=HOST, mode=0o600, timeout=1800, retries=1, interval=0, clock=SystemClock())


def failing(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Let a function of os fail so many times with EIO."""
    real, left = getattr(os, name), [times]

    def call(*args: object, **kw: object) -> object:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "broken")
        return real(*args, **kw)

    monkeypatch.setattr(os, name, call)


def test_a_lock_file_is_removed_at_the_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = take(tmp_path / "box")
    failing(monkeypatch, "unlink", 1)
    lock.release()
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_stays_fails_nothing_and_binds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "box").write_bytes(b"old mail")
    lock = take(tmp_path / "box")
    with monkeypatch.context() as m:
        failing(m, "unlink", 2)
        lock.release()
    assert os.listdir(tmp_path) == ["box.lock", "box"] or sorted(os.listdir(tmp_path)) == ["box", "box.lock"]
    take(tmp_path / "box").release()
    assert os.listdir(tmp_path) == ["box"]


def test_a_lock_of_a_dead_process_is_broken_and_half_a_message_cut(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(b"old mail\n\nhalf a mess")
    pid = os.fork()
    if pid == 0:
        take(box).note(os.stat(box).st_ino, 10, 100)
        os._exit(0)
    os.waitpid(pid, 0)
    assert break_stale(f"{box}.lock", str(box), host=HOST, timeout=1800, now=0)
    assert box.read_bytes() == b"old mail\n\n"
    assert os.listdir(tmp_path) == ["box"]


def test_a_lock_of_a_living_process_stays(tmp_path: Path) -> None:
    (tmp_path / "box.lock").write_bytes(f"{os.getppid()} - {HOST} -\n".encode())
    now = os.stat(tmp_path / "box.lock").st_ctime
    assert not break_stale(f"{tmp_path}/box.lock", f"{tmp_path}/box", host=HOST, timeout=1800, now=now)


def test_a_directory_synced_at_the_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_bytes(b"x")
    failing(monkeypatch, "fsync", 1)
    newfile._sync_or_take_back(str(tmp_path), f"{tmp_path}/m")
    assert (tmp_path / "m").exists()


def test_a_message_without_a_safe_name_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_bytes(b"x")
    failing(monkeypatch, "fsync", 2)
    with pytest.raises(OSError):
        newfile._sync_or_take_back(str(tmp_path), f"{tmp_path}/m")
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_of_a_file_that_cannot_be_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "fchmod", 1)
    with pytest.raises(OSError):
        NewFile(str(tmp_path), "temporary", 0o600)
    assert os.listdir(tmp_path) == []


def test_a_body_that_cannot_be_read_is_not_half_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "D").write_bytes(b"body\n")
    fd = os.open(tmp_path / "D", os.O_RDONLY)
    copy = Copy(b"Subject: x\n\n", fd, 0, 5)
    assert copy.whole() == b"Subject: x\n\nbody\n"
    for shorter in (Copy(b"", fd, 0, 9), Copy(b"", fd, 0, 500_000)):
        with pytest.raises(WriteError):
            b"".join(shorter.chunks())
    failing(monkeypatch, "pread", 1)
    with pytest.raises(WriteError) as e:
        copy.whole()
    os.close(fd)
    assert e.value.errno == errno.EIO


def deliver(tmp_path: Path, in_order: bool, monkeypatch: pytest.MonkeyPatch, *, fd: int = -1) -> list[str]:
    """Deliver to a maildir; the order of what makes the delivery count."""
    steps: list[str] = []
    for sub in ("new", "cur", "tmp"):
        (tmp_path / "box" / sub).mkdir(parents=True)
    real = NewFile.publish

    def publish(self: NewFile, path: str, *, replace: bool = False) -> None:
        steps.append("name")
        real(self, path, replace=replace)

    monkeypatch.setattr(NewFile, "publish", publish)
    monkeypatch.setattr(newfile, "sync_directory", lambda path: steps.append("sync " + os.path.basename(path)))
    monkeypatch.setattr(newfile, "syncs_in_order", lambda device: in_order)
    with open(tmp_path / "D", "wb") as body:
        run = SimpleNamespace(
            scope=SimpleNamespace(services=SimpleNamespace(clock=SystemClock(), primary_hostname=HOST)),
            data_fd=body.fileno() if fd < 0 else fd,
            delivered=lambda *batch, sync=True: steps.append(f"journal {len(batch)} {sync}"))
        options = SimpleNamespace(maildir_tag=None, maildir_retries=10)
        maildir.deliver_maildir(str(tmp_path / "box"), [b"text"], run, options, 0o600, "t", 1, ["a", "b"])
    assert len(os.listdir(tmp_path / "box" / "new")) == 1
    return steps


def test_one_sync_settles_name_and_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deliver(tmp_path, True, monkeypatch) == ["name", "journal 2 True"]


def test_where_syncs_keep_no_order_the_name_is_safe_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deliver(tmp_path, False, monkeypatch) == ["name", "journal 2 False", "sync new", "journal 2 True"]


def test_on_another_device_the_journal_waits_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open("/proc/self/stat", os.O_RDONLY)
    try:
        assert deliver(tmp_path, True, monkeypatch, fd=fd) == ["name", "sync new", "journal 2 True"]
    finally:
        os.close(fd)


@pytest.mark.parametrize(("logs", "xfs", "want"), [
    (["sda1-8"], False, True), (["sda10-8"], False, False), (["sda1-x"], False, False), ([], True, True),
    ([], False, False), (None, False, False)])
def test_file_systems_with_one_log(logs: list[str] | None, xfs: bool, want: bool,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def listdir(path: str) -> list[str]:
        assert path == "/proc/fs/jbd2"
        if logs is None:
            raise FileNotFoundError(path)
        return logs

    monkeypatch.setattr(os, "readlink", lambda path: {"/sys/dev/block/8:1": "../../devices/block/sda/sda1"}[path])
    monkeypatch.setattr(os, "listdir", listdir)
    monkeypatch.setattr(os.path, "isdir", lambda path: xfs and path == "/sys/fs/xfs/sda1")
    assert paths.syncs_in_order.__wrapped__(os.makedev(8, 1)) is want


def test_a_file_system_without_a_device_keeps_no_order() -> None:
    assert not paths.syncs_in_order(os.stat("/proc").st_dev)


def test_a_failing_close_fails_no_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = NewFile(str(tmp_path), "temporary", 0o600)
    new.write([b"text"])
    new.publish(str(tmp_path / "m"))
    box = mbox.Mailbox(str(tmp_path / "m"), os.open(tmp_path / "m", os.O_RDWR), take(tmp_path / "m"), 4)
    with monkeypatch.context() as m:
        failing(m, "close", 2)
        new.abandon()
    with monkeypatch.context() as m:
        failing(m, "close", 1)
        box.close()
    os.close(new.fd)
    os.close(box.fd)
    assert os.listdir(tmp_path) == ["m"]
