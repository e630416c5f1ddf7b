"""Calls of a set-uid Exim, the real one or ours, by an ordinary user, under a configuration that it has built in.

A real Exim keeps its privilege for an ordinary user's command only under the configuration file that its build
names.  A private mount namespace makes a test's own file stand there, for the one command and what it starts;
nothing of it is seen outside.  Of pyexim a copy with the same setting is built, with the set-uid launcher.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from installed import copy, launcher

BUILT_IN = "/etc/exim4/exim4.conf"
"""Where Debian's Exim looks first."""

_AS = """\
set -e
mount -t tmpfs none "$(dirname "$1")"
cp "$2" "$1"
chmod 644 "$1"
user=$3
shift 3
exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
"""


@functools.cache
def possible() -> bool:
    """Tell whether this machine lets us do it: root, a real Exim with that setting, a namespace, a compiler."""
    if os.geteuid() != 0 or not os.path.isdir(os.path.dirname(BUILT_IN)) or shutil.which("cc") is None:
        return False
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", os.path.dirname(BUILT_IN)],
                          capture_output=True).returncode == 0


def words(user: str, conf: str, command: list[str]) -> list[str]:
    """Return what runs a command as a user, with a configuration in the place of the built-in one."""
    return ["unshare", "-m", "sh", "-c", _AS, "as", BUILT_IN, conf, user, *command]


@functools.cache
def set_uid_pyexim(exim_user: str) -> str:
    """Build pyexim with that setting, once for all tests of this process; the set-uid program."""
    top = Path(tempfile.mkdtemp(prefix="pyexim-setuid-"))
    top.chmod(0o755)
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    group = pwd.getpwnam(exim_user).pw_gid
    program = copy(top / "tree", CONFIGURE_FILE=BUILT_IN, EXIM_USER=exim_user, EXIM_GROUP=str(group),
                   COMMAND_DIRECTORY=str(top / "run"))
    return str(launcher(program, top / "exim", set_uid=True))
