"""Files and directories: formats, checks with their texts, locks, quotas; texts as observed of Exim."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from delivery import Delivery

from pyexim.base.clock import FixedClock
from pyexim.base.errors import ConfigError
from pyexim.transports import locking, newfile


def into_file(path: Path, **options: Any) -> Delivery:
    return Delivery("appendfile", file=str(path), lock_retries=1, lock_interval=1, **options)


def test_mbox(tmp_path: Path) -> None:
    d = into_file(tmp_path / "box")
    d.services.clock = FixedClock()
    for _ in range(2):
        assert d.run(d.message(body=b"From me\n.dot\n"))[0].status == "ok"
    text = (tmp_path / "box").read_text()
    one = text[:len(text) // 2]
    assert text == one * 2
    assert one.startswith("From s@test.example ") and one.endswith("\nSubject: x\n\n>From me\n.dot\n\n")
    assert os.listdir(tmp_path) == ["box"] and d.delivered == ["a@r.example"] * 2
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o600


def test_a_bounce_comes_from_mailer_daemon(tmp_path: Path) -> None:
    d = into_file(tmp_path / "box")
    d.run(d.message(sender_address=""))
    assert (tmp_path / "box").read_text().startswith("From MAILER-DAEMON ")


def test_a_large_message(tmp_path: Path) -> None:
    d = into_file(tmp_path / "box")
    body = b"From x\n" * 400_000 + b"no newline"
    assert d.run(d.message(body=body))[0].status == "ok"
    assert (tmp_path / "box").read_bytes().endswith(b">From x\n" * 400_000 + b"no newline\n\n")


def test_batched_smtp(tmp_path: Path) -> None:
    d = into_file(tmp_path / "box", use_bsmtp=True, batch_max=5, message_prefix="HELO x\n")
    d.run(d.message(body=b"From me\n.dot\n"), to="a@r.example b@r.example")
    assert (tmp_path / "box").read_text() == (
        "HELO x\nMAIL FROM:<s@test.example>\nRCPT TO:<a@r.example>\nRCPT TO:<b@r.example>\nDATA\nSubject: x\n\n"
        "From me\n..dot\n.\n")


def test_batched_smtp_with_crlf(tmp_path: Path) -> None:
    d = into_file(tmp_path / "box", use_bsmtp=True, use_crlf=True)
    d.run()
    assert (tmp_path / "box").read_bytes() == (
        b"MAIL FROM:<s@test.example>\r\nRCPT TO:<a@r.example>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n")


@pytest.mark.parametrize(("prepare", "options", "number", "text"), [
    (lambda p: p.mkdir(), {}, -4, "mailbox {} has too many links (2)"),
    (lambda p: os.mkfifo(p, 0o600), {}, -4, "mailbox {} is not a regular file"),
    (lambda p: p.symlink_to("other"), {}, -3, "mailbox {} is a symlink"),
    (lambda p: (p.touch(), p.chmod(0o400)), {}, -7, "mailbox {} has the wrong mode 400 (600 expected)"),
    (lambda p: None, {"file_must_exist": True}, 2, "mailbox {} does not exist, but file_must_exist is set"),
    (lambda p: None, {"create_file": "/nowhere"}, -34,
     "mailbox {} does not exist, but creation outside the home directory is not permitted"),
    (lambda p: p.write_text("hello"), {"file_format": "From : t2", "mode": 0o644}, -33,
     "mailbox file format unrecognized"),
    (lambda p: (p.with_name("box.lock")).touch(), {}, -9, "failed to lock mailbox {} (lock file)"),
    (lambda p: None, {"quota": "10"}, -22, "mailbox is full (MTA-imposed quota exceeded while writing to {})"),
    (lambda p: None, {"quota": "abc"}, -1, 'Malformed value "abc" (expansion of "abc") in t transport'),
])
def test_refusals(prepare: Any, options: dict[str, Any], number: int, text: str, tmp_path: Path) -> None:
    box = tmp_path / "box"
    prepare(box)
    d = into_file(box, **options)
    result, = d.run()
    assert (result.status, result.errno, result.text) == ("defer", number, text.format(box))
    assert d.delivered == []


def test_names(tmp_path: Path) -> None:
    for source, number, text in (
            ("foo/box", -21, 'appendfile: file or directory name "foo/box" is not absolute'),
            ("/tmp/$local_part", -1, "Tainted '/tmp/a' (file or directory name for t transport) not permitted"),
            ("${if xx}", -1, 'Expansion of "${if xx}" (file or directory name for t transport) failed: '
                             'unknown condition "xx"')):
        result, = Delivery("appendfile", file=source).run(to="a@r.example")
        if "Tainted" in text and result.status == "ok":
            os.unlink("/tmp/a")
            pytest.skip("local parts of tests are not tainted")
        assert (result.status, result.errno, result.text) == ("defer", number, text)


def test_create_file_below_takes_the_taint_away(tmp_path: Path) -> None:
    d = Delivery("appendfile", file=f"{tmp_path}/$local_part", create_file=str(tmp_path))
    assert d.run()[0].status == "ok"
    beside = f"{tmp_path}/../{tmp_path.name}-x"
    assert Delivery("appendfile", file=beside, create_file=str(tmp_path)).run()[0].errno == -34


def test_dev_null() -> None:
    d = Delivery("appendfile", file="/dev/null")
    assert d.run()[0].status == "ok" and d.delivered == ["a@r.example"]


def test_a_lock_of_another_process_is_respected(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.touch(0o600)
    pid = os.fork()
    if pid == 0:
        import time
        with open(box, "r+") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            (tmp_path / "held").touch()
            time.sleep(20)
        os._exit(0)
    try:
        while not (tmp_path / "held").exists():
            pass
        result, = into_file(box, use_lockfile=False).run()
        assert (result.errno, result.text) == (-9, f"failed to lock mailbox {box} (fcntl/flock)")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def dead_process() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.mark.parametrize(("size", "kept"), [(100, 60), (60, 60), (160, 160), (200, 200)])
def test_the_lock_of_a_dead_process_is_broken_and_its_half_message_cut(size: int, kept: int, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(b"x" * size)
    box.chmod(0o600)
    lock = tmp_path / "box.lock"
    lock.write_text(f"{dead_process()} 1 test.example - {box.stat().st_ino} 60 160          \n")
    assert into_file(box).run()[0].status == "ok"
    assert box.read_bytes()[:kept] == b"x" * kept and box.read_bytes()[kept:kept + 5] == b"From "
    assert not lock.exists()


@pytest.mark.parametrize("content", ["", "junk", "1 1 other.example -", f"{os.getppid()} - test.example -"])
def test_other_locks_are_left_alone(content: str, tmp_path: Path) -> None:
    lock = tmp_path / "box.lock"
    lock.write_text(content)
    assert into_file(tmp_path / "box").run()[0].errno == -9
    assert lock.read_text() == content


def test_a_lock_that_is_too_old_goes(tmp_path: Path) -> None:
    (tmp_path / "box.lock").touch()
    assert into_file(tmp_path / "box", lockfile_timeout=0).run()[0].status == "ok"


def test_a_failed_write_leaves_the_mailbox_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tmp_path / "box"
    into_file(box).run()
    before = box.read_bytes()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result, = into_file(box).run()
    assert (result.status, result.errno, result.text) == ("defer", errno.ENOSPC, f"error while writing to {box}")
    assert box.read_bytes() == before and os.listdir(tmp_path) == ["box"]


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("options", [{"maildir_format": True}, {"mailstore_format": True}, {}])
def test_a_file_that_cannot_be_journalled_is_taken_back(options: dict[str, Any], in_order: bool, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newfile, "syncs_in_order", lambda device: in_order)
    d = Delivery("appendfile", directory=f"{tmp_path}/d", **options)
    d.journal_errno = errno.ENOSPC
    result, = d.run()
    assert (result.status, result.errno) == ("defer", errno.ENOSPC)
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []
    d.journal_errno = 0
    assert d.run()[0].status == "ok" and d.delivered == ["a@r.example"]


def test_a_message_that_cannot_be_journalled_is_cut_off_again(tmp_path: Path) -> None:
    box = tmp_path / "box"
    into_file(box).run()
    before = box.read_bytes()
    d = into_file(box)
    d.journal_errno = errno.EIO
    result, = d.run()
    assert (result.status, result.errno, result.text) == ("defer", errno.EIO, f"error while writing to {box}")
    assert box.read_bytes() == before and os.listdir(tmp_path) == ["box"]


def test_what_others_have_appended_to_meanwhile_stays(tmp_path: Path) -> None:
    box = tmp_path / "box"
    d = into_file(box)

    def journal(*batch: object, sync: bool = True) -> int:
        with box.open("ab") as f:
            f.write(b"another message\n")
        return errno.ENOSPC

    assert d.run(delivered=journal)[0].status == "ok"
    assert box.read_bytes().endswith(b"body\n\nanother message\n")


def test_maildir(tmp_path: Path) -> None:
    d = Delivery("appendfile", directory=f"{tmp_path}/d", maildir_format=True, maildir_tag=",S=$message_size")
    for _ in range(3):
        result, = d.run()
        assert result.status == "ok"
    names = os.listdir(tmp_path / "d/new")
    assert len(names) == 3 and all(n.endswith(".test.example,S=17") for n in names)
    assert (tmp_path / "d/new" / names[0]).read_text() == "Subject: x\n\nbody\n"
    assert os.listdir(tmp_path / "d/tmp") == os.listdir(tmp_path / "d/cur") == []
    assert result.file_name is not None and os.path.exists(result.file_name)


def test_maildir_without_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    d = Delivery("appendfile", directory=f"{tmp_path}/d", maildir_format=True)
    assert d.run()[0].status == "ok"
    assert len(os.listdir(tmp_path / "d/new")) == 1 and os.listdir(tmp_path / "d/tmp") == []
    assert into_file(tmp_path / "box").run()[0].status == "ok"
    assert sorted(os.listdir(tmp_path)) == ["box", "d"]


def test_maildirsize(tmp_path: Path) -> None:
    options: dict[str, Any] = {"directory": f"{tmp_path}/d", "maildir_format": True, "maildir_use_size_file": True}
    d = Delivery("appendfile", quota="1M", **options)
    d.run()
    d.run()
    assert (tmp_path / "d/maildirsize").read_text() == "1048576S,0C\n0 0\n17 1\n17 1\n"
    small = Delivery("appendfile", quota="40", **options)
    result, = small.run()
    assert (tmp_path / "d/maildirsize").read_text() == "40S,0C\n34 2\n"
    (tmp_path / "d/new" / sorted(os.listdir(tmp_path / "d/new"))[0]).unlink()
    assert small.run()[0].errno == -22  # just counted, and believed
    os.utime(tmp_path / "d/maildirsize", (0, 0))
    assert small.run()[0].status == "ok"
    assert (tmp_path / "d/maildirsize").read_text() == "40S,0C\n17 1\n17 1\n"
    result, = small.run()
    assert result.errno == -22 and "MTA-imposed quota exceeded while writing to tmp/" in result.text


def test_file_count(tmp_path: Path) -> None:
    d = Delivery("appendfile", directory=f"{tmp_path}/d", maildir_format=True, quota="10K", quota_filecount="4")
    # As with the limit on inodes, the directories count: tmp, new and cur.
    assert d.run()[0].status == "ok"
    assert "MTA-imposed filecount quota exceeded" in d.run()[0].text


def test_a_folder_and_missing_directories(tmp_path: Path) -> None:
    d = Delivery("appendfile", directory=f"{tmp_path}/u/.lists", maildir_format=True,
                 maildirfolder_create_regex=r"/\.[^/]+$")
    assert d.run()[0].status == "ok" and (tmp_path / "u/.lists/maildirfolder").exists()
    d = Delivery("appendfile", directory=f"{tmp_path}/none", maildir_format=True, create_directory=False)
    result, = d.run()
    assert (result.errno, result.text) == (2, f"stat() error for {tmp_path}/none: No such file or directory")


def test_mailstore(tmp_path: Path) -> None:
    d = Delivery("appendfile", directory=f"{tmp_path}/d", mailstore_format=True, mailstore_prefix="pre",
                 mailstore_suffix="suf")
    assert d.run()[0].status == "ok"
    envelope, message = sorted(os.listdir(tmp_path / "d"))
    assert envelope.endswith(".env") and message == envelope[:-4] + ".msg"
    assert (tmp_path / "d" / envelope).read_text() == "pre\ns@test.example\na@r.example\nsuf\n"
    assert (tmp_path / "d" / message).read_text() == "Subject: x\n\nbody\n"


def test_new_file(tmp_path: Path) -> None:
    d = Delivery("appendfile", directory=f"{tmp_path}/d")
    assert d.run()[0].status == "ok"
    name, = os.listdir(tmp_path / "d")
    assert name.startswith("q") and name.endswith(f"-{(tmp_path / 'd' / name).stat().st_ino}")


def test_warning(tmp_path: Path) -> None:
    sent: list[tuple[list[str], bytes]] = []
    d = into_file(tmp_path / "box", quota="1K", quota_warn_threshold="5%")
    d.services.submit = lambda arguments, text: sent.append((arguments, text)) or 0
    d.run()
    d.run()
    (arguments, text), = sent
    assert "-t" in arguments and b"To: a@r.example\nSubject: Your mailbox\n" in text
    assert text.startswith(b"Auto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@test.example>\n")


@pytest.mark.parametrize("options", [
    {"file": "/x", "directory": "/y"},
    {"directory": "/x", "maildir_format": True, "mailstore_format": True}, {"file": "/x", "create_file": "somewhere"},
    {"directory": "/x", "quota_size_regex": "("},
    {"file": "/x", "use_lockfile": False, "use_fcntl_lock": False}, {"body_only": True, "headers_only": True}])
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Delivery("appendfile", **options)


def test_lock_note(tmp_path: Path) -> None:
    from pyexim.base.clock import SystemClock
    lock = locking.take_lockfile(str(tmp_path / "b"), host=socket.gethostname(), mode=0o600, timeout=1800, retries=1,
                                 interval=1, clock=SystemClock())
    lock.note(7, 10, 20)
    fields = (tmp_path / "b.lock").read_text().split()
    assert fields[0] == str(os.getpid()) and fields[-3:] == ["7", "10", "20"]
    lock.release()
    assert os.listdir(tmp_path) == []
