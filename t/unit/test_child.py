"""Child processes end with their job's value, whatever happens in it."""

from __future__ import annotations

import os
import signal

from pyexim import child


def test_the_value_of_the_job_is_the_exit_code() -> None:
    assert child.exit_code(child.wait(child.fork(lambda: 7))) == 7


def test_an_unexpected_exception_is_reported_and_ends_the_child() -> None:
    read_end, write_end = os.pipe()

    def job() -> int:
        raise RuntimeError("broken on purpose")

    def report(text: str) -> None:
        os.write(write_end, text.encode())

    pid = child.fork(job, on_error=report)
    os.close(write_end)
    assert child.exit_code(child.wait(pid)) == child.EX_SOFTWARE
    assert b"broken on purpose" in os.read(read_end, 65536)
    os.close(read_end)


def test_the_child_dies_of_sigterm_though_the_parent_would_not() -> None:
    old = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        def job() -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return 0

        assert child.exit_code(child.wait(child.fork(job))) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, old)


def test_reap_collects_without_waiting() -> None:
    pids = {child.fork(lambda: 0) for _ in range(3)}
    gone: set[int] = set()
    while gone != pids:
        gone |= {pid for pid, _ in child.reap()}
    assert child.reap() == []
