"""Run a command where all of the DNS is one zone file: for programs that ask the servers of the system.

    unshare -m -n python dns_world.py ZONE COMMAND...

In a network of its own (loopback only) a FakeDns answers on port 53, and resolv.conf names it.  Needs root; with
``usable()`` a test finds out whether the machine lets it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

UNSHARE = ("unshare", "-m", "-n")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def usable() -> bool:
    """Tell whether a process may have a network and mounts of its own here."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def in_world(zone: Path) -> list[str]:
    """Return what to put before a command to run it with a zone as the DNS."""
    return [*UNSHARE, sys.executable, __file__, str(zone)]


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags = struct.unpack("16sh", fcntl.ioctl(s, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))[:18])[1]
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def main(zone: str, command: list[str]) -> int:
    """Set the world up and run the command in it; its exit code."""
    from fakedns import FakeDns

    _loopback_up()
    with tempfile.NamedTemporaryFile("w", suffix=".resolv") as conf:
        conf.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1 trust-ad\n")
        conf.flush()
        os.chmod(conf.name, 0o644)
        subprocess.run(["mount", "--bind", conf.name, os.path.realpath("/etc/resolv.conf")], check=True)
        with FakeDns(Path(zone).read_text(encoding="utf-8"), port=53):
            return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
