#!/usr/bin/env python3
"""Record what an installed Exim answers to the expansions in t/cases/expand.

    t/compare/expand_cases.py [--check] [family...]

A family is a file t/cases/expand/NAME.txt; a case in it is

    $ the string to expand
    = what pyexim must answer (new lines, backslashes and unprintable octets as escapes)
    ! what Exim answers, where that differs on purpose
    ~ why

In a string @DATA@ stands for the directory of the case data.  Without --check the "=" lines (or "!" lines,
where there are some) are written anew from Exim's answers; with it the differences are only shown.  Families
whose first line is "# message" are expanded with the message data/message (-bem).  Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

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
_LOG_LINE = re.compile(r"^(> )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [^\n]*\n", re.MULTILINE)
_IDS = re.compile(r"euid=\d+ egid=\d+")


def escape(text: str) -> str:
    """Return a text on one line."""
    out = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\x{ord(m[0]):02x}", out)


class Case:
    """One string with its answers."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.wanted: str | None = None
        self.exim: str | None = None
        self.why = ""

    def lines(self) -> list[str]:
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


def write_family(path: Path, head: list[str], cases: list[Case]) -> None:
    """Write a family."""
    lines = head + [line for case in cases for line in case.lines()]
    path.write_text("\n".join(lines) + "\n", "latin-1")


def ask_exim(sources: list[str], message: bool, directory: Path) -> list[str]:
    """Return Exim's answers; one that ends Exim is the word CRASH."""
    answers: list[str] = []
    configuration = directory / "configure"
    while len(answers) < len(sources):
        rest = sources[len(answers):]
        text = "".join(f"{s.replace('@DATA@', str(DATA))}\n@@@{i}\n" for i, s in enumerate(rest))
        command = [str(EXIM), "-C", str(configuration), *(["-bem", str(DATA / "message")] if message else ["-be"])]
        run = subprocess.run(command, input=text.encode("latin-1"), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False, env={"PATH": "/usr/bin:/bin", "FOO": "bar"})
        output = _LOG_LINE.sub(lambda m: m[1] or "", run.stdout.decode("latin-1"))
        output = _IDS.sub("euid=N egid=N", output)
        answers += _split(output, len(rest))
    return answers


def _split(output: str, count: int) -> list[str]:
    out = []
    at = 0
    for i in range(count):
        mark = f"> @@@{i}\n"
        end = output.find(mark, at)
        if end < 0:
            return [*out, "CRASH"]
        out.append(output[at:end].removeprefix("> ").removesuffix("\n").replace(str(DATA), "@DATA@"))
        at = end + len(mark)
    return out


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
            for case, answer in zip(cases, ask_exim([c.source for c in cases], message, directory), strict=True):
                text = escape(answer)
                known = case.exim if case.exim is not None else case.wanted
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
