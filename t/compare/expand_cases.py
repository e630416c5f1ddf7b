#!/usr/bin/env python3
"""Record what an installed Exim answers to the expansions in t/cases/expand.

    t/compare/expand_cases.py [--check] [family...]

A family is a file t/cases/expand/NAME.txt (t/lib/families.py has the format).
In a string @DATA@ stands for the directory of the case data.  Without --check the "=" lines (or "!" lines,
where there are some) are written anew from Exim's answers; with it the differences are only shown.  Families
whose first line is "# message" are expanded with the message data/message (-bem).  Standard library only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from families import ask, escape, read_family, write_family

CASES = Path(__file__).resolve().parent.parent / "cases" / "expand"
DATA = CASES / "data"
EXIM = next((p for p in ("/usr/sbin/exim4", "/usr/sbin/exim") if Path(p).exists()), None)

CONFIGURATION = """\
spool_directory = {spool}
log_file_path = {spool}/%slog
primary_hostname = mx.example.com
exim_user = {user}
keep_environment = PATH : FOO
domainlist local_domains = a.example : b.example : *.c.example
addresslist al = a@b : c@d
localpartlist lpl = x : y
hostlist hl = 10.0.0.0/8 : 192.168.1.1
begin acl
accepting:
  accept message = said $acl_narg:$acl_arg1:$acl_arg2
denying:
  deny message = no
deferring:
  defer
"""
def main(arguments: list[str]) -> int:
    """Record or check the families."""
    if EXIM is None:
        print("no Exim is installed: nothing to compare with")
        return 0
    check = "--check" in arguments
    names = [a for a in arguments if not a.startswith("-")]
    differences = 0
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "configure").write_text(CONFIGURATION.format(spool=directory, user="nobody"))
        for path in sorted(CASES.glob("*.txt")):
            if names and path.stem not in names:
                continue
            head, cases = read_family(path)
            message = bool(head) and head[0].startswith("# message")
            answers = ask(EXIM, directory / "configure", [c.source.replace("@DATA@", str(DATA)) for c in cases],
                          mode=["-bem", str(DATA / "message")] if message else ["-be"])
            for case, answer in zip(cases, answers, strict=True):
                text = escape(answer.replace(str(DATA), "@DATA@"))
                known = case.of_exim
                if text != known:
                    differences += 1
                    print(f"{path.stem}: {case.source}\n  known {known}\n  Exim  {text}")
                    if case.exim is not None:
                        case.exim = text
                    else:
                        case.wanted = text
            if not check:
                write_family(path, head, cases)
    print(f"{differences} differences")
    return 1 if check and differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
