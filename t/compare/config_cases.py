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

CASES = Path(__file__).resolve().parent.parent / "cases" / "config"
FAMILIES = CASES / "faults"
EXIM = next((p for p in ("/usr/sbin/exim4", "/usr/sbin/exim") if Path(p).exists()), None)
INCLUDED = ("inc1", "inc2", "inc3")

_STAMP = re.compile(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+ \[\d+\])? ")
_PURGING = re.compile(r"(?m)^ ?Warning: purging the environment\.\n Suggested action: use keep_environment\.\n")


class Case:
    """One configuration with what is said of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.answer: list[str] = []
        self.ours: list[str] = []
        self.why = ""

    def contents(self, directory: str) -> bytes:
        """Return the octets of the configuration."""
        text = self.text.replace("@EOF@\n", "").replace("@NUL@", "\0").replace("@CR@", "\r")
        return text.replace("@DIR@", directory).encode("latin-1")

    def lines(self) -> list[str]:
        """Return the case as it stands in the file."""
        return ["=====", *self.text.split("\n")[:-1], *(f"-> {x}".rstrip() for x in self.answer),
                *(f"~> {x}".rstrip() for x in self.ours), *([f"## {self.why}"] if self.why else [])]


def read_family(path: Path) -> list[Case]:
    """Return the cases of a family."""
    cases = []
    for block in path.read_text("latin-1").removeprefix("=====\n").split("\n=====\n"):
        marked = [x for x in block.split("\n") if x[:2] in ("->", "~>", "##")]
        text = [x for x in block.removesuffix("\n").split("\n") if x[:2] not in ("->", "~>", "##")]
        case = Case("\n".join(text) + "\n")
        case.answer = [x[3:] for x in marked if x.startswith("->")]
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


def ask_exim(case: Case, directory: Path) -> list[str]:
    """Return what Exim says of a configuration."""
    conf = directory / "conf"
    conf.write_bytes(case.contents(str(directory)))
    run = subprocess.run([str(EXIM), "-C", str(conf), "-be", "ok"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         check=False, env={"PATH": "/usr/bin:/bin"}, cwd="/")
    return [*mask(run.stdout.decode("latin-1"), str(directory)), f"exit {run.returncode}"]


def main(arguments: list[str]) -> int:
    """Record or check the families."""
    if EXIM is None:
        print("no Exim is installed: nothing to compare with")
        return 0
    check = "--check" in arguments
    names = [a for a in arguments if not a.startswith("-")]
    differences = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in INCLUDED:
            shutil.copy(CASES / name, temporary)
        for path in sorted(FAMILIES.glob("*.txt")):
            if names and path.stem not in names:
                continue
            cases = read_family(path)
            for case in cases:
                answer = ask_exim(case, Path(temporary))
                if answer != case.answer:
                    differences += 1
                    print(f"{path.stem}: {case.text}\n  known {case.answer}\n  Exim  {answer}")
                    case.answer = answer
            if not check:
                write_family(path, cases)
    print(f"{differences} differences")
    return 1 if check and differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
