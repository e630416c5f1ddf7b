"""The daemon's pid file.  Spec: options -oP and pid_file_path."""

from __future__ import annotations

import os


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
        with open(path, "rb") as f:
            if f.read(32).strip() != b"%d" % pid:
                return
        os.unlink(path)
    except OSError:
        return
