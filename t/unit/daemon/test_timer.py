"""Queue runs on a timer."""

from __future__ import annotations

from pyexim.daemon.timer import QueueTimer, describe, format_interval
from pyexim.startup.options import QueueRunOptions


def test_first_run_is_at_once_and_then_each_interval() -> None:
    timer = QueueTimer(QueueRunOptions(interval=60), due=1000.0)
    assert timer.take(1000.0, 0, 5)
    assert not timer.take(1059.0, 0, 5)
    assert timer.take(1060.0, 0, 5)


def test_a_late_daemon_does_not_catch_up() -> None:
    timer = QueueTimer(QueueRunOptions(interval=60), due=0.0)
    assert timer.take(1000.0, 0, 0)
    assert timer.due == 1060.0


def test_queue_run_max_leaves_a_run_out() -> None:
    timer = QueueTimer(QueueRunOptions(interval=60), due=0.0)
    assert not timer.take(0.0, 5, 5)
    assert timer.due == 60.0


def test_start_up_line() -> None:
    assert describe([]) == "no queue runs"
    assert describe([QueueTimer(QueueRunOptions(interval=1800), 0.0)]) == "-q30m"
    both = QueueRunOptions(interval=5400, two_stage=True, force=True, force_frozen=True, local_only=True)
    assert describe([QueueTimer(both, 0.0)]) == "-qqffl1h30m"


def test_intervals() -> None:
    assert [format_interval(n) for n in (0, 59, 60, 3661, 86400 * 8)] == ["0s", "59s", "1m", "1h1m1s", "1w1d"]
