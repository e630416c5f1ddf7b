"""exiwhat: what are the program's processes doing?  Each writes a line when it gets SIGUSR1.

Only processes whose title is ours are asked: they answer the signal, others it would end.
Spec: chapter "Exim utilities", finding out what Exim processes are doing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import psutil

from pyexim.tools.common import setting

PATIENCE = 1.0
"""Seconds that the processes have to answer."""


def main(arguments: list[str]) -> int:
    """Run it; the exit code.  -C and -D options go to the program."""
    path = setting("process_log_path", arguments)
    if not path:
        path = f"{setting('spool_directory', arguments)}/exim-process.info"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    asked = _ask()
    end = time.monotonic() + PATIENCE
    lines: list[str] = []
    while time.monotonic() < end and len(lines) < asked:
        time.sleep(0.05)
        with contextlib.suppress(FileNotFoundError), open(path, encoding="latin-1") as f:
            lines = f.readlines()
    if not lines:
        sys.stdout.write("No exim process data\n")
        return 0
    sys.stdout.write("".join(sorted(lines, key=lambda line: int(line.split()[0]))))
    return 0


def _ask() -> int:
    """Send the signal to all processes of the program; how many there are."""
    count = 0
    for process in psutil.process_iter(["pid", "cmdline"]):
        title = " ".join(process.info["cmdline"] or [])
        if title.startswith("pyexim: "):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.info["pid"], signal.SIGUSR1)
                count += 1
    return count
