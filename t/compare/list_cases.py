"""Records what a real Exim says of the cases in t/cases/lists: run it with the path of exim.

    python t/compare/list_cases.py /usr/sbin/exim4 [FILE...]

A case is a line "subject TAB list", after recording with a third column "yes VALUE", "no" or "error TEXT" and
perhaps a fourth: "ours: ..." says what we answer instead, on purpose; the file's comments say why.  "$FILES"
in a list is the directory of the data files.  Files of the kind "host" are asked with -bh, the others with
-be.  The named lists are those of named.txt.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "cases" / "lists"
CONDITIONS = {"domain": "match_domain", "localpart": "match_local_part", "address": "match_address", "ip": "match_ip"}


def configuration(spool: str, extra: str) -> str:
    """Return a configuration with the named lists."""
    named = (CASES / "named.txt").read_text().replace("$FILES", str(CASES / "files"))
    return (f"exim_user = {_user()}\nspool_directory = {spool}\nlog_file_path = {spool}/%slog\n"
            f"primary_hostname = myhost.example.com\n{named}\n{extra}")


def _user() -> str:
    import getpass

    return "Debian-exim" if getpass.getuser() == "root" else getpass.getuser()


def ask(exim: str, kind: str, subject: str, text: str) -> str:
    """Return what Exim says of one case."""
    with tempfile.TemporaryDirectory() as spool:
        Path(spool).chmod(0o777)
        conf = Path(spool) / "conf"
        text = text.replace("$FILES", str(CASES / "files"))
        if kind == "host":
            conf.write_text(configuration(spool, f"acl_smtp_connect = c\nbegin acl\nc:\n  accept hosts = {text}\n"
                                          "         logwrite = ANSWER yes $host_data\n  accept logwrite = ANSWER no\n"))
            command: list[str | bytes] = [exim, "-C", str(conf), "-bh", subject]
        else:
            conf.write_text(configuration(spool, ""))
            expression = f"${{if {CONDITIONS[kind]}{{{subject}}}{{\\N{text}\\N}}{{yes $value}}{{no}}}}"
            command = [exim, "-C", str(conf), "-be", expression.encode("latin-1")]
        done = subprocess.run(command, input=b"quit\r\n", capture_output=True, timeout=60, check=False)
        out = done.stdout.decode("latin-1").strip()
        log = done.stderr.decode("latin-1").strip()
    if kind == "host":
        answers = [line.partition("ANSWER ")[2] for line in log.split("\n") if "LOG: ANSWER " in line]
        return answers[0].strip() if answers else "error"
    if out.startswith(("yes", "no")):
        return out.strip()
    return "error"


def record(exim: str, path: Path) -> None:
    """Fill in the third column of a file."""
    lines = []
    for line in path.read_text(encoding="latin-1").split("\n"):
        if not line or line.startswith("#"):
            lines.append(line)
            continue
        fields = line.split("\t")
        fields[2:3] = [ask(exim, path.stem.partition("-")[0], fields[0], fields[1])]
        lines.append("\t".join(fields))
    path.write_text("\n".join(lines), encoding="latin-1")


if __name__ == "__main__":
    for file in [Path(f) for f in sys.argv[2:]] or sorted(p for p in CASES.glob("*.txt") if p.stem != "named"):
        record(sys.argv[1], file)
