#!/usr/bin/env python3
"""Record what an installed Exim prints with -bt for the addresses in t/cases/routers.

    t/compare/router_cases.py [--check] [family...]

A family is a configuration NAME.conf and a file NAME.txt of cases:

    $ the address
    what pyexim must print on standard output with -bt
    ! what Exim prints, where that differs on purpose
    ~ why

@DATA@ stands for a copy of the directory "data".  Without --check the answers are written anew from Exim's;
with it the differences are only shown.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from families import EXIM, record

CASES = Path(__file__).resolve().parent.parent / "cases" / "routers"


@dataclass
class Case:
    """An address with what is printed for it."""

    source: str
    wanted: list[str] = field(default_factory=list)
    exim: list[str] = field(default_factory=list)
    """What Exim prints, where that differs on purpose."""
    why: list[str] = field(default_factory=list)

    @property
    def of_exim(self) -> list[str]:
        """What a real Exim is known to print."""
        return self.exim or self.wanted

    @of_exim.setter
    def of_exim(self, answer: list[str]) -> None:
        if self.exim:
            self.exim = answer
        else:
            self.wanted = answer


def lay_out(directory: Path) -> None:
    """Copy the data files, with their own place filled in."""
    shutil.copytree(CASES / "data", directory, dirs_exist_ok=True)
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"@DATA@", str(directory).encode()))
            path.chmod(0o644)
        else:
            path.chmod(0o755)


def read_cases(path: Path) -> tuple[list[str], list[Case]]:
    """Return the head of a family (there is none) and its cases."""
    cases: list[Case] = []
    for line in path.read_text().split("\n"):
        if line.startswith("$ "):
            cases.append(Case(line[2:]))
        elif not cases or not line:
            continue
        elif line.startswith("! "):
            cases[-1].exim.append(line[2:])
        elif line.startswith("~ "):
            cases[-1].why.append(line[2:])
        else:
            cases[-1].wanted.append(line)
    return [], cases


def write_cases(path: Path, head: list[str], cases: list[Case]) -> None:
    """Write a family."""
    out = []
    for case in cases:
        out += [f"$ {case.source}", *case.wanted, *(f"! {x}" for x in case.exim), *(f"~ {x}" for x in case.why), ""]
    path.write_text("\n".join(out))


def ask_exim(path: Path, head: list[str], cases: list[Case]) -> list[list[str]]:
    """Return what Exim prints for the address of each case of a family."""
    assert EXIM is not None
    with tempfile.TemporaryDirectory(prefix="routers") as name:
        directory = Path(name)
        directory.chmod(0o755)
        lay_out(directory / "data")
        conf = directory / "conf"
        text = path.with_suffix(".conf").read_text().replace("@DATA@", str(directory / "data"))
        conf.write_text(f"spool_directory = {name}/spool\nlog_file_path = {name}/%slog\n{text}")
        answers = []
        for case in cases:
            done = subprocess.run([EXIM, "-C", str(conf), "-bt", case.source], capture_output=True, timeout=60,
                                  env={"PATH": os.environ.get("PATH", "")}, check=False)
            printed = done.stdout.decode("latin-1").replace(str(directory / "data"), "@DATA@")
            answers.append([x for x in printed.split("\n") if x])
        return answers


if __name__ == "__main__":
    sys.exit(record(CASES, ask_exim, read=read_cases, write=write_cases))
