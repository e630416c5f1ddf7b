"""``make run`` and ``make stop``: a private server to try pyexim with; needs no root and changes nothing else.

Everything is below ``run/`` in the source tree: configuration, spool, logs, mailboxes.
"""

from __future__ import annotations

import os
import pwd
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP = ROOT / "run"
PROGRAM = ROOT / "bin" / "pyexim"
HOST = "trial.example"
PEOPLE = ("alice", "bob", "postmaster")
PATIENCE = 20.0


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def pid() -> int | None:
    """Return the process id of the running trial server."""
    try:
        number = int((TOP / "pyexim.pid").read_text())
        os.kill(number, 0)
    except (OSError, ValueError):
        return None
    return number


def place() -> Path:
    """Return the real directory of run/.

    As root the server works as another user, who must be able to get there; where the source tree is in root's
    home directory, run/ is a link to a directory for temporary files.
    """
    if TOP.is_symlink() or TOP.exists():
        return TOP.resolve()
    if os.geteuid() == 0 and not all(p.stat().st_mode & 0o001 for p in TOP.parents):
        TOP.symlink_to(tempfile.mkdtemp(prefix="pyexim-trial-", dir="/var/tmp"))
        os.chmod(TOP, 0o755)
    return TOP.resolve()


def user() -> str:
    """Return the user that the mail belongs to: oneself, or for root a system user without power."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("exim", "Debian-exim", "mail", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    sys.exit("make run: as root, one of the users exim, Debian-exim, mail, nobody is needed")


def prepare() -> int:
    """Make the directories and the configuration; the port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
    owner = user()
    top = place()
    for name in ("", "spool", "log", "mail"):
        path = TOP / name
        path.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(owner)
            os.chown(path, entry.pw_uid, entry.pw_gid)
    (TOP / "users").write_text("".join(f"{p}: {p}\n" for p in PEOPLE))
    text = (ROOT / "etc" / "trial.conf.in").read_text()
    values = {"HOST": HOST, "TOP": str(top), "PORT": str(port), "PROGRAM": str(PROGRAM), "USER": owner,
              "EXIM_USER": f"exim_user = {owner}" if os.geteuid() == 0 else "# running without root"}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    (TOP / "pyexim.conf").write_text(text)
    return port


def port_of_configuration() -> int:
    """Return the port that the running server was given."""
    for line in (TOP / "pyexim.conf").read_text().splitlines():
        if line.startswith("daemon_smtp_ports"):
            return int(line.partition("=")[2])
    sys.exit("make run: run/pyexim.conf names no port")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until the callable says true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            show_log("paniclog")
            sys.exit(f"make run: {what}: not within {PATIENCE:.0f} seconds; see {TOP}/log")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Tell whether the server greets."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            return s.recv(512).startswith(b"220")
    except OSError:
        return False


def mailbox(person: str) -> list[Path]:
    """Return the messages in a mailbox."""
    return sorted((TOP / "mail" / person / "new").glob("*"))


def show_log(name: str) -> None:
    """Print the end of a log."""
    path = TOP / "log" / name
    if path.exists():
        say(f"\n-- run/log/{name}")
        for line in path.read_text(errors="replace").splitlines()[-8:]:
            say("   " + line)


def start() -> None:
    """Start the server if it does not run, send a message, show what became of it."""
    running = pid()
    if running is None:
        say("== making configuration, spool and mailboxes in run/")
        port = prepare()
        say(f"== starting the server on 127.0.0.1 port {port}")
        command = [str(PROGRAM), "-C", str(TOP / "pyexim.conf"), "-bd", "-q5m", "-oP", str(TOP / "pyexim.pid")]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"make run: the server did not start (exit code {done.returncode})")
    else:
        port = port_of_configuration()
        say(f"== the server runs already (process {running}), on 127.0.0.1 port {port}")
    wait_for(lambda: answers(port), "the server's greeting")
    before = len(mailbox("alice"))
    say("== sending a message to alice over SMTP")
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        client.sendmail(f"bob@{HOST}", [f"alice@{HOST}"],
                        f"From: Bob <bob@{HOST}>\r\nTo: Alice <alice@{HOST}>\r\nSubject: It works\r\n\r\n"
                        "This message came in over SMTP and went out into your mailbox.\r\n")
    wait_for(lambda: len(mailbox("alice")) > before, "the delivery")
    wait_for(lambda: "Completed" in (TOP / "log" / "mainlog").read_text(), "the log line")
    show_log("mainlog")
    newest = mailbox("alice")[-1]
    say(f"\n-- {newest.relative_to(ROOT)}")
    for line in newest.read_text(errors="replace").splitlines():
        say("   " + line)
    how_to_go_on(port)


def how_to_go_on(port: int) -> None:
    """Say what to try next."""
    conf = "run/pyexim.conf"
    say(f"""
The server goes on running (process {pid()}). Next:

   another message   echo hello | bin/pyexim -C {conf} -odi bob@{HOST}
   over SMTP         telnet 127.0.0.1 {port}
   the queue         bin/pyexim -C {conf} -bp
   where it goes     bin/pyexim -C {conf} -bt alice@{HOST}
   the log           tail -f run/log/mainlog
   stop              make stop
""")


def stop() -> None:
    """Stop the server."""
    running = pid()
    if running is None:
        say("the trial server does not run")
        return
    os.kill(running, signal.SIGTERM)
    wait_for(lambda: pid() is None, "the end of the server")
    say(f"stopped (process {running}); mail and logs remain in run/")


if __name__ == "__main__":
    try:
        {"start": start, "stop": stop}[sys.argv[1]]()
    except PermissionError as e:
        sys.exit(f"make run: {e.strerror}: {e.filename}: was it made by another user?  Remove run/ and try again")
