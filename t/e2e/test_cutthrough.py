"""control = cutthrough_delivery where a comparison with Exim cannot go: crashes, divided processes, nothing lost."""

from __future__ import annotations

import re

import psutil
import pytest
from live import Client, Live, wait_until
from scripted import ScriptedServer

ACL = """\
warn  senders = slow@far.example
        delay = 2s
  accept control = cutthrough_delivery
acl_data:
  deny  condition = ${if match{$message_body}{denyme}}
  accept"""
BEGIN = "S: 220 far\nC: EHLO test.example\nS: 250-far\nS: 250 HELP\nC: MAIL FROM:<x@far.example>\nS: 250 ok\n"
RCPT = "C: RCPT TO:<y@other.example>\nS: 250 ok\n"
TAKEN = "C: DATA\nS: 354 go\nD:\nS: 250 taken\nC: QUIT\nS: 221 bye"


def world(server: ScriptedServer, smtp: str = "", main: str = "") -> Live:
    """Return a daemon that relays to a scripted server."""
    return Live(sink=server.port, acl=ACL, smtp=f"hosts_try_fastopen =\n  {smtp}",
                main=f"acl_smtp_data = acl_data\n{main}")


def begin(c: Client, *recipients: str) -> None:
    """Say MAIL and RCPT."""
    assert c.say("HELO c").startswith("250")
    assert c.say("MAIL FROM:<x@far.example>").startswith("250")
    for address in recipients:
        assert c.say(f"RCPT TO:<{address}>").startswith("250")


def text(c: Client, body: str = "hello") -> str:
    """Send the message; the answer."""
    assert c.say("DATA").startswith("354")
    return c.say(f"Subject: x\r\n\r\n{body}\r\n.")


def test_a_recipient_that_goes_elsewhere_is_not_lost() -> None:
    with ScriptedServer(BEGIN + RCPT + "C: QUIT", BEGIN + RCPT + TAKEN) as server, world(server) as live:
        live.start()
        with live.session() as c:
            begin(c, "y@other.example", "bob@test.example")
            assert text(c).startswith("250")
            log = live.wait_log("Completed")
        assert ">>" not in log and "=> y@other.example" in log and "=> bob" in log
        assert "hello" in live.mail("bob") and not server.errors


def test_what_an_acl_refuses_at_the_end_is_never_begun() -> None:
    with ScriptedServer(BEGIN + RCPT + "C: QUIT", BEGIN + RCPT + TAKEN) as server:
        with world(server, smtp="headers_add = X-Transport: $host") as live:
            live.start()
            with live.session() as c:
                begin(c, "y@other.example")
                assert text(c, "denyme").startswith("550")
                wait_until(lambda: "QUIT" in server.lines, "the end of the connection")
                assert "DATA" not in server.lines
                begin(c, "y@other.example")
                assert text(c, ".two\r\n..three").startswith("250 OK id=")
            assert ">> y@other.example R=relay T=out H=127.0.0.1 [127.0.0.1]" in live.log()
            assert not live.queue() and not list((live.top / "spool" / "input").iterdir())
        [data] = server.data
        assert b"X-Transport: 127.0.0.1\r\n\r\ntwo\r\n..three\r\n" in data, data


def test_a_crash_while_the_other_host_thinks_loses_nothing() -> None:
    slow = "C: DATA\nS: 354 go\nD:\nW: 3\nS: 250 taken\nC: QUIT"
    with ScriptedServer(BEGIN + RCPT + slow, BEGIN + RCPT + TAKEN) as server, world(server) as live:
        live.start()
        with live.session() as c:
            begin(c, "y@other.example")
            assert c.say("DATA").startswith("354")
            c.sock.sendall(b"Subject: x\r\n\r\nhello\r\n.\r\n")
            wait_until(lambda: bool(server.data), "the message at the other host")
            for process in live.processes("pyexim: reception"):
                if any(k.laddr and k.laddr.port == live.port and k.status == psutil.CONN_ESTABLISHED
                       for k in process.net_connections()):
                    process.kill()
            assert c.reply() in ("", "(closed)")  # the client still has the message
        assert "<=" not in live.log() and not live.queue()
        wait_until(lambda: server.connections >= 1 and bool(live.processes("pyexim: reception")), "another process")
        with live.session() as c:
            begin(c, "y@other.example")
            assert text(c).startswith("250")
        assert len(re.findall(r">> y@other", live.log())) == 1


def test_a_held_connection_moves_with_its_session() -> None:
    """A slow session divides its process: the others, and what they hold, go to the new one."""
    with ScriptedServer(BEGIN + RCPT + TAKEN) as server, world(server) as live:
        live.start()
        with live.session() as held, live.session() as one, live.session() as two, live.session() as three:
            begin(held, "y@other.example")
            for slow in (one, two, three):  # as many as make sure that one shares its process with the other session
                assert slow.say("HELO slow").startswith("250")
                assert slow.say("MAIL FROM:<slow@far.example>").startswith("250")
                slow.sock.sendall(b"RCPT TO:<bob@test.example>\r\n")
            assert text(held).startswith("250")
            for slow in (one, two, three):
                assert slow.reply().startswith("250")
        assert ">> y@other.example" in live.log() and not server.errors


@pytest.mark.parametrize("option", ["", "/defer=pass"])
def test_an_answer_without_sense_is_none(option: str) -> None:
    odd = "C: DATA\nS: 354 go\nD:\nS: 354 again\nC: QUIT"
    with ScriptedServer(BEGIN + RCPT + odd, "S: 450 not now") as server, world(server) as live:
        live.configure(acl=ACL.replace("cutthrough_delivery", f"cutthrough_delivery{option}"))
        live.start()
        with live.session() as c:
            begin(c, "y@other.example")
            assert text(c).startswith("450 Onward transmission not accepted" if option else "250 OK id=")
        assert len(live.queue()) == (0 if option else 1)
        assert ">>" not in live.log()


@pytest.mark.parametrize("avoid", ["", "hosts_verify_avoid_tls = *"])
def test_a_host_that_offers_tls_gets_the_message_from_the_spool_where_that_may_encrypt(avoid: str) -> None:
    greeting = BEGIN.replace("S: 250 HELP", "S: 250 STARTTLS")
    first = greeting + RCPT + TAKEN if avoid else greeting.partition("C: MAIL")[0] + "C: QUIT"
    with ScriptedServer(first, "S: 450 not now") as server, world(server, smtp=avoid) as live:
        live.start()
        with live.session() as c:
            begin(c, "y@other.example")
            assert text(c).startswith("250")
        if avoid:
            assert ">> y@other.example" in live.log() and not live.queue()
        else:
            live.wait_log("== y@other.example")
            assert len(live.queue()) == 1 and ">>" not in live.log()
