#!/usr/bin/env python3
"""Record what an installed Exim logs under each setting of log_selector in t/cases/log.

    t/compare/log_cases.py [--check] [scenario...]

The settings are the strings of the family NAME.txt beside the scenario NAME.case (t/lib/log_lab.py).  Without --check
the answers are written anew; with it the differences are only shown.  Needs root; standard library only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import log_lab
from families import escape, read_family, write_family

from compare import find_exim


def main(arguments: list[str]) -> int:
    """Record or check the families."""
    exim = find_exim()
    if exim is None:
        print("no Exim is installed: nothing to compare with")
        return 0
    check = "--check" in arguments
    differences = 0
    for name in [a for a in arguments if not a.startswith("-")] or log_lab.scenarios():
        path = log_lab.DIRECTORY / f"{name}.txt"
        head, cases = read_family(path)
        for case in cases:
            with tempfile.TemporaryDirectory() as temporary:
                Path(temporary).chmod(0o755)
                answer = escape(log_lab.run(name, case.source, exim, Path(temporary), real=True))
            if answer != case.of_exim:
                differences += 1
                print(f"{path.stem}: {case.source}\n  is  {case.of_exim}\n  now {answer}")
            if case.exim is not None:
                case.exim = answer
            else:
                case.wanted = answer
        if not check:
            write_family(path, head, cases)
    return 1 if check and differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
