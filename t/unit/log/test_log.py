"""The log files: their lines, and what happens when a file cannot be written or is moved away."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pyexim.base.clock import FixedClock
from pyexim.log.log import Log, LogSettings
from pyexim.log.selectors import parse


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogSettings:
    return LogSettings(file_path=f"{tmp_path}/%slog")


def stamp(log: Log) -> str:
    return log.time_stamp()


def test_lines(settings: LogSettings, tmp_path: Path) -> None:
    log = Log(settings, FixedClock())
    log.main("plain")
    log.main("with id", message_id="16VDhn-000000001bo-D342")
    log.main("two\nlines")
    at = stamp(log)
    assert (tmp_path / "mainlog").read_text() == (
        f"{at} plain\n{at} 16VDhn-000000001bo-D342 with id\n{at} two lines\n")


def test_pid_and_milliseconds(settings: LogSettings, tmp_path: Path) -> None:
    log = Log(replace(settings, pid=True, millisec=True), FixedClock(1_000_000_000.1239))
    log.main("x")
    line = (tmp_path / "mainlog").read_text()
    assert line.endswith(f".123 [{os.getpid()}] x\n")


def test_a_rejection_stands_in_two_logs_with_the_header_in_one(settings: LogSettings, tmp_path: Path) -> None:
    log = Log(settings, FixedClock())
    log.reject("rejected", headers="F From: x\n")
    at = stamp(log)
    assert (tmp_path / "mainlog").read_text() == f"{at} rejected\n"
    assert (tmp_path / "rejectlog").read_text() == f"{at} rejected\nF From: x\n"


def test_a_panic_stands_in_two_logs(settings: LogSettings, tmp_path: Path) -> None:
    Log(settings, FixedClock()).panic("broken")
    assert "broken" in (tmp_path / "mainlog").read_text()
    assert "broken" in (tmp_path / "paniclog").read_text()


def test_a_moved_log_is_opened_anew(settings: LogSettings, tmp_path: Path) -> None:
    log = Log(settings, FixedClock())
    log.main("before")
    (tmp_path / "mainlog").rename(tmp_path / "mainlog.1")
    log.main("after")
    assert "after" in (tmp_path / "mainlog").read_text()
    assert "after" not in (tmp_path / "mainlog.1").read_text()


def test_a_log_that_cannot_be_written_stops_nothing(settings: LogSettings, tmp_path: Path) -> None:
    (tmp_path / "mainlog").mkdir()
    Log(settings, FixedClock()).main("lost")
    panic = (tmp_path / "paniclog").read_text()
    assert " lost\n" in panic and f'Cannot open main log file "{tmp_path}/mainlog": Is a directory: euid=' in panic


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_loses_no_line(settings: LogSettings, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mainlog").symlink_to("/dev/full")
    log = Log(settings, FixedClock())
    log.main("lost")
    assert (tmp_path / "paniclog").read_text() == (
        f"{stamp(log)} lost\n{stamp(log)} failed to write to main log: length=25 result=-1 errno=28 "
        "(No space left on device)\n")
    (tmp_path / "paniclog").unlink()
    (tmp_path / "paniclog").symlink_to("/dev/full")
    log.main("both")
    assert " both\n" in capfd.readouterr().err


def test_the_directory_is_made(settings: LogSettings, tmp_path: Path) -> None:
    Log(replace(settings, file_path=f"{tmp_path}/new/%s")).main("x")
    assert (tmp_path / "new" / "main").exists()


def test_octets_survive(settings: LogSettings, tmp_path: Path) -> None:
    Log(settings).main("".join(map(chr, range(0x20, 0x100))))
    assert bytes(range(0x20, 0x100)) in (tmp_path / "mainlog").read_bytes()


@pytest.mark.parametrize(("text", "on", "off"), [
    (None, "msg_id", "subject"), ("+subject", "subject", "pid"), ("-all +pid", "pid", "msg_id"),
    ("+all", "subject", ""), ("  +all  -subject ", "pid", "subject"), ("+pid-msg_id", "pid", "msg_id")])
def test_selectors(text: str | None, on: str, off: str) -> None:
    selected = parse(text)
    assert on in selected
    assert off not in selected


@pytest.mark.parametrize(("text", "error"), [
    ("+nosuch", "unknown log_selector setting: +nosuch"),
    ("foo", 'malformed log_selector setting: + or - expected but found "foo"')])
def test_bad_selectors(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error.replace("+", r"\+")):
        parse(text)
