"""Child processes: the only place that forks and that leaves a process by ``os._exit``.

A child starts with default signal handling, runs its job under one catch-all, and exits with the
job's return value; an unexpected exception goes to ``on_error`` (the panic log) and exit code 70
(EX_SOFTWARE).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

EX_SOFTWARE: Final = 70

_RESET: Final = (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGPIPE)


def fork(job: Callable[[], int], *, on_error: Callable[[str], None] | None = None) -> int:
    """Fork a process that runs ``job`` and exits with its value; the child's process id.

    Raises OSError (EAGAIN, ENOMEM) where no process can be made.  SIGPIPE is ignored in the child
    (writing to a closed pipe is an error that is handled), SIGUSR1 has the parent's handler (processinfo.py),
    all other signals act as by default.
    """
    pid = os.fork()
    if pid:
        return pid
    _run(job, on_error)


def _run(job: Callable[[], int], on_error: Callable[[str], None] | None) -> NoReturn:
    code = EX_SOFTWARE
    try:
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        code = job()
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 1
    except BaseException:  # noqa: BLE001 - the one catch-all of this process; it reports and ends
        import traceback  # only when something is wrong

        text = traceback.format_exc()
        try:
            if on_error is not None:
                on_error(text)
            else:
                os.write(2, text.encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - nothing is left to report to
            code = EX_SOFTWARE
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
        os._exit(code & 0xFF)


def reap() -> list[tuple[int, int]]:
    """Collect all finished children without waiting: (process id, wait status) of each."""
    done: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return done
        if pid == 0:
            return done
        done.append((pid, status))


def wait(pid: int) -> int:
    """Wait for one child; its wait status (0 if it has been collected elsewhere)."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def exit_code(status: int) -> int:
    """Return the exit code of a wait status, or minus the signal that ended the process."""
    return os.waitstatus_to_exitcode(status)
