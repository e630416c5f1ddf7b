"""Real clients and servers around a daemon: swaks, Python's smtplib, Postfix's load tools."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess

import pytest
from live import ROOT, Lease, Live, wait_until

PEERS = ROOT / ".venv" / "peers"


def tool(name: str) -> str | None:
    """Return the path of one of Postfix's tools, installed or unpacked by .ci/run."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:{PEERS}/usr/sbin")


ENV = {**os.environ, "LD_LIBRARY_PATH": f"{PEERS}/usr/lib/postfix"}
needs_postfix = pytest.mark.skipif(tool("smtp-source") is None, reason="no smtp-source here (Postfix's load tools)")


@pytest.mark.skipif(shutil.which("swaks") is None, reason="no swaks here")
@pytest.mark.parametrize("options", [[], ["--pipeline"], ["--protocol", "SMTP"]])
def test_swaks(options: list[str]) -> None:
    with Live() as live:
        live.start()
        done = subprocess.run(["swaks", "--server", f"127.0.0.1:{live.port}", "--from", "x@far.example", "--to",
                               "alice@test.example,bob@test.example", "--body", "hello from swaks", *options],
                              text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stdout
        wait_until(lambda: "hello from swaks" in live.mail("alice") and "hello from swaks" in live.mail("bob"), "mail")


def test_smtplib_several_messages_on_one_connection() -> None:
    with Live() as live:
        live.start()
        with smtplib.SMTP("127.0.0.1", live.port, local_hostname="client.example", timeout=30) as client:
            client.ehlo_or_helo_if_needed()
            assert client.has_extn("pipelining") and client.has_extn("size") and client.has_extn("chunking")
            assert client.noop()[0] == 250
            assert client.verify("alice@test.example")[0] == 252
            for n in range(3):
                client.sendmail("x@far.example", ["alice@test.example"],
                                f"Subject: n{n}\r\n\r\n.dot {n}\r\n..two\r\n",
                                mail_options=["size=50", "body=8bitmime"])
            client.rset()
        wait_until(lambda: live.mail("alice").count("\n..two\n") == 3, "three messages")
        assert live.mail("alice").count("\n.dot ") == 3


def source(live: Live, *options: str) -> subprocess.CompletedProcess[str]:
    """Have smtp-source send messages to the daemon."""
    return subprocess.run([tool("smtp-source") or "", *options, f"127.0.0.1:{live.port}"], text=True,
                          capture_output=True, timeout=120, env=ENV)


@needs_postfix
@pytest.mark.parametrize("options", [["-m", "100"], ["-d", "-m", "300"], ["-m", "20", "-r", "5"]])
def test_smtp_source(options: list[str]) -> None:
    with Live(main="queue_only") as live:
        live.start()
        done = source(live, "-s", "10", "-l", "2000", *options, "-f", "x@far.example", "-t", "alice@test.example")
        assert done.returncode == 0, done.stderr
        assert len(live.queue()) == int(options[options.index("-m") + 1])


@needs_postfix
def test_smtp_sink_takes_what_we_relay() -> None:
    lease = Lease()
    with Live(sink=lease.port, main="smtp_accept_queue_per_connection = 0") as live:
        sink = subprocess.Popen([tool("smtp-sink") or "", *(["-u", "nobody"] if os.geteuid() == 0 else []),
                                 f"127.0.0.1:{lease.port}", "100"], env=ENV, stderr=subprocess.DEVNULL)
        try:
            live.start()
            done = source(live, "-d", "-s", "5", "-m", "100", "-f", "x@test.example", "-t", "u@far.example")
            assert done.returncode == 0, done.stderr
            live.wait_log(" Completed", 100)
            assert live.queue() == []
            assert live.log().count("[127.0.0.1]* C=") >= 50
        finally:
            sink.terminate()
            sink.wait(10)
            lease.end()
