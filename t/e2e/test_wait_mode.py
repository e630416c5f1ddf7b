"""-bw: the daemon of a socket that somebody else listens on; SIGUSR1: each process says what it does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import psutil
from live import Live, wait_until


def test_inetd_wait_mode_serves_until_nobody_comes() -> None:
    with Live() as live, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with subprocess.Popen([live.program, "-C", str(live.conf), "-bw1s"], stdin=server.fileno()) as daemon:
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", port), 20) as c:
                    assert c.recv(100).startswith(b"220 test.example")
                    c.sendall(b"QUIT\r\n")
            assert daemon.wait(20) == 0
        log = live.log()
        assert "daemon started: pid=" in log
        assert ", launched with listening socket, terminating after 1 seconds\n" in log
        assert "daemon terminating, inetd wait timeout reached." in log
        assert not (live.top / "exim.pid").exists()


def test_wait_mode_needs_a_listening_socket() -> None:
    with Live() as live:
        done = live.run("-bw")
        assert done.returncode == 1
        assert "-bw is for inetd's wait mode" in done.stderr


def test_every_process_tells_what_it_does_at_sigusr1() -> None:
    with Live() as live:
        master = live.start()
        info = live.top / "spool" / "exim-process.info"
        with live.session():
            wait_until(lambda: live.processes("handling incoming call"), "a busy child")
            everybody = [psutil.Process(master.pid), *psutil.Process(master.pid).children(recursive=True)]
            for one in everybody:
                os.kill(one.pid, signal.SIGUSR1)
            wait_until(lambda: info.exists() and len(info.read_text().splitlines()) == len(everybody), "all lines")
            lines = dict(line.split(maxsplit=1) for line in info.read_text().splitlines())
            assert set(lines) == {str(one.pid) for one in everybody}
            assert lines[str(master.pid)] == (
                f"daemon(4.99): no queue runs, listening for SMTP on [127.0.0.1]:{live.port}")
            assert "handling incoming call from [127.0.0.1]" in lines.values()
        assert all(one.is_running() for one in everybody[:2])
