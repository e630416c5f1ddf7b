"""Log files that are moved away or removed under a running daemon: every process goes on in a new one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from live import ROOT, Live, wait_until


def deliver(live: Live, number: int) -> None:
    """Send a message that is delivered at once, and one that is refused; both are logged somewhere."""
    with live.session() as c:
        assert c.send("alice@test.example", text=f"number {number}").startswith("250")
        assert c.say("MAIL FROM:<x@far.example>").startswith("250")
        assert c.say("RCPT TO:<refused@test.example>").startswith("550")
    wait_until(lambda: f"number {number}" in live.mail("alice"), "the delivery")


def lines(path: Path) -> tuple[int, int, int]:
    """Return how many arrivals, completions and refusals a log tells of."""
    text = path.read_text()
    return text.count(" <= "), text.count("Completed"), text.count("rejected RCPT")


def test_logs_that_are_moved_away() -> None:
    with Live(acl="deny local_parts = refused\n  accept") as live:
        live.start()
        deliver(live, 1)
        live.wait_log("Completed")
        log = live.top / "log"
        for name in ("mainlog", "rejectlog"):
            (log / name).rename(log / f"{name}.01")
        deliver(live, 2)
        live.wait_log("Completed")
        (log / "mainlog").unlink()
        deliver(live, 3)
        live.wait_log("Completed")
        assert lines(log / "mainlog.01") == (1, 1, 1) and lines(log / "rejectlog.01") == (0, 0, 1)
        assert lines(log / "mainlog") == (1, 1, 1) and lines(log / "rejectlog") == (0, 0, 2)


def test_exicyclog_under_a_running_daemon() -> None:
    with Live(acl="deny local_parts = refused\n  accept") as live:
        live.start()
        deliver(live, 1)
        live.wait_log("Completed")
        done = subprocess.run([str(ROOT / "bin" / "exicyclog"), "-l", f"{live.top}/log/%slog"], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        deliver(live, 2)
        live.wait_log("Completed")
        assert lines(live.top / "log" / "mainlog") == (1, 1, 1)
        assert [lines(p) for p in (live.top / "log").glob("mainlog.*1")] == [(1, 1, 1)]
