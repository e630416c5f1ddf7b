"""Families of cases with the answers that are wanted: reading, writing, asking a program, recording what Exim answers.

A case in a family is

    $ the string to expand
    = what pyexim must answer (new lines, backslashes and unprintable octets as escapes)
    ! what Exim answers, where that differs on purpose
    ~ why

Families of another form bring their own reader and writer; what they all share is ``record``.  Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

PATIENCE = 100.0
EXIM = next((p for p in ("/usr/sbin/exim4", "/usr/sbin/exim") if Path(p).exists()), None)
_LOG_LINE = re.compile(r"^(> )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [^\n]*\n", re.MULTILINE)
_IDS = re.compile(r"euid=\d+ egid=\d+")


def escape(text: str) -> str:
    """Return a text on one line."""
    out = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\x{ord(m[0]):02x}", out)


_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|.)")
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def unescape(text: str) -> str:
    """Return the text that ``escape`` was given."""
    return _ESCAPED.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else _NAMED.get(m[1], m[1]), text)


@dataclass
class Case:
    """One string with its answers."""

    source: str
    wanted: str | None = None
    exim: str | None = None
    why: str = ""

    @property
    def of_exim(self) -> str | None:
        """What a real Exim is known to answer."""
        return self.wanted if self.exim is None else self.exim

    @of_exim.setter
    def of_exim(self, answer: str) -> None:
        if self.exim is not None:
            self.exim = answer
        else:
            self.wanted = answer

    def lines(self) -> list[str]:
        """Return the case as it stands in a file."""
        out = [f"$ {self.source}", f"= {self.wanted}"]
        if self.exim is not None:
            out.append(f"! {self.exim}")
        if self.why:
            out.append(f"~ {self.why}")
        return out


def read_family(path: Path) -> tuple[list[str], list[Case]]:
    """Return the comment lines at the head of a family, and its cases."""
    head: list[str] = []
    cases: list[Case] = []
    for line in path.read_text("latin-1").split("\n"):
        mark, text = line[:1], line[2:]
        if mark == "$":
            cases.append(Case(text))
        elif mark == "#" and not cases:
            head.append(line)
        elif cases and mark == "=":
            cases[-1].wanted = text
        elif cases and mark == "!":
            cases[-1].exim = text
        elif cases and mark == "~":
            cases[-1].why = text
    return head, cases


def message_of(head: list[str]) -> str | None:
    """Return the name of the message that a family is expanded with, None where there is none."""
    found = re.match(r"# (message(?: \w+)?):", head[0]) if head else None
    return found[1].split()[-1] if found is not None else None


def write_family(path: Path, head: list[str], cases: list[Case]) -> None:
    """Write a family."""
    lines = head + [line for case in cases for line in case.lines()]
    path.write_text("\n".join(lines) + "\n", "latin-1")


class Recordable(Protocol):
    """A case of any family; what Exim answers may be a text or several lines."""

    @property
    def source(self) -> str:
        """What is asked."""
        ...

    of_exim: Any


C = TypeVar("C", bound=Recordable)


def record(directory: Path, ask_exim: Callable[[Path, list[str], list[C]], Iterable[Any]], *,
           read: Callable[[Path], tuple[list[str], list[C]]] = read_family,  # type: ignore[assignment]
           write: Callable[[Path, list[str], list[C]], None] = write_family) -> int:  # type: ignore[assignment]
    """Record what an installed Exim answers to the families in a directory; the exit code.

    The command line names families; without one all are asked.  With --check the differences are only shown, otherwise
    the files are written anew too.  ``ask_exim`` is given a family's file, head and cases and returns the answers.
    """
    if EXIM is None:
        print("no Exim is installed: nothing to compare with")
        return 0
    check = "--check" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    differences = 0
    for path in sorted(directory.glob("*.txt")):
        if names and path.stem not in names:
            continue
        head, cases = read(path)
        for case, answer in zip(cases, ask_exim(path, head, cases), strict=True):
            if answer != case.of_exim:
                differences += 1
                print(f"{path.stem}: {case.source}\n  here: {case.of_exim}\n  Exim: {answer}")
                case.of_exim = answer
        if not check:
            write(path, head, cases)
    print(f"{differences} differences")
    return 1 if check and differences else 0


def ask(program: str, configuration: Path, sources: Sequence[str], *, mode: Sequence[str] = ("-be",),
        prefix: Sequence[str] = ()) -> list[str]:
    """Return a program's answers, not yet escaped; one that ends the program is the word CRASH."""
    answers: list[str] = []
    while len(answers) < len(sources):
        rest = sources[len(answers):]
        text = "".join(f"{s}\n@@@{i}\n" for i, s in enumerate(rest))
        run = subprocess.run([*prefix, program, "-C", str(configuration), *mode], input=text.encode("latin-1"),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                             timeout=PATIENCE, env={"PATH": "/usr/bin:/bin", "FOO": "bar"})
        output = _LOG_LINE.sub(lambda m: m[1] or "", run.stdout.decode("latin-1"))
        answers += _split(_IDS.sub("euid=N egid=N", output), len(rest))
    return answers


def _split(output: str, count: int) -> list[str]:
    out = []
    at = 0
    for i in range(count):
        mark = f"> @@@{i}\n"
        end = output.find(mark, at)
        if end < 0:
            return [*out, "CRASH"]
        out.append(output[at:end].removeprefix("> ").removesuffix("\n"))
        at = end + len(mark)
    return out
