"""Debian's generated configurations: -bt, -bv and -bh answer as a real Exim does.

What is left out of the comparison: the extensions that this version does not offer (STARTTLS, PRDR,
PIPECONNECT), LIMITS, and what depends on how the machine resolves names of addresses.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from compare import ID, PYEXIM, TRUSTED, find_exim

CONFIGURATIONS = sorted((Path(__file__).parents[1] / "cases" / "config" / "debian").glob("*.conf"))
EXIM = find_exim()
ADDRESSES = ["root", "root@localhost", "postmaster", "x@example.invalid", "no-such-user@localhost", "a%b@localhost",
             "|x@localhost", "daemon@localhost", "real-root@localhost", "root@[127.0.0.1]", "x@foo-.example", "@@bad"]
DIALOGUE = """EHLO x.example
MAIL FROM:<root@localhost>
RCPT TO:<root@localhost>
RCPT TO:<postmaster>
RCPT TO:<no-such-user@localhost>
RCPT TO:<x@example.invalid>
RCPT TO:<a%b@localhost>
RCPT TO:<.x@localhost>
RCPT TO:<a/b@example.invalid>
DATA
From: x

x
.
RSET
MAIL FROM:<>
RCPT TO:<root@localhost>
VRFY root
EXPN root
RSET
MAIL FROM:<x@example.invalid>
RCPT TO:<root@localhost>
QUIT
"""
MASKS = [(r"\b4\.9[69]\b", "VERSION"), (r"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4}", "DATE"), (ID, "ID"),
         (r"(?m)^250-(?:STARTTLS|PRDR|PIPECONNECT|LIMITS.*)\r?\n", ""), (r"S=\d+", "S=N"),
         (r"(?m)^(?!LOG:|R: ).*\n", ""),]
SHOWN_MASKS = MASKS[:-1]


def run(program: str, configuration: Path, *arguments: str, stdin: str = "") -> tuple[str, str, int]:
    """Run a command with a configuration: (output, log lines and debug_print's lines on standard error, exit code)."""
    done = subprocess.run([program, "-C", str(configuration), *arguments], input=stdin.encode(), capture_output=True,
                          timeout=60, cwd=configuration.parent)
    out, errors = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    out = out.replace("Hello localhost [127", "Hello x.example [127")
    for pattern, new in SHOWN_MASKS:
        out = re.sub(pattern, new, out)
    for pattern, new in MASKS:
        errors = re.sub(pattern, new, errors)
    # whether 127.0.0.1 has a name, and why not, is the machine's affair
    errors = re.sub(r" \([^()]*host name[^()]*\)| \(127\.0\.0\.1 does not match [^()]*\)", "", errors)
    return out, errors.replace("H=localhost (", "H=(").replace("from localhost (", "from ("), done.returncode


@pytest.mark.real
@pytest.mark.skipif(EXIM is None or os.geteuid() != 0, reason="needs a real Exim, and root")
@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda p: p.stem)
def test_same_answers(path: Path, tmp_path: Path) -> None:
    assert EXIM is not None
    configuration = tmp_path / "exim.conf"
    configuration.write_text(path.read_text(encoding="latin-1"), encoding="latin-1")
    old = TRUSTED.read_text() if TRUSTED.exists() else ""
    TRUSTED.write_text(f"{old}{configuration}\n")
    try:
        for arguments, stdin in ((["-bt", *ADDRESSES], ""), (["-bv", *ADDRESSES], ""), (["-bvs", "root@localhost"], ""),
                                 (["-bh", "127.0.0.1"], DIALOGUE), (["-bh", "10.9.8.7"], DIALOGUE)):
            theirs = run(EXIM, configuration, *arguments, stdin=stdin)
            ours = run(PYEXIM, configuration, *arguments, stdin=stdin)
            assert ours == theirs, arguments
    finally:
        left = [x for x in TRUSTED.read_text().splitlines() if x != str(configuration)]
        TRUSTED.write_text("".join(x + "\n" for x in left))
