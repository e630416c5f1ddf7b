"""The daemon's pid file.  Spec: options -oP and pid_file_path."""

from __future__ import annotations

import os

from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.startup.process import Process


def path_of(process: Process) -> str:
    """Return the file's name: -oP's, or pid_file_path's, or the default in the spool directory."""
    main = process.config.main
    if process.command.pid_file is not None:
        return process.command.pid_file
    text = ""
    if main.pid_file_path:
        try:
            text = expand(main.pid_file_path, Scope(process.config, process.services)).replace("%s", "")
        except ExpansionError as e:
            process.log.panic(f"expansion of pid_file_path failed: {e.text}")
    return text or f"{main.spool_directory}/exim-daemon.pid"


def read(path: str) -> int:
    """Return the process id that the file names; 0 without one."""
    try:
        with open(path, "rb") as f:
            text = f.read(32).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def write(path: str, pid: int) -> str | None:
    """Write the process id, through a new file put in place; an error text, or None."""
    temporary = f"{path}.{pid}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, b"%d\n" % pid)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except OSError as e:
        return f"failed to open pid file {path}: {e.strerror}"
    return None


def remove(path: str, pid: int) -> None:
    """Remove the file if it still names this process."""
    try:
        if pid and read(path) == pid:
            os.unlink(path)
    except OSError:
        return
