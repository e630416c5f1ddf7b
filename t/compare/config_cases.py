#!/usr/bin/env python3
"""Record what an installed Exim says of the configurations in t/cases/config/faults.

    t/compare/config_cases.py [--check] [family...]

A family is a file t/cases/config/faults/NAME.txt; a case in it is

    =====
    the configuration
    -> what is said of it, line after line, and the exit code as the last line
    ~> what pyexim must say, where that differs on purpose
    ## why

In a configuration @DIR@ stands for the directory that it is in (with the files inc1 to inc3), @NUL@ and @CR@ for these
octets, @EOF@ for an end without a new line.  Without --check the "->" lines are written anew from Exim's answers;
with it the differences are only shown.  Standard library only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from families import EXIM, record

CASES = Path(__file__).resolve().parent.parent / "cases" / "config"
FAMILIES = CASES / "faults"
INCLUDED = ("inc1", "inc2", "inc3")

_STAMP = re.compile(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+ \[\d+\])? ")
_PURGING = re.compile(r"(?m)^ ?Warning: purging the environment\.\n Suggested action: use keep_environment\.\n")


class Case:
    """One configuration with what is said of it."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.of_exim: list[str] = []
        self.ours: list[str] = []
        self.why = ""

    def contents(self, directory: str) -> bytes:
        """Return the octets of the configuration."""
        text = self.source.replace("@EOF@\n", "").replace("@NUL@", "\0").replace("@CR@", "\r")
        return text.replace("@DIR@", directory).encode("latin-1")

    def lines(self) -> list[str]:
        """Return the case as it stands in the file."""
        return ["=====", *self.source.split("\n")[:-1], *(f"-> {x}".rstrip() for x in self.of_exim),
                *(f"~> {x}".rstrip() for x in self.ours), *([f"## {self.why}"] if self.why else [])]


def read_family(path: Path) -> list[Case]:
    """Return the cases of a family."""
    cases = []
    for block in path.read_text("latin-1").removeprefix("=====\n").split("\n=====\n"):
        marked = [x for x in block.split("\n") if x[:2] in ("->", "~>", "##")]
        text = [x for x in block.removesuffix("\n").split("\n") if x[:2] not in ("->", "~>", "##")]
        case = Case("\n".join(text) + "\n")
        case.of_exim = [x[3:] for x in marked if x.startswith("->")]
        case.ours = [x[3:] for x in marked if x.startswith("~>")]
        case.why = "".join(x[3:] for x in marked if x.startswith("##"))
        cases.append(case)
    return cases


def write_family(path: Path, cases: list[Case]) -> None:
    """Write a family."""
    path.write_text("\n".join(line for case in cases for line in case.lines()) + "\n", "latin-1")


def mask(text: str, directory: str) -> list[str]:
    """Return what a program said, without what changes from run to run."""
    text = _PURGING.sub("", _STAMP.sub("", text)).replace(directory, "@DIR@")
    return [line.rstrip() for line in text.split("\n") if line]


def ask(case: Case, directory: Path) -> list[str]:
    """Return what Exim says of a configuration."""
    conf = directory / "conf"
    conf.write_bytes(case.contents(str(directory)))
    run = subprocess.run([str(EXIM), "-C", str(conf), "-be", "ok"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         check=False, env={"PATH": "/usr/bin:/bin"}, cwd="/")
    return [*mask(run.stdout.decode("latin-1"), str(directory)), f"exit {run.returncode}"]


def ask_exim(path: Path, head: list[str], cases: list[Case]) -> list[list[str]]:
    """Return what Exim says of the configurations of a family."""
    with tempfile.TemporaryDirectory() as directory:
        for name in INCLUDED:
            shutil.copy(CASES / name, directory)
        return [ask(case, Path(directory)) for case in cases]


if __name__ == "__main__":
    sys.exit(record(FAMILIES, ask_exim, read=lambda path: ([], read_family(path)),
                    write=lambda path, head, cases: write_family(path, cases)))
