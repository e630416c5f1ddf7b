"""Families of lists (t/cases/lists): reading and writing.  t/compare/list_cases.py has the format.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "cases" / "lists"
FILES = str(CASES / "files")


@dataclass
class ListCase:
    """A subject and a list with the answers."""

    subject: str
    text: str
    """The list, with $FILES."""
    of_exim: str = ""
    ours: str | None = None
    """What pyexim must answer, where that differs on purpose."""

    @property
    def source(self) -> str:
        """What is asked, for reports."""
        return f"{self.subject} in {self.text}"

    @property
    def wanted(self) -> str:
        """What pyexim must answer."""
        return self.of_exim if self.ours is None else self.ours


def read_family(path: Path) -> tuple[list[str], list[ListCase]]:
    """Return the comment lines of a family, and its cases."""
    head, cases = [], []
    for line in path.read_text("latin-1").split("\n"):
        if line.startswith("#"):
            head.append(line)
        elif line:
            subject, text, of_exim, ours = (line.split("\t") + ["", ""])[:4]
            cases.append(ListCase(subject, text, of_exim, ours.removeprefix("ours: ") if ours else None))
    return head, cases


def write_family(path: Path, head: list[str], cases: list[ListCase]) -> None:
    """Write a family."""
    lines = ["\t".join([c.subject, c.text, c.of_exim, *([f"ours: {c.ours}"] if c.ours is not None else [])])
             for c in cases]
    path.write_text("\n".join(head + lines) + "\n", "latin-1")


def options_of(head: list[str]) -> list[str]:
    """Return the main options that a family is tried with."""
    return [line.removeprefix("#: ") for line in head if line.startswith("#: ")]


def named_cases() -> str:
    """Return the definitions of the named lists."""
    return (CASES / "named.conf").read_text().replace("$FILES", FILES)
