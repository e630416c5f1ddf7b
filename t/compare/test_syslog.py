"""Logging to syslog: what a real Exim sends there under each setting, and what we send."""

from __future__ import annotations

from pathlib import Path

import pytest
import syslog_lab

from compare import PYEXIM, Case, Runner, Section, find_exim

EXIM = find_exim()
CONF = """
{settings}
acl_smtp_rcpt = accept
acl_smtp_data = deny condition = ${{if match{{$h_subject:}}{{spam}}}}
begin routers
r:
  driver = accept
  domains = test.example
  local_parts = alice
  transport = t
begin transports
t:
  driver = appendfile
  file = /dev/null
  user = @USER@
"""
SETTINGS = {
    "syslog": "log_file_path = syslog",
    "bare": "log_file_path = syslog\nlog_selector = +pid +millisec +subject\nsyslog_timestamp = no",
    "few": "log_file_path = syslog\nsyslog_timestamp = no\nsyslog_pid = no\nsyslog_duplication = no\n"
           "log_selector = +pid\nsyslog_facility = local3\nsyslog_processname = post",
    "both": "log_file_path = syslog : @TOP@/log/%s\nlog_selector = +pid +millisec\nlog_timezone\nwrite_rejectlog = no\n"
            "syslog_pid = no\nsyslog_facility = LOG_uucp",
}
SESSION = ("EHLO x\nMAIL FROM:<a@test.example>\nRCPT TO:<alice@test.example>\nDATA\nSubject: spam\nX: y\n\nbody\n.\n"
           "MAIL FROM:<a@test.example>\nRCPT TO:<alice@test.example>\nDATA\nSubject: spam" + " z" * 900
           + "\n y\n\n.\nQUIT\n")


def logged(program: str, settings: str, top: Path, *, real: bool) -> str:
    """Return what syslog and the files are told of a delivery and two rejections."""
    top.mkdir()
    runner = Runner(program, top, real=real)
    runner._prepare(Case(top, [Section("conf", "", CONF.format(settings=settings))]))
    conf = Path(runner.conf)
    conf.write_text(conf.read_text().replace(f"log_file_path = {top}/log/%slog\n", "", 1))
    start = [program, "-C", runner.conf]
    try:
        said = syslog_lab.run([([*start, "-odi", "-f", "alice@test.example", "alice@test.example"], "\nhello\n"),
                               ([*start, "-odq", "-bs"], SESSION)])
    finally:
        runner._stop()
    for path in sorted((top / "log").iterdir()):
        said += [f"{path.name}:", syslog_lab.masked(path.read_text("latin-1"))]
    return "\n".join(said).replace(str(top), "TOP").replace(program, "EXIM")


@pytest.mark.real
@pytest.mark.skipif(EXIM is None, reason="no real Exim on this machine (Debian: exim4-daemon-heavy)")
@pytest.mark.skipif(bool(syslog_lab.missing()), reason=syslog_lab.missing())
@pytest.mark.parametrize("name", SETTINGS)
def test_syslog(name: str, tmp_path: Path) -> None:
    assert EXIM is not None
    theirs = logged(EXIM, SETTINGS[name], tmp_path / "exim", real=True)
    assert "Completed" in theirs
    assert logged(PYEXIM, SETTINGS[name], tmp_path / "pyexim", real=False).splitlines() == theirs.splitlines()
