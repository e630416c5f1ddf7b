"""Items that touch the system: readfile, stat, run.

Spec: chapter "String expansions", sections 5 and 6.  File names and commands that came from outside are
refused with the effect they have in Exim: the panic log says what was attempted, the expansion fails.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import stat
import sys
from collections.abc import Callable
from typing import Final

from pyexim import child
from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE, to_bytes
from pyexim.base.taint import is_tainted, like, untaint
from pyexim.expand import engine, table
from pyexim.expand.base import Evaluate, Fault, Part, as_callable, evaluate
from pyexim.expand.parser import Choice, Parser, choose
from pyexim.expand.scope import Scope

RUN_TIMEOUT: Final = 60.0
"""Seconds that a command of ${run may take."""
READ_LIMIT: Final = 64 << 20
"""Octets of a file, or of what a command writes, that become a string."""
HINT: Final = "an untainted name comes from a lookup, dsearch for instance, or from a ..._data variable"


def option_note(scope: Scope) -> str:
    """Return which option is being expanded, for messages, where that is known."""
    option = scope.facts.get("expanding_option")
    return f" in option {option}" if option else ""


def open_error(what: str, path: str, code: int) -> ExpansionError:
    """Return Exim's error for a file that cannot be opened."""
    text = f"failed to open {path}: {os.strerror(code)}"
    if code == errno.EACCES:
        text += f" (euid={os.geteuid()} egid={os.getegid()})"
    return ExpansionError(text)


def readfile(scope: Scope, args: list[str]) -> str:
    """${readfile{name}{end of line}}: what follows a zero octet in a line is not seen."""
    path = args[0]
    if is_tainted(path):
        scope.services.log.panic(f"Tainted filename '{path}'{option_note(scope)} ({HINT})")
        raise open_error("readfile", path, errno.EACCES)
    try:
        fd = os.open(to_bytes(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError:
        raise open_error("readfile", path, errno.ENOENT) from None
    except OSError as e:
        raise open_error("readfile", path, e.errno or errno.EIO) from None
    try:
        data = _read_all(fd)
    finally:
        os.close(fd)
    text = data.decode("latin-1")
    if "\0" in text:
        lines = text.split("\n")
        text = "\n".join(lines)
        text = "".join(line.partition("\0")[0] + ("" if "\0" in line or i == len(lines) - 1 else "\n")
                       for i, line in enumerate(lines))
    if len(args) == 2:
        return like(text.replace("\n", args[1]), args[1])
    return text


def _read_all(fd: int) -> bytes:
    pieces = []
    size = 0
    while True:
        try:
            piece = os.read(fd, 1 << 18)
        except OSError:  # a directory, say: as if it were empty
            break
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > READ_LIMIT:
            raise ExpansionError(f"file is too long for an expansion (limit {READ_LIMIT} octets)")
    return b"".join(pieces)


def stat_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${stat:path}: mode=... smode=... and the other numbers."""
    if "stat" in scope.expand_forbidden:
        raise ExpansionError(table.FORBIDDEN["stat"])
    try:
        st = os.stat(to_bytes(text))
    except (OSError, ValueError) as e:
        reason = os.strerror(e.errno or errno.EIO) if isinstance(e, OSError) else os.strerror(errno.ENOENT)
        raise ExpansionError(f"stat({text}) failed: {reason}") from None
    return (f"mode={st.st_mode & 0o77777:04o} smode={stat.filemode(st.st_mode)} inode={st.st_ino} "
            f"device={st.st_dev} links={st.st_nlink} uid={st.st_uid} gid={st.st_gid} size={st.st_size} "
            f"atime={int(st.st_atime)} mtime={int(st.st_mtime)} ctime={int(st.st_ctime)}")


# -- run

_NOT_FOUND: Final = 127
"""What a command without words comes to, as one that does not exist."""
_OPTION: Final = re.compile(r"[^,{]*[^,{ \t\n]|\{")

def parse_run(parser: Parser, name: str) -> Part:
    """${run<,preexpand> {command}{yes}{no}}"""
    preexpand = False
    while parser.accept(","):
        found = _OPTION.match(parser.src, parser.pos)
        word = found[0] if found else ""
        if word != "preexpand":
            raise Fault(f"bad option '{word}' for run")
        parser.pos += len(word)
        preexpand = True
    parser.space()
    if not parser.accept("{"):
        raise Fault("missing '{' for command arg of run")
    if preexpand:
        words = _preexpanded(as_callable(parser.nested()))
    else:
        words = _expanded_words(_raw_command(parser))
    choice: Choice = parser.choice(name)
    yes, no = choose(name, choice, _output)

    def run(scope: Scope) -> str:
        if scope.expand_forbidden and "run" in scope.expand_forbidden:
            raise ExpansionError(table.FORBIDDEN["run"])
        argv = words(scope)
        code, output = run_command(argv, scope) if argv else (_NOT_FOUND, "")
        scope.vars["value"] = output
        scope.vars["runrc"] = str(code)
        return evaluate(yes if code == 0 else no, scope)

    return run


def _output(scope: Scope) -> str:
    return scope.vars.get("value", "")


def _raw_command(parser: Parser) -> str:
    """Read the text of the command as it stands, up to its brace; ``${`` counts braces, others do not."""
    src = parser.src
    start = at = parser.pos
    depth = 0
    deepest = 0
    while at < parser.n:
        c = src[at]
        if c == "\\":
            at += 1
        elif c == "$" and src.startswith("{", at + 1):
            depth += 1
            deepest = max(deepest, depth)
            at += 1
        elif c == "{" and depth:
            depth += 1
        elif c == "}":
            if depth == 0:
                parser.pos = at + 1
                parser.max_depth = max(parser.max_depth, parser.depth + deepest)
                return src[start:at]
            depth -= 1
        at += 1
    raise Fault("missing '}' closing command arg of run")


def split_command(text: str) -> list[str]:
    """Split a command at white space; quotes of both kinds hold words together.

    In double quotes a backslash makes the next character ordinary; elsewhere it stands for itself.
    """
    words: list[str] = []
    at, n = 0, len(text)
    while True:
        while at < n and text[at] in SPACE:
            at += 1
        if at >= n:
            return words
        quote = text[at]
        if quote == "'":
            end = text.find("'", at + 1)
            end = n if end < 0 else end
            words.append(text[at + 1:end])
            at = end + 1
        elif quote == '"':
            word, at = _double_quoted(text, at + 1)
            words.append(word)
        else:
            start = at
            while at < n and text[at] not in SPACE:
                at += 1
            words.append(text[start:at])


def _double_quoted(text: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    while at < len(text):
        c = text[at]
        if c == '"':
            return "".join(out), at + 1
        if c == "\\" and at + 1 < len(text):
            at += 1
            c = text[at]
            out.append(_CODES.get(c, c))
        else:
            out.append(c)
        at += 1
    return "".join(out), at


_CODES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def _expanded_words(command: str) -> Callable[[Scope], list[str]]:
    """Split first; each word is expanded by itself, and stays one word."""
    sources = split_command(command)

    def words(scope: Scope) -> list[str]:
        out: list[str] = []
        for source in sources:
            try:
                out.append(engine.expand(source, scope))
            except ExpansionError as e:
                e.text = f'Expansion of "{source}" from command "{command}" in ${{run}} expansion failed: {e.text}'
                e.args = (e.text,)
                raise
        return out

    return words


def _preexpanded(command: Evaluate) -> Callable[[Scope], list[str]]:
    """Expand first; what came out is split, so that a tainted command gives tainted words."""
    def words(scope: Scope) -> list[str]:
        text = command(scope)
        return [like(word, text) for word in split_command(text)]

    return words


def run_command(argv: list[str], scope: Scope) -> tuple[int, str]:
    """Run a command without input; (exit code, what it wrote to standard output and standard error).

    127 where it cannot be executed.  ExpansionError where it was killed or took too long, or where its
    name is tainted.
    """
    path = argv[0]
    if is_tainted(path):
        scope.services.log.panic(f"Attempt to exec tainted path: '{path}'{option_note(scope)} ({HINT})")
        raise ExpansionError(f"couldn't create child process: {os.strerror(errno.EPERM)}")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    arguments = [to_bytes(untaint(a)) for a in argv]
    try:
        pid = child.fork(lambda: _execute(arguments, writing))
    except OSError as e:
        os.close(reading)
        raise ExpansionError(f"couldn't create child process: {e.strerror}") from None
    finally:
        os.close(writing)
    try:
        output = _collect(reading, pid, scope)
    finally:
        os.close(reading)
    code = child.exit_code(child.wait(pid))
    if code < 0:
        raise ExpansionError(f"command killed by signal {-code}")
    return code, output.decode("latin-1")


def _execute(arguments: list[bytes], writing: int) -> int:
    """In the child: become the command."""
    os.setpgid(0, 0)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.umask(0o077)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(arguments[0], arguments)
    except (OSError, ValueError):
        return 127


def _collect(reading: int, pid: int, scope: Scope) -> bytes:
    clock = scope.services.clock
    deadline = clock.monotonic() + RUN_TIMEOUT
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    pieces: list[bytes] = []
    size = 0
    while True:
        left = deadline - clock.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            _kill(pid)
            raise ExpansionError("command timed out")
        piece = os.read(reading, 65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > READ_LIMIT:
            _kill(pid)
            raise ExpansionError(f"command wrote more than {READ_LIMIT} octets")


def _kill(pid: int) -> None:
    """End the command and what it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)
    child.wait(pid)
