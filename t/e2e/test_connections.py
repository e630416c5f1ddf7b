"""Several messages down one connection, within a process, between processes, and by -MC."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from live import Live, wait_until

from compare import Sink


def mails(sink: Sink) -> list[int]:
    """Return how many messages each connection has taken."""
    return [len(re.findall(r"(?m)^MAIL FROM", session)) for session in sink.record()]


def queue_messages(live: Live, count: int) -> None:
    """Put messages for the sink on the queue."""
    batch = "".join(f"MAIL FROM:<x@test.example>\nRCPT TO:<u{n}@far.example>\nDATA\nSubject: t\n\nhello\n.\n"
                    for n in range(count))
    assert live.run("-odq", "-bS", stdin=batch).returncode == 0
    assert len(live.queue()) == count


def test_a_queue_run_uses_a_connection_for_many_messages() -> None:
    sink = Sink()
    with Live(sink=sink.port) as live:
        queue_messages(live, 20)
        assert live.run("-qq").returncode == 0
        wait_until(lambda: sum(mails(sink)) == 20 and live.queue() == [], "all messages")
        first = re.findall(r"=> u\d+@far\.example R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\] C=", live.log())
        later = re.findall(r"=> u\d+@far\.example R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\]\* C=", live.log())
        assert len(first) == len(mails(sink)) <= 6  # a connection for each worker at most
        assert len(first) + len(later) == 20


def test_connection_max_messages_is_kept() -> None:
    sink = Sink()
    with Live(sink=sink.port, smtp="connection_max_messages = 2") as live:
        queue_messages(live, 6)
        assert live.run("-q").returncode == 0
        wait_until(lambda: sum(mails(sink)) == 6, "all messages")
        assert max(mails(sink)) <= 2


def workers(live: Live) -> list[int]:
    """Return the delivery workers that hold no connection to the sink: those that have parked theirs."""
    def idle() -> list[int]:
        found: list[int] = []
        for one in live.processes("pyexim: deliver"):
            if "manager" in " ".join(one.cmdline()):
                continue
            if not any(x.raddr and x.raddr.port == live.sink for x in one.net_connections()):
                found.append(one.pid)
        return found
    return wait_until(idle, "a worker that has parked its connection")


def test_a_parked_connection_is_taken_by_another_worker() -> None:
    """A worker parks its idle connection with the manager, and another worker takes it from there."""
    sink = Sink()
    with Live(sink=sink.port) as live:
        live.start()
        with live.session() as c:
            assert c.send("one@far.example").startswith("250")
            live.wait_log("=> one@far.example")
            for pid in workers(live):
                os.kill(pid, 9)
                wait_until(lambda pid=pid: not psutil.pid_exists(pid), "the manager has seen it")
            assert c.send("two@far.example").startswith("250")
            log = live.wait_log("=> two@far.example")
        assert re.search(r"=> two@far\.example R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\]\* C=", log)
        wait_until(lambda: mails(sink) == [2], "both messages down one connection")


def test_mc_delivers_down_the_socket_on_descriptor_0() -> None:
    sink = Sink()
    with Live(sink=sink.port) as live:
        assert live.run("-odq", "mc@far.example", stdin="hello\n").returncode == 0
        message = live.queue()[0]
        with socket.create_connection(("127.0.0.1", sink.port)) as sock:
            f = sock.makefile("rb")
            assert f.readline().startswith(b"220")
            sock.sendall(b"EHLO test.example\r\n")
            while f.readline()[3:4] == b"-":
                pass
            done = subprocess.run([live.program, "-C", str(live.conf), "-MCS", "-MCP", "-MC", "out", "127.0.0.1",
                                   "127.0.0.1", "2", message], stdin=sock.fileno(), capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        assert re.search(r"=> mc@far\.example R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\]\* C=", live.log())
        wait_until(lambda: mails(sink) == [1], "the message")
        assert live.queue() == []


AUTHENTICATORS = """\
begin authenticators
sender:
  driver = plaintext
  public_name = LOGIN
  client_send = : ${sg{$sender_address}{@.*}{}} : $auth1
"""


def test_a_connection_serves_those_that_authenticate_alike() -> None:
    """Messages of one user share a session; those of another, whose password is another, have one of their own."""
    sink = Sink("EHLO -> 250 sink\\nAUTH LOGIN\nAUTH -> 334 VXNlcg==\nYW5u -> 334 UGFzcw==\nYm9i -> 334 UGFzcw==\n"
                "VXNlcg== -> 235 welcome")
    with Live(sink=sink.port, smtp="hosts_require_auth = *", main="remote_max_parallel = 1\nqueue_run_max = 1",
              transports=AUTHENTICATORS) as live:
        for user in ("ann", "bob") * 3:
            assert live.run("-odq", "-f", f"{user}@test.example", f"{user}@far.example", stdin="hi\n").returncode == 0
        assert live.run("-qq").returncode == 0
        wait_until(lambda: sum(mails(sink)) == 6 and live.queue() == [], "all messages")
        for session in sink.record():
            user = {"YW5u": "ann", "Ym9i": "bob"}[session.split("\n")[2]]
            senders = re.findall(r"(?m)^MAIL FROM:<(\w+)@test\.example>", session)
            assert senders
            assert set(senders) == {user}
        assert max(mails(sink)) > 1
        assert "\nEHLO" not in "\n".join(x[4:] for x in sink.record())


@pytest.mark.parametrize("nopass", [False, True])
def test_an_encrypted_connection_serves_the_messages_of_its_process(tmp_path: Path, nopass: bool) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=sink", "-keyout", str(tmp_path / "key.pem"),
                    "-out", str(tmp_path / "cert.pem")], check=True, capture_output=True)
    sink = Sink("EHLO -> 250 sink\\nSTARTTLS\nSTARTTLS -> 220 go")
    sink.top = tmp_path
    smtp = "hosts_require_tls = *\n" + ("hosts_nopass_tls = *" if nopass else "")
    with Live(sink=sink.port, smtp=smtp, main="queue_run_max = 1\nlog_selector = +tls_peerdn") as live:
        queue_messages(live, 8)
        assert live.run("-qq").returncode == 0
        wait_until(lambda: sum(mails(sink)) == 8 and live.queue() == [], "all messages")
        if nopass:
            assert mails(sink) == [1] * 8
        else:
            assert len(mails(sink)) <= 4
        for session in sink.record():
            assert session.startswith("EHLO test.example\nSTARTTLS\n(TLS for None)\nEHLO test.example\nMAIL FROM")
            assert session.endswith("\nQUIT")
            assert session.count("STARTTLS") == 1
        first = re.findall(r"=> \S+ R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\] X=TLS1\.3:\S+ CV=no DN=", live.log())
        later = re.findall(r"=> \S+ R=relay T=out H=127\.0\.0\.1 \[127\.0\.0\.1\]\* X=TLS1\.3:\S+ CV=no C=", live.log())
        assert len(first) == len(mails(sink))
        assert len(first) + len(later) == 8
