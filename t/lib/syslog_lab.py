"""What a program sends to syslog: it is run in a mount namespace of its own, where a socket of ours is /dev/log.

    run([program, "-C", conf, "-q"], ...)  ->  ["<22>exim[N]: ..."]

Needs root and unshare(1).  The rest of /dev is there, as far as a mail program needs it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 60.0
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def missing() -> str:
    """Return why this cannot be done here; "" where it can."""
    if os.geteuid() != 0:
        return "needs root, for a /dev of its own"
    return "" if shutil.which("unshare") else "needs unshare"


def run(commands: Sequence[tuple[Sequence[str], str]]) -> list[str]:
    """Run commands, (arguments, standard input) each, one after the other; what syslog was told, masked."""
    done = subprocess.run(["unshare", "-m", sys.executable, "-S", __file__], input=json.dumps(commands).encode(),
                          capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return [masked(line) for line in json.loads(done.stdout)]


def masked(line: str) -> str:
    """Replace time stamps, process ids and message ids."""
    line = re.sub(r"^(<\d+>)\w{3} [ \d]\d \d\d:\d\d:\d\d ", r"\1", line)
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4})?", "TIME", line)
    line = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "DATE", re.sub(r"\b4\.9[69]\b", "VERSION", line))
    return re.sub(r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}", "ID", re.sub(r"\[\d+\]", "[N]", line))


def _serve() -> None:
    """Be the process in the namespace."""
    commands = json.load(sys.stdin)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    dev = Path(tempfile.mkdtemp(prefix="dev-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(dev)], check=True)
    os.umask(0)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, 0o20666, os.makedev(major, minor))
    (dev / "fd").symlink_to("/proc/self/fd")
    (dev / "shm").mkdir(0o1777)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(dev / "log"))
    server.settimeout(0.4)
    subprocess.run(["mount", "--move", str(dev), "/dev"], check=True)
    os.umask(0o022)
    dev.rmdir()
    said = []
    for argv, text in commands:
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            assert p.stdin is not None
            p.stdin.write(text.encode("latin-1"))
            p.stdin.close()
            end = time.monotonic() + PATIENCE / 2
            while time.monotonic() < end:
                running = p.poll() is None
                try:
                    said.append(server.recv(65536).decode("latin-1"))
                except TimeoutError:
                    if not running:
                        break
    print(json.dumps(said))


if __name__ == "__main__":
    _serve()
