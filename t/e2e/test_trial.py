"""What a newcomer does: make run, a message of one's own, make stop."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from installed import copy
from live import wait_until


def trial(tree: Path, word: str) -> subprocess.CompletedProcess[str]:
    """Do what make run or make stop does, in a copy of the tree."""
    return subprocess.run([str(tree / ".venv" / "bin" / "python"), str(tree / "etc" / "trial.py"), word], text=True,
                          capture_output=True, timeout=90, cwd=tree)


def walk_through(tree: Path) -> None:
    """Start, send a message as the output says, stop."""
    done = trial(tree, "start")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r" => alice <alice@trial\.example> R=mailbox T=maildir\n.* Completed\n", done.stdout)
        assert "This message came in over SMTP" in done.stdout
        again = trial(tree, "start")
        assert again.returncode == 0 and "the server runs already" in again.stdout
        command = re.search(r"another message +echo hello \| (.*)", done.stdout)
        assert command is not None
        subprocess.run(f"echo hello | {command[1]}", shell=True, check=True, cwd=tree, timeout=60)
        wait_until(lambda: list((tree / "run/mail/bob/new").glob("*")), "the second message")
        asked = ["bin/pyexim", "-C", "run/pyexim.conf", "-bpc"]
        queue = subprocess.run(asked, cwd=tree, text=True, capture_output=True)
        assert queue.stdout == "0\n"
        pid = int((tree / "run" / "pyexim.pid").read_text())
    finally:
        stopped = trial(tree, "stop")
    assert stopped.returncode == 0 and f"stopped (process {pid})" in stopped.stdout
    assert trial(tree, "stop").stdout == "the trial server does not run\n"


def test_make_run_and_make_stop() -> None:
    with tempfile.TemporaryDirectory(prefix="pyexim-trial-") as name:
        os.chmod(name, 0o755)
        tree = Path(name) / "tree"
        copy(tree)
        walk_through(tree)


def test_make_run_where_only_its_owner_can_look() -> None:
    """A tree in a private home directory: as root, the server works as a user who cannot go there."""
    with tempfile.TemporaryDirectory(prefix="pyexim-trial-") as name:
        tree = Path(name) / "tree"
        copy(tree)
        walk_through(tree)
        if (tree / "run").is_symlink():
            subprocess.run(["rm", "-r", os.readlink(tree / "run")], check=True)
