"""What the tests of t/stress share: disturbing a whole pyexim at one system call, and counting what became of the mail.

    with Faults(lab_directory) as faults:             # compiles t/stress/faults.c; needs gcc
        live = Live(program=faults.program, ...)
        faults.arm(KILL, 7, below=live.top)           # the seventh change of a file below it is not survived
        ...
        faults.disarm()

Messages are marked: ``message(3)`` has the lines first-3 and last-3 around its body, so that ``copies`` can tell whole
ones from halves in a mailbox or in what a server was told.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from live import ROOT, wait_until

NONE, KILL, KILL_ALL, FAIL_ONCE, FAIL_ON = range(5)
_HEAD: Final = struct.Struct("@qqqiiiii")
_FAULT: Final = 24
"""Where it stands in the state."""
_PROCESSES: Final = 2048
_TEXT: Final = 512
_SIZE: Final = _HEAD.size + 4 * _PROCESSES + 2 * _TEXT
FAULTS: Final = {"kill": (KILL, 0), "killall": (KILL_ALL, 0), "enospc": (FAIL_ONCE, errno.ENOSPC),
                 "full": (FAIL_ON, errno.ENOSPC), "eio": (FAIL_ONCE, errno.EIO)}
"""By name: what happens at the call, and its error."""

LINES: Final = 120


def missing() -> str:
    """Return why calls cannot be disturbed here; "" where they can."""
    if sys.platform != "linux":
        return "needs Linux"
    return "" if shutil.which("gcc") else "needs gcc, to disturb system calls"


class Faults:
    """A program that runs pyexim with the calls of all its processes counted, and one of them disturbed."""

    def __init__(self, top: Path) -> None:
        library = top / "faults.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(ROOT / "t/stress/faults.c"), "-ldl",
                        "-lpthread"], check=True, capture_output=True, text=True)
        self._state = top / "state"
        self._state.write_bytes(bytes(_SIZE))
        self._state.chmod(0o666)
        with self._state.open("r+b") as f:
            self._map = mmap.mmap(f.fileno(), _SIZE)
        main = ROOT / "lib/pyexim/__main__.py"
        script = top / "pyexim"
        script.write_text(f"#!/bin/sh\nFAULT_STATE={self._state} LD_PRELOAD={library}\nexport FAULT_STATE LD_PRELOAD\n"
                          f'exec {ROOT}/.venv/bin/python -I -S {main} "$0" "$@"\n')
        script.chmod(0o755)
        self.program = str(script)
        self.fault = NONE
        """What ``arm`` was told last."""

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._map.close()

    def arm(self, fault: int, target: int, *, below: Path, error: int = 0) -> None:
        """Begin to count anew: the call with the number ``target`` is disturbed.

        Calls that fail are those below the directory; a process is also killed at what it sends to others.
        """
        self.fault = fault
        channels = fault not in (FAIL_ONCE, FAIL_ON)
        processes = _HEAD.unpack_from(self._map)[7]
        _HEAD.pack_into(self._map, 0, 0, 0, target, NONE, error, channels, 0, processes)
        struct.pack_into(f"{_TEXT}s", self._map, _SIZE - 2 * _TEXT, str(below).encode() + b"/")
        struct.pack_into(f"{_TEXT}s", self._map, _SIZE - _TEXT, b"")
        struct.pack_into("@i", self._map, _FAULT, fault)

    def disarm(self) -> None:
        """Disturb nothing from now on."""
        struct.pack_into("@i", self._map, _FAULT, NONE)

    @property
    def counted(self) -> tuple[int, int]:
        """How many calls there were since ``arm``, and how many of them changed files."""
        return _HEAD.unpack_from(self._map)[:2]

    @property
    def fired(self) -> int:
        """The process whose call was disturbed; 0 where none was."""
        return int(_HEAD.unpack_from(self._map)[6])

    @property
    def what(self) -> str:
        """The call that was disturbed."""
        return bytes(self._map[_SIZE - _TEXT:]).rstrip(b"\0").decode("latin-1")

    def alive(self) -> list[int]:
        """Return the processes that are left."""
        count = min(_HEAD.unpack_from(self._map)[7], _PROCESSES)
        pids = set(struct.unpack_from(f"@{count}i", self._map, _HEAD.size))
        return sorted(p for p in pids if self._is_ours(p))

    def _is_ours(self, pid: int) -> bool:
        # (A process id may have been given to a stranger meanwhile.)
        with contextlib.suppress(OSError):
            return str(self._state) in Path(f"/proc/{pid}/maps").read_text(encoding="latin-1")
        return False

    def kill(self) -> None:
        """End all processes that are left."""
        def gone() -> bool:
            left = self.alive()
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return not left
        wait_until(gone, "the end of all processes")
        struct.pack_into("@i", self._map, _HEAD.size - 4, 0)


def message(number: int) -> str:
    """Return a message, header and body, whose halves can be told."""
    body = "".join(f"line {n} of {number} {'x' * 60}\n" for n in range(LINES))
    return f"Subject: t{number}\n\nfirst-{number}\n{body}last-{number}\n"


def copies(text: str, number: int) -> tuple[int, int]:
    """Return how many whole copies of a message a text holds, and how many beginnings of one."""
    whole = re.findall(rf"^\W*first-{number}\n(?:.*line \d+ of {number} x+\n){{{LINES}}}\W*last-{number}$", text,
                       re.MULTILINE)
    return len(whole), len(re.findall(rf"^\W*first-{number}$", text, re.MULTILINE))


def mailbox(path: Path) -> str:
    """Return what a mailbox holds: a file, or the messages of a maildir."""
    if path.is_dir():
        return "".join(p.read_text("latin-1") for d in ("new", "cur") for p in (path / d).glob("*"))
    return path.read_text("latin-1") if path.exists() else ""
