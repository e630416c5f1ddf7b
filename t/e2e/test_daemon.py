"""The daemon as a whole: start, end, pid file, process titles, reload, and what is started again after a death."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import psutil
from live import Live, wait_until


def test_detached_daemon_answers_at_once_and_ends_with_its_pid_file() -> None:
    with Live() as live:
        master = live.start("-bd", wait=False)
        with live.client() as c:  # the port is bound before the command returns
            assert c.reply().startswith("220 test.example ESMTP Exim 4.99")
        assert master.ppid() == 1 or psutil.Process(master.ppid()).pid != psutil.Process().pid
        assert master.cwd() == "/"
        log = live.wait_log("daemon started")
        assert f"exim 4.99 daemon started: pid={master.pid}, no queue runs, listening for SMTP on " \
               f"[127.0.0.1]:{live.port}" in log
        assert live.stop() == []
        assert live.pid() is None


def test_a_line_logged_before_detaching_does_not_hurt() -> None:
    with Live() as live:
        live.conf.write_text(live.conf.read_text().replace("keep_environment =\n", "", 1))
        live.start("-bd", wait=False)
        log = live.wait_log("daemon started")
        assert "Warning: purging the environment." in log
        with live.client() as c:
            assert c.reply().startswith("220 ")


def test_titles_say_what_each_process_does() -> None:
    with Live() as live:
        master = live.start()
        assert "pyexim: master [127.0.0.1]:" in " ".join(master.cmdline())
        for title in ("pyexim: starter", "pyexim: delivery manager", "pyexim: reception (idle)"):
            wait_until(lambda title=title: live.processes(title), title)
        with live.session():
            wait_until(lambda: len(live.processes("reception (idle)")) < len(live.processes("reception")), "one busy")


def test_the_port_in_use_is_said_and_the_exit_code_is_1() -> None:
    with Live(main="daemon_startup_retries = 1\ndaemon_startup_sleep = 1s") as live:
        live.start()
        second = live.run("-bd", "-oP", str(live.top / "other.pid"))
        assert second.returncode == 1
        assert re.search(rf"socket bind\(\) to port {live.port} for address 127\.0\.0\.1 failed: "
                         r"Address already in use: daemon abandoned", second.stderr)
        assert "waiting 1s before trying again (1 more try)" in live.log()
        assert live.pid() == live.master.pid  # type: ignore[union-attr]


def test_a_wrong_configuration_is_refused() -> None:
    with Live(main="no_such_option = 3") as live:
        done = live.run("-bd")
        assert done.returncode == 1
        assert 'main option "no_such_option" unknown' in done.stderr


def test_hang_up_reads_the_configuration_again_and_keeps_sessions() -> None:
    with Live() as live:
        live.start()
        with live.session() as old:
            live.configure(acl="deny message = the new rule")
            live.hang_up()
            with live.session() as new:
                assert new.send("alice@test.example") == "550 the new rule"
            assert old.send("alice@test.example").startswith("250 OK id=")
            live.wait_log("Completed")
            assert old.say("QUIT").startswith("221")
        live.configure(acl="no_such_verb")
        live.hang_up()
        assert "the new configuration is not used" in live.log("paniclog")
        with live.session() as c:
            assert c.send("alice@test.example") == "550 the new rule"


def test_the_end_of_the_daemon_lets_a_session_finish() -> None:
    with Live() as live:
        master = live.start()
        with live.session() as c:
            master.terminate()
            wait_until(lambda: live.pid() is None, "end of the master")
            assert c.send("alice@test.example").startswith("250 OK id=")
            assert c.say("QUIT").startswith("221")
            live.wait_log("Completed")
            try:
                live.client().close()
                raise AssertionError("the port is still open")
            except ConnectionRefusedError:
                pass
        live.stop()
        wait_until(lambda: "hello" in live.mail("alice"), "mail")


def kill_one(live: Live, title: str) -> None:
    """Kill a helper of the daemon and wait for its successor."""
    old = live.processes(title)[0]
    old.kill()
    wait_until(lambda: [p for p in live.processes(title) if p.pid != old.pid], f"another {title}")


def test_a_dead_manager_or_starter_is_started_again() -> None:
    with Live() as live:
        live.start()
        for count, title in enumerate(("delivery manager", "starter"), 1):
            with live.session() as c:
                kill_one(live, f"pyexim: {title}")
                assert f"the {title} ended unexpectedly" in live.log("paniclog")
                # a session that was open meanwhile goes on; whether its message is delivered at once does not matter
                assert c.send("bob@test.example").startswith("250")
            with live.session() as c:
                assert c.send("alice@test.example").startswith("250")
            wait_until(lambda count=count: live.mail("alice").count("hello") == count, "mail")
        wait_until(lambda: live.processes("pyexim: reception (idle)"), "idle children")


def test_a_killed_worker_costs_only_its_attempt() -> None:
    with Live(main="queue_only_override") as live:
        live.start("-q1s")
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        for one in live.processes("pyexim: delivery worker") or live.processes("pyexim: deliver"):
            if "manager" not in " ".join(one.cmdline()):
                one.kill()
        with live.session() as c:
            assert c.send("bob@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("bob"), "mail")


def test_queue_runs_on_a_timer() -> None:
    with Live(main="queue_only") as live:
        live.start("-q1s")
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        assert ", -q1s, listening" in live.wait_log("daemon started")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        log = live.wait_log("End queue run: pid=", 2)
        assert re.search(r"Start queue run: pid=(\d+)\n(?:.*\n)*?.*End queue run: pid=\1\n", log)


def test_a_daemon_that_only_runs_queues() -> None:
    with Live() as live:
        assert live.run("-odq", "alice@test.example", stdin="hello\n").returncode == 0
        assert len(live.queue()) == 1
        live._popen = subprocess.Popen([live.program, "-C", str(live.conf), "-q1s", "-bdf", "-oX", str(live.port)],
                                       stdin=subprocess.DEVNULL)
        live.master = psutil.Process(live._popen.pid)
        wait_until(lambda: "hello" in live.mail("alice"), "mail")


def test_a_detached_queue_runner_does_not_listen() -> None:
    with Live() as live:
        assert live.run("-odq", "alice@test.example", stdin="hello\n").returncode == 0
        assert live.run("-q1s", "-oP", str(live.top / "exim.pid")).returncode == 0
        wait_until(lambda: live.pid() is not None, "pid file")
        live.master = psutil.Process(live.pid() or 0)
        assert "-q1s, not listening for SMTP" in live.wait_log("daemon started")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        try:
            live.client().close()
            raise AssertionError("it listens")
        except ConnectionRefusedError:
            pass


def test_signals_in_a_storm_leave_a_working_daemon() -> None:
    with Live() as live:
        master = live.start()
        for _ in range(5):
            master.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        live.wait_log("SIGHUP received")
        time.sleep(0.3)
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        wait_until(lambda: len(live.processes("pyexim: delivery manager")) == 1, "old managers gone")
        wait_until(lambda: len(live.processes("pyexim: starter")) == 1, "old starters gone")


def test_a_daemon_started_without_standard_streams() -> None:
    with Live() as live:
        subprocess.run(["sh", "-c", f"exec {live.program} -C {live.conf} -bd <&- >&- 2>&-"], check=True, timeout=60)
        wait_until(lambda: live.pid() is not None, "pid file")
        live.master = psutil.Process(live.pid() or 0)
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")


def test_children_are_collected_without_sigchld() -> None:
    """A signal that is blocked never comes; the daemon looks for finished children at every turn anyway."""
    with Live() as live:
        blocked = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD]); " \
                  "os.execv(sys.argv[1], sys.argv[1:])"
        command = [live.program, "-C", str(live.conf), "-bdf", "-q1s"]
        live._popen = subprocess.Popen([sys.executable, "-c", blocked, *command], stdin=subprocess.DEVNULL)
        live.master = psutil.Process(live._popen.pid)
        live.wait_log("End queue run", 3)
        zombies = [p for p in live.master.children() if p.status() == psutil.STATUS_ZOMBIE]
        assert len(zombies) <= 1
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
