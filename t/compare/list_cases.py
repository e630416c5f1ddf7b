#!/usr/bin/env python3
"""Record what an installed Exim says of the lists in t/cases/lists.

    t/compare/list_cases.py [--check] [family...]

A case is a line "subject TAB list", after recording with a third column "yes VALUE", "no" or "error" and
perhaps a fourth: "ours: ..." says what we answer instead, on purpose; the file's comments say why.  "$FILES"
in a list is the directory of the data files.  The kind of list is the first word of the family's name.  Files of the
kind "host" are asked with -bh, the others with -be.  The named lists are those of named.conf; where there is a file
FAMILY.zone, it is the whole of the DNS (t/lib/dns_world.py; needs root).  Lines "#: OPTION" at the head are main
options.
"""

from __future__ import annotations

import getpass
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from dns_world import in_world
from families import EXIM, record
from list_families import CASES, FILES, ListCase, named_cases, options_of, read_family, write_family

CONDITIONS = {"domain": "match_domain", "localpart": "match_local_part", "address": "match_address", "ip": "match_ip"}


def configuration(spool: str, head: list[str], extra: str) -> str:
    """Return a configuration with the named lists."""
    user = "Debian-exim" if getpass.getuser() == "root" else getpass.getuser()
    options = "\n".join(options_of(head))
    return (f"exim_user = {user}\nspool_directory = {spool}\nlog_file_path = {spool}/%slog\n"
            f"primary_hostname = myhost.example.com\n{options}\n{named_cases()}\n{extra}")


def ask(prefix: Sequence[str], kind: str, head: list[str], subject: str, text: str) -> str:
    """Return what Exim says of one case."""
    assert EXIM is not None
    with tempfile.TemporaryDirectory() as spool:
        Path(spool).chmod(0o777)
        conf = Path(spool) / "conf"
        text = text.replace("$FILES", FILES)
        if kind == "host":
            conf.write_text(configuration(spool, head, "acl_smtp_connect = c\nbegin acl\nc:\n  accept hosts = "
                                          f"{text}\n         logwrite = ANSWER yes $host_data\n"
                                          "  accept logwrite = ANSWER no\n"))
            command: list[str | bytes] = [EXIM, "-C", str(conf), "-bh", subject]
        else:
            conf.write_text(configuration(spool, head, ""))
            expression = f"${{if {CONDITIONS[kind]}{{{subject}}}{{\\N{text}\\N}}{{yes $value}}{{no}}}}"
            command = [EXIM, "-C", str(conf), "-be", expression.encode("latin-1")]
        done = subprocess.run([*prefix, *command], input=b"quit\r\n", capture_output=True, timeout=60, check=False)
        out = done.stdout.decode("latin-1").strip()
        log = done.stderr.decode("latin-1").strip()
    if kind == "host":
        answers = [line.partition("ANSWER ")[2] for line in log.split("\n") if "LOG: ANSWER " in line]
        return answers[0].strip() if answers else "error"
    if out.startswith(("yes", "no")):
        return out.strip().replace("\n", "\\n")
    return "error"


def ask_exim(path: Path, head: list[str], cases: list[ListCase]) -> list[str]:
    """Return what Exim says of the cases of a family."""
    zone = path.with_suffix(".zone")
    prefix = in_world(zone) if zone.exists() else ()
    return [ask(prefix, path.stem.partition("-")[0], head, case.subject, case.text) for case in cases]


if __name__ == "__main__":
    sys.exit(record(CASES, ask_exim, read=read_family, write=write_family))
