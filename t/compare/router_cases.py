#!/usr/bin/env python3
"""Record what an installed Exim prints with -bt for the addresses in t/cases/routers.

    t/compare/router_cases.py [--check] [family...]

A family is a configuration NAME.conf and a file NAME.txt of cases:

    $ the address
    what pyexim must print on standard output with -bt
    ! what Exim prints, where that differs on purpose
    ~ why

@DATA@ stands for a copy of the directory "data".  Without --check the answers are written anew from Exim's
(cases with "!" lines are left alone); with it the differences are only shown.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "cases" / "routers"
EXIM = next((p for p in ("/usr/sbin/exim4", "/usr/sbin/exim") if Path(p).exists()), None)
Case = tuple[str, list[str], list[str], list[str]]


def lay_out(directory: Path) -> None:
    """Copy the data files, with their own place filled in."""
    shutil.copytree(CASES / "data", directory, dirs_exist_ok=True)
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"@DATA@", str(directory).encode()))
            path.chmod(0o644)
        else:
            path.chmod(0o755)


def read_cases(text: str) -> list[Case]:
    """Return (address, wanted lines, Exim's other lines, reasons) of each case."""
    cases: list[Case] = []
    for line in text.split("\n"):
        if line.startswith("$ "):
            cases.append((line[2:], [], [], []))
        elif not cases or not line:
            continue
        elif line.startswith("! "):
            cases[-1][2].append(line[2:])
        elif line.startswith("~ "):
            cases[-1][3].append(line[2:])
        else:
            cases[-1][1].append(line)
    return cases


def write_cases(cases: list[Case]) -> str:
    """Return the text of a family."""
    out = []
    for address, wanted, other, why in cases:
        out += [f"$ {address}", *wanted, *(f"! {x}" for x in other), *(f"~ {x}" for x in why), ""]
    return "\n".join(out)


def ask_exim(family: str, addresses: list[str]) -> list[list[str]]:
    """Return what Exim prints for each address."""
    assert EXIM is not None
    with tempfile.TemporaryDirectory(prefix="routers") as name:
        directory = Path(name)
        directory.chmod(0o755)
        lay_out(directory / "data")
        conf = directory / "conf"
        text = (CASES / f"{family}.conf").read_text().replace("@DATA@", str(directory / "data"))
        conf.write_text(f"spool_directory = {name}/spool\nlog_file_path = {name}/%slog\n{text}")
        answers = []
        for address in addresses:
            done = subprocess.run([EXIM, "-C", str(conf), "-bt", address], capture_output=True, timeout=60,
                                  env={"PATH": os.environ.get("PATH", "")}, check=False)
            printed = done.stdout.decode("latin-1").replace(str(directory / "data"), "@DATA@")
            answers.append([x for x in printed.split("\n") if x])
        return answers


def main() -> int:
    """Run the families that are named, or all."""
    if EXIM is None:
        print("no Exim here")
        return 1
    check = "--check" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")] or sorted(p.stem for p in CASES.glob("*.txt"))
    different = 0
    for family in names:
        path = CASES / f"{family}.txt"
        cases = read_cases(path.read_text())
        answers = ask_exim(family, [c[0] for c in cases])
        for case, answer in zip(cases, answers, strict=True):
            expected = case[2] or case[1]
            if answer == expected:
                continue
            different += 1
            if check or case[2]:
                print(f"{family}: {case[0]}\n  here: {expected}\n  Exim: {answer}")
            else:
                case[1][:] = answer
        if not check:
            path.write_text(write_cases(cases))
    print(f"{different} differences" if check else "written")
    return 1 if check and different else 0


if __name__ == "__main__":
    sys.exit(main())
