"""Commands of the queryprogram router: a line of configuration to arguments, run, its output.

Spec: chapters "The queryprogram router" and "The pipe transport" (how a command is split and expanded).
"""

from __future__ import annotations

import os
import select
import signal

from pyexim import child, privs
from pyexim.base.clock import Clock
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope

MAX_OUTPUT = 1023


class CommandError(Exception):
    """The command cannot be run; ``text`` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has done; ``status`` is a wait status, None after a time-out."""

    output: bytes
    status: int | None


def split_command(line: str) -> list[str]:
    """Split a command line: words, single quotes as they are, double quotes with backslash escapes."""
    words: list[str] = []
    position = 0
    total = len(line)
    while True:
        while position < total and line[position] in SPACE:
            position += 1
        if position >= total:
            return words
        if line[position] == "'":
            end = line.find("'", position + 1)
            end = total if end < 0 else end
            words.append(line[position + 1:end])
            position = end + 1
        elif line[position] == '"':
            position += 1
            out = []
            while position < total and line[position] != '"':
                if line[position] == "\\" and position + 1 < total:
                    position += 1
                    out.append({"n": "\n", "t": "\t", "r": "\r"}.get(line[position], line[position]))
                else:
                    out.append(line[position])
                position += 1
            words.append("".join(out))
            position += 1
        else:
            start = position
            depth = 0
            while position < total and (depth or line[position] not in SPACE):
                depth += (line[position] == "{") - (line[position] == "}")
                position += 1
            words.append(line[start:position])


def expand_command(line: str, scope: Scope, what: str) -> list[str]:
    """Return the arguments of a command, each expanded by itself; CommandError, ForcedFail.

    An argument from outside is refused, as is a command that is not an absolute path.
    """
    arguments = []
    for number, word in enumerate(split_command(line)):
        try:
            text = expand(word, scope)
        except ForcedFail:
            raise
        except ExpansionError as e:
            raise CommandError(f'Expansion of "{word}" from command "{line}" in {what} failed: {e.text}') from None
        if is_tainted(text):
            raise CommandError(f"Tainted arg {number} for queryprogram router command: '{text}'")
        arguments.append(text)
    if not arguments:
        raise CommandError(f"empty command in {what}")
    if not arguments[0].startswith("/"):
        raise CommandError(f'"{arguments[0]}" is not an absolute path in {what}')
    return arguments


def run_command(arguments: list[str], *, uid: int | None, gid: int | None, directory: str, timeout: float,
                clock: Clock) -> Outcome:
    """Run a command with its output in a pipe, as a user where this process may become one; CommandError.

    After the time-out the whole process group is killed.
    """
    read_end, write_end = os.pipe()

    def job() -> int:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(write_end, 1)
        os.dup2(null, 2)
        if uid is not None and os.geteuid() == 0:
            privs.become(uid, gid if gid is not None else uid)
        os.chdir(directory)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execv(arguments[0], [a.encode("latin-1") for a in arguments])

    try:
        pid = child.fork(job)
    except OSError as e:
        os.close(read_end)
        os.close(write_end)
        raise CommandError(f"failed to create a process: {e.strerror}") from None
    os.close(write_end)
    try:
        output, finished = _read(read_end, timeout, clock)
    finally:
        os.close(read_end)
    if not finished:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            os.kill(pid, signal.SIGKILL)
        child.wait(pid)
        return Outcome(output, None)
    return Outcome(output, child.wait(pid))


def _read(fd: int, timeout: float, clock: Clock) -> tuple[bytes, bool]:
    """Read until the end of the pipe: (the first octets, whether the end came in time)."""
    deadline = clock.monotonic() + timeout if timeout > 0 else None
    output = b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        left = None if deadline is None else deadline - clock.monotonic()
        if left is not None and left <= 0:
            return output, False
        if not poll.poll(None if left is None else max(1, int(left * 1000))):
            continue
        chunk = os.read(fd, 65536)
        if not chunk:
            return output, True
        if len(output) < MAX_OUTPUT:
            output = (output + chunk)[:MAX_OUTPUT]
