"""Which connections the daemon takes: the limits, with the replies and log lines that Exim gives."""

from __future__ import annotations

import os

import pytest
from live import Client, Live, wait_until


def test_accept_max() -> None:
    with Live(main="smtp_accept_max = 2") as live:
        live.start()
        with live.session() as first, live.session():
            with live.client() as third:
                assert third.reply() == "421 Too many concurrent SMTP connections; please try again later."
                assert third.reply() == ""
            live.wait_log("Connection from [127.0.0.1] refused: too many connections\n")
            first.say("QUIT")
            first.close()
            wait_until(lambda: _greets(live), "a free slot")


def _greets(live: Live) -> bool:
    with live.client() as c:
        return c.reply().startswith("220")


def test_accept_max_per_host_is_expanded_for_the_peer() -> None:
    limit = "smtp_accept_max_per_host = ${if eq{$sender_host_address}{127.0.0.2}{1}{3}}"
    with Live(main=limit + "\nlog_selector = +incoming_port") as live:
        live.start()
        with live.session("127.0.0.2"), live.session("127.0.0.1"), live.session("127.0.0.1"):
            with live.client("127.0.0.2") as refused:
                assert refused.reply() == ("421 Too many concurrent SMTP connections from this IP address; "
                                           "please try again later.")
                port = refused.sock.getsockname()[1]
            live.wait_log(f"Connection from [127.0.0.2]:{port} refused: too many connections from that IP address\n")


def test_reserve_is_for_reserve_hosts() -> None:
    with Live(main="smtp_accept_max = 3\nsmtp_accept_reserve = 2\nsmtp_reserve_hosts = 127.0.0.9") as live:
        live.start()
        with live.session():
            with live.client() as refused:
                assert refused.reply() == ("421 test.example: Too many concurrent SMTP connections; "
                                           "please try again later")
            live.wait_log("temporarily refused connection from [127.0.0.1]: not in reserve list: "
                          "connected=1 max=3 reserve=2")
            with live.session("127.0.0.9"), live.session("127.0.0.9"), live.client("127.0.0.9") as fourth:
                assert fourth.reply() == "421 Too many concurrent SMTP connections; please try again later."


@pytest.mark.skipif(os.getloadavg()[0] < 0.05, reason="this machine has no load")
def test_load_reserve() -> None:
    with Live(main="smtp_load_reserve = 0.01\nsmtp_reserve_hosts = 127.0.0.9") as live:
        live.start()
        with live.client() as refused:
            assert refused.reply() == "421 test.example: Too much load; please try again later"
        live.wait_log("temporarily refused connection from [127.0.0.1]: not in reserve list and load average = ")
        with live.session("127.0.0.9"):
            pass


def test_accept_queue() -> None:
    with Live(main="smtp_accept_queue = 1") as live:
        live.start()
        with live.session() as first, live.session() as second:
            assert second.send("bob@test.example").startswith("250")
            live.wait_log("no immediate delivery: too many connections (2, max 1)")
            assert first.send("alice@test.example").startswith("250")
            wait_until(lambda: live.mail("alice"), "mail")
            assert not live.mail("bob")
            wait_until(lambda: len(live.queue()) == 1, "only the first message left")


def test_a_killed_reception_child_frees_its_slot() -> None:
    with Live(main="smtp_accept_max = 1") as live:
        live.start()
        with live.session() as c:
            busy = [p for p in live.processes("pyexim: ") if "reception" in " ".join(p.cmdline())
                    and any(x.laddr.port == live.port for x in p.net_connections())]
            assert len(busy) == 1
            with live.client() as refused:
                assert refused.reply().startswith("421")
            busy[0].kill()
            assert c.reply() == ""
        wait_until(lambda: _greets(live), "a free slot")


def test_a_burst_is_served_by_few_processes() -> None:
    with Live(main="smtp_accept_max = 40\nqueue_only") as live:
        live.start()
        clients: list[Client] = [live.client() for _ in range(30)]
        for c in clients:
            assert c.reply().startswith("220")
            assert c.say("HELO x").startswith("250")
            assert c.say("MAIL FROM:<x@far.example>").startswith("250")
            assert c.say("RCPT TO:<bob@test.example>").startswith("250")
            assert c.say("DATA").startswith("354")
        for c in clients:
            assert c.say("Subject: burst\r\n\r\nhello\r\n.").startswith("250")
            assert c.say("QUIT").startswith("221")
            c.close()
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        assert 2 <= len(live.processes("pyexim: reception")) < 30
