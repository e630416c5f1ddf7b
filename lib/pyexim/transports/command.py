"""Command lines of transports: split into arguments, each expanded by itself, and run without a shell.

Used by pipe, by lmtp and for transport_filter.  Spec: chapter "The pipe transport", section "How the command
is run".
"""

from __future__ import annotations

import os
import resource
import signal

from pyexim import child
from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.address import Address

NOT_EXECUTED = 127
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}


class CommandError(Exception):
    """The command line cannot be used; ``permanent`` where that is a failure rather than a deferment."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.permanent = permanent


def split_command(text: str) -> list[str]:
    """Split a command line: white space, double quotes with backslash escapes, single quotes without.

    A quote opens a quoted argument only at its beginning.
    """
    out = []
    i, n = 0, len(text)
    while i < n:
        while i < n and text[i] in SPACE:
            i += 1
        if i >= n:
            break
        if text[i] == "'":
            end = text.find("'", i + 1)
            end = n if end < 0 else end
            out.append(text[i + 1:end])
            i = end + 1
        elif text[i] == '"':
            argument, i = _double_quoted(text, i + 1)
            out.append(argument)
        else:
            start = i
            while i < n and text[i] not in SPACE:
                i += 1
            out.append(text[start:i])
    return out


def _double_quoted(text: str, i: int) -> tuple[str, int]:
    out = []
    n = len(text)
    while i < n and text[i] != '"':
        c = text[i]
        i += 1
        if c == "\\" and i < n:
            c = text[i]
            i += 1
            if c in "01234567":
                digits = c
                while i < n and len(digits) < 3 and text[i] in "01234567":
                    digits += text[i]
                    i += 1
                c = chr(int(digits, 8) & 0xFF)
            elif c == "x":
                digits = ""
                while i < n and len(digits) < 2 and text[i] in "0123456789abcdefABCDEF":
                    digits += text[i]
                    i += 1
                c = chr(int(digits, 16)) if digits else "x"
            else:
                c = _ESCAPES.get(c, c)
        out.append(c)
    return "".join(out), i + 1


def make_arguments(command: str, scope: Scope, batch: list[Address], *, expanded: bool, what: str,
                   allow_tainted: bool = False, forced: str | None = None) -> list[str]:
    """Return the argument list of a command; ``$pipe_addresses`` alone becomes one argument an address.

    ``forced`` is the command of a redirection, for ``$address_pipe`` under force_command.  Raises CommandError.
    """
    out: list[str] = []
    for number, argument in enumerate(split_command(command)):
        if argument in ("$pipe_addresses", "${pipe_addresses}"):
            out += [str(a.address) for a in batch]
            continue
        if forced is not None and argument in ("$address_pipe", "${address_pipe}"):
            out += split_command(forced)
            continue
        if expanded and ("$" in argument or "\\" in argument):
            try:
                argument = expand(argument, scope)
            except ExpansionError as e:
                raise CommandError(f'Expansion of "{argument}" from command "{command}" in {what} failed: '
                                   f"{e.text}") from None
        if is_tainted(argument) and not allow_tainted:
            raise CommandError(f"Tainted arg {number} for {what} command: '{argument}'", permanent=True)
        out.append(argument)
    if not out or not out[0]:
        raise CommandError(f"no command specified for {what}")
    return out


@dataclass(slots=True)
class Running:
    """A command that runs: its process (and group), its standard input, its output."""

    pid: int
    stdin: int
    stdout: int

    def kill(self) -> None:
        """Kill it and what it has started."""
        for kill in (os.killpg, os.kill):
            try:
                kill(self.pid, signal.SIGKILL)
            except OSError:
                continue

    def wait(self) -> int:
        """Wait for its end: exit code, or minus the signal."""
        return child.exit_code(child.wait(self.pid))


def start(argv: list[str], environment: dict[str, str], *, umask: int | None = None, directory: str | None = None,
          core: bool = True, stderr_too: bool = True) -> Running:
    """Start a command with pipes to its standard input and from its output, in a process group of its own.

    A command that cannot be executed ends with NOT_EXECUTED, and a word about it in the output is not
    written.  OSError where no process can be made.
    """
    in_read, in_write = os.pipe2(os.O_CLOEXEC)
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    arguments = [a.encode("latin-1") for a in argv]
    env = {k.encode("latin-1"): v.encode("latin-1") for k, v in environment.items()}

    def job() -> int:
        os.setpgid(0, 0)
        for fd, number in ((in_read, 0), (out_write, 1)):
            os.dup2(fd, number)
        if stderr_too:
            os.dup2(out_write, 2)
        os.closerange(3, 256 if resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256 else
                      resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if not core:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if umask is not None:
            os.umask(umask)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if directory is not None:
            os.chdir(directory)
        try:
            os.execve(arguments[0], arguments, env)
        except OSError:
            return NOT_EXECUTED

    try:
        pid = child.fork(job)
    except OSError:
        for fd in (in_read, in_write, out_read, out_write):
            os.close(fd)
        raise
    os.close(in_read)
    os.close(out_write)
    return Running(pid, in_write, out_read)
