"""The launcher as installed, with real other users: set-uid and not, with the daemon and without it.

What of this a set-uid front has to do with the program itself (who may do what) is in test_callers.py.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from installed import copy, launcher
from live import PATIENCE, Live, mail_user, wait_until

USER = "games"
TEXT = "Subject: x\n\nhello\n"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@dataclass
class Box:
    """A private installation: its configuration is the one that is built in."""

    live: Live
    set_uid: Path
    plain: Path

    def call(self, *arguments: str, program: Path | None = None, user: str = USER, stdin: str = "", before: str = "",
             **kw: Any) -> subprocess.CompletedProcess[str]:
        """Call it as a user, by default the set-uid one as sendmail; ``before`` is what the user's shell does first."""
        entry = pwd.getpwnam(user)
        script = f'{before}\nexec "$0" "$@"'
        kw.setdefault("env", {"PATH": "/usr/bin:/bin", "HOME": entry.pw_dir})
        kw.setdefault("cwd", "/")
        return subprocess.run(["/bin/sh", "-c", script, str(program or self.set_uid), *arguments], input=stdin,
                              text=True, capture_output=True, timeout=PATIENCE * 2, user=entry.pw_uid,
                              group=entry.pw_gid, extra_groups=os.getgrouplist(user, entry.pw_gid), **kw)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Live(main="keep_environment = *") as live:
        live.conf.write_text(live.conf.read_text().replace("keep_environment =\n", "", 1))
        program = copy(live.top / "tree", CONFIGURE_FILE=str(live.conf), EXIM_USER=live.user,
                       SPOOL_DIRECTORY=str(live.top / "spool"), COMMAND_DIRECTORY=str(live.top / "run"))
        made = Box(live, launcher(program, live.top / "sendmail", set_uid=True),
                   launcher(program, live.top / "plain", set_uid=False))
        live.program = str(made.set_uid)
        if " 0 0" not in made.call("-be", program=made.set_uid, before="grep -q 'NoNewPrivs:.0' /proc/self/status && "
                                   "echo ' 0 0'; exit").stdout or os.statvfs(live.top).f_flag & os.ST_NOSUID:
            pytest.skip("the system does not honour the set-uid bit here")
        yield made


def submitted(box: Box, *arguments: str, **kw: Any) -> str:
    """Submit a message to the queue; the lines that this added to the main log."""
    before = len(box.live.log())
    done = box.call("-odq", *arguments, "alice@test.example", stdin=TEXT, **kw)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return box.live.log()[before:]


def test_a_message_of_an_ordinary_user(box: Box) -> None:
    assert re.search(rf"<= {USER}@test\.example U={USER} P=local S=", submitted(box))
    # An ordinary user does not choose the sender; the mail user and root do.
    assert f"<= {USER}@test.example U=" in submitted(box, "-f", "other@far.example")
    assert "<= other@far.example U=" in submitted(box, "-f", "other@far.example", user=mail_user())
    spool = box.live.top / "spool" / "input"
    assert {p.stat().st_uid for p in spool.rglob("*-?")} == {pwd.getpwnam(mail_user()).pw_uid}


def test_the_same_through_the_daemon_with_and_without_the_bit(box: Box) -> None:
    box.live.start()
    try:
        for program in (box.set_uid, box.plain):
            assert f"<= {USER}@test.example U={USER} P=local" in \
                submitted(box, "-f", "other@far.example", program=program)
            done = box.call("-bp", program=program)
            assert (done.returncode, done.stderr) == (1, "exim: permission denied\n")
            assert box.call("-bp", program=program, user=mail_user()).returncode == 0
    finally:
        box.live.stop()


def test_without_bit_and_daemon_what_needs_privilege_is_to_be_tried_again(box: Box) -> None:
    before = box.live.queue()
    for words in (("alice@test.example",), ("-t",), ("-bs",), ("-bp",), ("-q",), ("-M", "16VDhn-00001b-D3")):
        done = box.call(*words, program=box.plain, stdin=TEXT)
        assert done.returncode == 75 and "try again later" in done.stderr and done.stderr.count("\n") == 1, words
    assert box.live.queue() == before
    for words, text in ((("-bV",), "Exim version 4.99"), (("-be", "$caller_uid"), str(pwd.getpwnam(USER).pw_uid)),
                        (("-bP", "qualify_domain"), "qualify_domain = test.example")):
        done = box.call(*words, program=box.plain)
        assert done.returncode == 0 and done.stdout.startswith(text), done
    # Root, and the user who keeps the mail, need no bit.
    assert f"<= {mail_user()}@test.example" in submitted(box, program=box.plain, user=mail_user())
    assert "<= root@test.example" in submitted(box, program=box.plain, user="root")


def test_a_configuration_of_ones_own_needs_no_privilege_and_costs_it(box: Box) -> None:
    own = box.live.top / "own"
    own.write_text(f"keep_environment =\nspool_directory = {box.live.top}/no-such\nqualify_domain = own.example\n")
    os.chown(own, pwd.getpwnam(USER).pw_uid, 0)
    secret = box.live.top / "secret"
    secret.write_text("only for root")
    secret.chmod(0o600)
    for program in (box.set_uid, box.plain):
        done = box.call("-C", str(own), "-bP", "qualify_domain", program=program)
        assert done.stdout == "qualify_domain = own.example\n"
        done = box.call("-C", str(own), "alice", stdin=TEXT, program=program)
        assert done.returncode not in (0, 75), done
        assert not (box.live.top / "no-such").exists()
        for words in (("-C", str(own)), ("-DX=1",), ()):
            done = box.call(*words, "-be", "${readfile{" + str(secret) + "}}", program=program)
            assert "only for root" not in done.stdout


def test_no_utility_is_run_with_privilege_whatever_the_name(box: Box) -> None:
    for name in ("exim_dumpdb", "exiqgrep", "exim_lock"):
        (box.live.top / name).symlink_to(box.set_uid)
    target = box.live.top / "root-only"
    target.mkdir(mode=0o755)
    done = box.call("-retries", "0", f"{target}/mailbox", "touch", str(target / "made"),
                    program=box.live.top / "exim_lock")
    assert done.returncode != 0
    assert list(target.iterdir()) == []


def test_what_the_interpreter_gets(box: Box) -> None:
    """Environment, descriptors, signals, limits and umask, as a program below it sees them."""
    box.live.configure(main="keep_environment = *\nacl_not_smtp = look\n")
    text = box.live.conf.read_text().replace("keep_environment =\n", "", 1)
    script = box.live.top / "look"
    script.write_text("#!/bin/sh\nenv\nls -l /proc/self/fd /proc/$PPID/fd\nulimit -a\numask\ncat /proc/$PPID/status\n")
    script.chmod(0o755)
    look = f"${{run{{{script}}}{{$value}}{{$value}}}}"
    box.live.conf.write_text(text.replace("begin acl\n", f"begin acl\nlook:\n  accept logwrite = LOOK {look}\n"))
    hostile = {"PYTHONPATH": "/tmp", "PYTHONSTARTUP": "/x", "LD_LIBRARY_PATH": "/tmp",
               "GLIBC_TUNABLES": "x", "BASH_ENV": "/x", "IFS": "x", "OPENSSL_CONF": "/x", "FINE": "yes", "9x": "no",
               "PATH": "/usr/bin:/bin", "TZ": "UTC", "BIG": "x" * 10_000}
    before = "ulimit -S -f 1; ulimit -n 64; ulimit -v 3000000; umask 0777; trap '' TERM CHLD ALRM; exec 7</etc/passwd"
    log = submitted(box, env=hostile, before=f"{before}; export LD_PRELOAD=/tmp/x.so")
    for name in ("LD_PRELOAD", "PYTHON", "LD_LIBRARY", "GLIBC", "BASH_ENV", "OPENSSL", "9x="):
        assert name not in log, name
    assert "FINE=yes" in log
    assert "/etc/passwd" not in log
    assert re.search(r"coredump\(blocks\)\s+0\b|core file size.*\b0\b", log), log
    assert re.search(r"file\(blocks\)\s+unlimited", log), log
    ignored = re.search(r"SigIgn:(?:\s|\\t)+([0-9a-f]+)", log)
    assert ignored is not None, log
    assert {s for s in (signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGPIPE)
            if int(ignored[1], 16) >> (s - 1) & 1} == {signal.SIGPIPE}, log  # that one by the interpreter
    for path in (box.live.top / "log").iterdir():
        assert path.stat().st_mode & 0o400, path
    box.live.configure(main="")


@pytest.mark.parametrize("before", [
    "exec <&-", "exec <&- >&- 2>&-", "ulimit -n 5", "ulimit -S -f 0; ulimit -s 128", "ulimit -u 1",
    "mkdir /tmp/pyexim-gone-$$; cd /tmp/pyexim-gone-$$; rmdir /tmp/pyexim-gone-$$", "umask 0777",
    "trap '' HUP INT TERM CHLD PIPE ALRM USR1"])
def test_hostile_starts(box: Box, before: str) -> None:
    count = len(box.live.queue())
    done = box.call("-odq", "-f", "x@y", "alice@test.example", stdin=TEXT, before=before)
    if before.startswith("exec <&-"):
        # In a set-uid program the C library has put something in place of it that cannot be read: as with Exim.
        assert done.returncode == 1
        assert "Message abandoned: Input read error (Bad file descriptor)" in box.live.log()
    elif before == "ulimit -n 5" and done.returncode == 75:
        # Where root may not raise the limit (a container), that is said, and nothing is taken.
        assert "Too many open files" in done.stderr
        assert len(box.live.queue()) == count
    else:
        assert done.returncode == 0, done
        assert len(box.live.queue()) == count + 1
    assert box.call("-bV", before=before).returncode == 0


def test_arguments_without_end(box: Box) -> None:
    done = box.call("-bV", *(["x"] * 100_000))
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr
    code = ("import os, sys; "
            "os.execve(sys.argv[1], ['exim', '-bV'] + ['a' * 10] * 100000, {'A%d' % i: 'b' for i in range(9999)})")
    entry = pwd.getpwnam(USER)
    done = subprocess.run(["/usr/bin/python3", "-c", code, str(box.set_uid)], text=True, capture_output=True,
                          user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr


def test_it_refuses_an_installation_that_others_could_change(box: Box) -> None:
    main = box.live.top / "tree" / "lib" / "pyexim" / "__main__.py"
    main.chmod(0o666)
    try:
        done = box.call("-bV")
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr == f"pyexim: {main} must belong to root, and nobody else may write to it\n"
    finally:
        main.chmod(0o644)
    wrong = box.live.top / "wrong"
    shutil.copy(box.plain, wrong)
    shutil.chown(wrong, "daemon")
    wrong.chmod(0o4755)
    done = box.call("-bV", program=wrong)
    assert (done.returncode, done.stderr) == (78, "pyexim: this program is set-uid, but does not belong to root\n")


def test_a_daemons_socket_that_is_not_roots_is_not_believed(box: Box) -> None:
    from pyexim.daemon.client import socket_name

    run = box.live.top / "run"
    run.mkdir(exist_ok=True)
    path = run / socket_name("", {})
    path.unlink(missing_ok=True)
    code = ("import socket, sys, os; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]);"
            "s.listen(1); os.chmod(sys.argv[1], 0o777); print(flush=True); c = s.accept()[0]; print(c.recv(99999))")
    other = pwd.getpwnam("daemon")
    run.chmod(0o777)
    fake = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, user=other.pw_uid,
                            group=other.pw_gid, extra_groups=[])
    try:
        assert fake.stdout is not None
        assert fake.stdout.readline() == b"\n"
        assert f"<= {USER}@test.example" in submitted(box)
        os.chown(path, 0, 0)  # the file is root's, the process behind it is not
        assert f"<= {USER}@test.example" in submitted(box)
    finally:
        fake.kill()
        assert fake.communicate()[0] in (b"", b"b''\n")
        run.chmod(0o755)
        path.unlink()


def test_mail_is_delivered(box: Box) -> None:
    before = box.live.mail("bob").count("hello")
    done = box.call("-odi", "bob@test.example", stdin=TEXT)
    assert done.returncode == 0, done
    wait_until(lambda: box.live.mail("bob").count("hello") == before + 1, "delivery by an ordinary user's command")
