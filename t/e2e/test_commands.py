"""The command: through the daemon's socket and without it, under its other names, and from inetd."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from live import Client, Lease, Live, wait_until


def through_daemon(live: Live, *arguments: str, stdin: str = "", **kw: object) -> subprocess.CompletedProcess[str]:
    """Run a command and see to it that the daemon did it: a child of its own would show as a new interpreter."""
    assert live.master is not None
    trace = live.top / "imports"
    program = Path(live.program).resolve().parents[1]
    code = "import sys; sys.argv[0]='x'; from pyexim.__main__ import start; c = start(sys.argv[1:]); " \
           f"open({str(trace)!r}, 'w').write(str('pyexim.cli.main' in sys.modules)); sys.exit(c)"
    python = str(program / ".venv/bin/python")
    done = subprocess.run([python, "-c", code, live.program, "-C", str(live.conf), *arguments],
                          input=stdin, text=True, capture_output=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(program / "lib")}, **kw)  # type: ignore[call-overload]
    assert trace.read_text() == "False", "the command was not done by the daemon"
    return done  # type: ignore[no-any-return]


def test_a_message_is_submitted_through_the_daemon() -> None:
    with Live() as live:
        live.start()
        done = through_daemon(live, "-oi", "alice@test.example", stdin="Subject: s\n\nbody\n.\nmore\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        wait_until(lambda: "more" in live.mail("alice"), "mail")
        who = getpass.getuser()
        assert re.search(rf"<= {who}@test\.example U={who} P=local S=\d+", live.log())
        done = through_daemon(live, "-bv", "nobody@test.example")
        assert done.returncode == 2
        assert "nobody@test.example failed to verify" in done.stdout
        done = through_daemon(live, "-zz-no-such")
        assert done.returncode == 1 and "unknown" in done.stderr


def test_working_directory_and_streams_are_the_callers() -> None:
    with Live(main="log_selector = +arguments") as live:
        live.start()
        done = through_daemon(live, "-odq", "-t", stdin="To: bob@test.example\n\nhello\n", cwd=live.top / "mail")
        assert done.returncode == 0
        assert f"cwd={live.top}/mail " in live.log()
        listing = through_daemon(live, "-bp").stdout
        assert "bob@test.example" in listing and live.queue()[0] in listing
        assert through_daemon(live, "-bpc").stdout == "1\n"


def test_many_commands_at_once() -> None:
    with Live() as live:
        live.start()
        running = [subprocess.Popen([live.program, "-C", str(live.conf), "-odq", "alice@test.example"],
                                    stdin=subprocess.PIPE) for _ in range(20)]
        for one in running:
            one.communicate(b"Subject: x\n\nhello\n", timeout=60)
        assert [one.returncode for one in running] == [0] * 20
        assert len(live.queue()) == 20


def test_children_wait_for_commands_as_long_as_they_come_and_with_the_present_configuration() -> None:
    with Live() as live:
        live.start()
        assert live.processes("command") == []
        through_daemon(live, "-bpc")
        waiting = wait_until(lambda: len(found := live.processes("command (idle)")) == 2 and found, "two that wait")
        assert "pyexim: command (idle)" in " ".join(waiting[0].cmdline())
        assert through_daemon(live, "-bP", "primary_hostname").stdout == "primary_hostname = test.example\n"
        wait_until(lambda: min(w.pid for w in waiting) not in [p.pid for p in live.processes()], "the first was used")
        live.conf.write_text(live.conf.read_text().replace("primary_hostname = test.", "primary_hostname = new."))
        live.hang_up()
        assert through_daemon(live, "-bP", "primary_hostname").stdout == "primary_hostname = new.example\n"
        wait_until(lambda: len(live.processes("command (idle)")) == 2, "two with the new configuration")
        assert live.stop() == []


def test_without_a_daemon_the_command_does_it_itself() -> None:
    with Live() as live:
        assert live.run("-odf", "alice@test.example", stdin="hello\n").returncode == 0
        assert "hello" in live.mail("alice")


def test_a_changed_configuration_is_declined_by_the_daemon() -> None:
    with Live() as live:
        live.start()
        assert through_daemon(live, "-bP", "qualify_domain").stdout == "qualify_domain = test.example\n"
        time.sleep(0.01)
        live.configure(main="qualify_domain = other.example")
        assert live.run("-bP", "qualify_domain").stdout == "qualify_domain = other.example\n"
        live.hang_up()
        assert through_daemon(live, "-bP", "qualify_domain").stdout == "qualify_domain = other.example\n"


def test_the_socket_of_a_dead_daemon_does_no_harm() -> None:
    with Live() as live:
        master = live.start()
        family = master.children(recursive=True)
        master.kill()
        assert live._popen is not None
        live._popen.wait()
        assert live.run("-odf", "alice@test.example", stdin="hello\n").returncode == 0
        assert "hello" in live.mail("alice")
        for one in family:
            wait_until(lambda one=one: not one.is_running() or one.status() == "zombie", "end of an orphan")


def test_other_names() -> None:
    with Live() as live:
        for name in ("sendmail", "mailq", "newaliases", "runq", "rsmtp", "rmail"):
            (live.top / name).symlink_to(live.program)

        def at(name: str) -> str:
            return str(live.top / name)

        assert live.run("-odq", "alice@test.example", stdin="hello\n", name=at("sendmail")).returncode == 0
        assert live.queue()[0] in live.run(name=at("mailq")).stdout
        assert live.run(name=at("newaliases")).returncode == 0
        assert live.run(name=at("runq")).returncode == 0
        assert live.queue() == []
        assert "hello" in live.mail("alice")
        batch = "MAIL FROM:<x@test.example>\nRCPT TO:<bob@test.example>\nDATA\nSubject: b\n\nbatched\n.\n"
        assert live.run("-odf", name=at("rsmtp"), stdin=batch).returncode == 0
        assert "batched" in live.mail("bob")
        assert live.run("-odf", "carol@test.example", name=at("rmail"), stdin="From x Mon Jan 1 00:00 2001\nremote\n"
                        ).returncode == 0
        assert "remote" in live.mail("carol")


def inetd() -> str | None:
    """Return the internet super-server, if there is one that runs in the foreground with a file of ours."""
    return shutil.which("inetd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


@pytest.mark.skipif(inetd() is None, reason="no inetd here (Debian's openbsd-inetd)")
def test_one_session_per_process_from_inetd() -> None:
    lease = Lease()
    with Live() as live:
        table = live.top / "inetd.conf"
        user = getpass.getuser()
        table.write_text(f"127.0.0.1:{lease.port} stream tcp nowait {user} {live.program} pyexim -C {live.conf} -bs\n")
        server = subprocess.Popen([inetd() or "", "-d", str(table)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: _listens(lease.port), "inetd")
            with Client(lease.port) as c:
                assert c.reply().startswith("220 test.example ESMTP Exim")
                assert "Hello client.example [127.0.0.1]" in c.say("EHLO client.example")
                assert c.send("alice@test.example").startswith("250 OK id=")
                assert c.say("QUIT").startswith("221 test.example closing connection")
                assert c.reply() == ""
            wait_until(lambda: "hello" in live.mail("alice"), "mail")
            assert re.search(r"<= x@far\.example H=\(client\.example\) \[127\.0\.0\.1\] P=esmtp S=", live.log())
        finally:
            server.terminate()
            server.wait(10)
            lease.end()


def _listens(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_bs_from_a_terminal_or_pipe() -> None:
    with Live() as live:
        text = "EHLO x\nMAIL FROM:<a@test.example>\nRCPT TO:<alice@test.example>\nDATA\nSubject: p\n\npiped\n.\nQUIT\n"
        done = live.run("-odf", "-bs", stdin=text)
        assert done.returncode == 0
        assert done.stdout.startswith("220 test.example ESMTP Exim 4.99")
        assert "221 test.example closing connection" in done.stdout
        assert "piped" in live.mail("alice")


def test_overrides_of_options_on_the_command_line() -> None:
    with Live() as live:
        shown = live.run("-or", "17s", "-os", "2m", "-bP", "receive_timeout", "smtp_receive_timeout").stdout
        assert shown == "receive_timeout = 17s\nsmtp_receive_timeout = 2m\n"
