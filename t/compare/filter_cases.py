#!/usr/bin/env python3
"""Record what an installed Exim prints with -bf or -bF for the filters in t/cases/filters.

    t/compare/filter_cases.py [--check] [family...]

A family is a file t/cases/filters/NAME.txt (t/lib/families.py has the format): a case is the text of a filter, with
\\n for new lines, and what is printed after the line that names the file.  Families whose first line is "# system"
are system filters.  The message is t/cases/filters/data/message.  Without --check the "=" lines (or "!" lines, where
there are some) are written anew from Exim's answers.  Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from families import EXIM, Case, escape, record, unescape

CASES = Path(__file__).resolve().parent.parent / "cases" / "filters"
CONFIGURATION = """\
spool_directory = {directory}
log_file_path = {directory}/%slog
primary_hostname = mx.example.com
keep_environment =
"""


def ask(directory: Path, source: str, *, system: bool) -> str:
    """Return what Exim prints about a filter."""
    assert EXIM is not None
    (directory / "filter").write_bytes(unescape(source).encode("latin-1"))
    with (CASES / "data" / "message").open("rb") as message:
        run = subprocess.run([EXIM, "-C", str(directory / "configure"), "-bfl", "root", "-bF" if system else "-bf",
                              str(directory / "filter")], stdin=message, capture_output=True, check=False, timeout=60)
    return run.stdout.decode("latin-1").partition('filter"\n\n')[2].removesuffix("\n")


def ask_exim(path: Path, head: list[str], cases: list[Case]) -> list[str]:
    """Return what Exim prints about the filters of a family."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "configure").write_text(CONFIGURATION.format(directory=directory))
        return [escape(ask(directory, case.source, system=head[:1] == ["# system"])) for case in cases]


if __name__ == "__main__":
    sys.exit(record(CASES, ask_exim))
