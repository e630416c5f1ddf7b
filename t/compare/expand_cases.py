#!/usr/bin/env python3
"""Record what an installed Exim answers to the expansions in t/cases/expand.

    t/compare/expand_cases.py [--check] [family...]

A family is a file t/cases/expand/NAME.txt (t/lib/families.py has the format).
In a string @DATA@ stands for the directory of the case data.  Without --check the "=" lines (or "!" lines,
where there are some) are written anew from Exim's answers; with it the differences are only shown.  Families
whose first line begins with "# message" are expanded with the message data/message (-bem), or data/NAME
("# message NAME: ...").  Standard library only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from families import EXIM, Case, ask, escape, message_of, record

CASES = Path(__file__).resolve().parent.parent / "cases" / "expand"
DATA = CASES / "data"

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


def ask_exim(path: Path, head: list[str], cases: list[Case]) -> list[str]:
    """Return what Exim answers to the cases of a family."""
    assert EXIM is not None
    with tempfile.TemporaryDirectory() as directory:
        conf = Path(directory) / "configure"
        conf.write_text(CONFIGURATION.format(spool=directory, user="nobody"))
        message = message_of(head)
        answers = ask(EXIM, conf, [c.source.replace("@DATA@", str(DATA)) for c in cases],
                      mode=["-be"] if message is None else ["-bem", str(DATA / message)])
    return [escape(a.replace(str(DATA), "@DATA@")) for a in answers]


if __name__ == "__main__":
    sys.exit(record(CASES, ask_exim))
