"""exicyclog: cycle the log files: mainlog becomes mainlog.01, that mainlog.02.gz, and so on.

Spec: chapter "Exim utilities", cycling log files.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sys
from typing import Final

from pyexim.tools.common import complain, setting

KEEP: Final = 10
LOGS: Final = ("main", "reject", "panic")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    keep, path = KEEP, ""
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word not in ("-k", "-l"):
            complain(f"** exicyclog: unknown option {word}\n")
            return 1
        if not rest:
            complain(f"** exicyclog: a value is expected after {word}\n")
            return 2
        value = rest.pop(0)
        if word == "-l":
            path = value
        elif value.isdigit() and int(value) > 0:
            keep = int(value)
        else:
            complain(f"** exicyclog: a number is expected after -k, not {value}\n")
            return 2
    path = path or setting("log_file_path", []) or f"{setting('spool_directory', [])}/log/%slog"
    files = [item.strip() for item in path.split(":") if item.strip() != "syslog"]
    if not files or not files[0]:
        sys.stdout.write("*** Exim is logging to syslog - no log files to cycle ***\n")
        return 1
    template = files[0]
    if "%D" in template or "%M" in template:
        sys.stdout.write("*** The log files have datestamped names - there is nothing to cycle ***\n")
        return 1
    if not os.path.exists(template.replace("%s", "main")):
        return 0
    for name in LOGS:
        cycle(template.replace("%s", name), keep)
    return 0


def cycle(path: str, keep: int) -> None:
    """Move a log and its older files on by one; OSError where that cannot be done."""
    if not os.path.exists(path):
        return
    width = 3 if keep > 99 else 2
    for number in range(keep, 0, -1):
        for suffix in ("", ".gz"):
            old = f"{path}.{number:0{width}d}{suffix}"
            if not os.path.exists(old):
                continue
            if number == keep:
                os.unlink(old)
            else:
                os.rename(old, f"{path}.{number + 1:0{width}d}{suffix}")
    first = f"{path}.{1:0{width}d}"
    st = os.stat(path)
    os.rename(path, first)
    # The new one at once: a process that may not make files in the directory can go on writing.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with contextlib.suppress(PermissionError):
        os.fchown(fd, st.st_uid, st.st_gid)
    os.close(fd)
    second = f"{path}.{2:0{width}d}"
    if os.path.exists(second):
        _compress(second)


def _compress(path: str) -> None:
    st = os.stat(path)
    with open(path, "rb") as source, gzip.open(path + ".gz", "wb") as target:
        shutil.copyfileobj(source, target)
    os.chmod(path + ".gz", st.st_mode & 0o7777)
    with contextlib.suppress(PermissionError):
        os.chown(path + ".gz", st.st_uid, st.st_gid)
    os.utime(path + ".gz", (st.st_atime, st.st_mtime))
    os.unlink(path)
