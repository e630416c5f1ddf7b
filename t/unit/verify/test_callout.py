"""Callouts against a scripted server; answers and log lines as Exim 4.96 gave them under -bhc."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from acl_lab import Lab

from pyexim.acl.api import compile_acls
from pyexim.config.reader import read_configuration
from pyexim.routers.runner import instantiate
from pyexim.transports.table import instantiate as instantiate_transports


class Server:
    """Answers each command by the longest matching beginning in ``script``; keeps what it was told."""

    def __init__(self) -> None:
        self.script: dict[str, str] = {}
        self.seen: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rwb", buffering=0) as stream:
            stream.write((self.script.get("greet", "220 srv") + "\r\n").encode())
            for raw in stream:
                line = raw.decode().strip()
                self.seen.append(line)
                keys = sorted((k for k in self.script if line.startswith(k)), key=len)
                reply = self.script[keys[-1]] if keys else "250 ok"
                if reply == "DROP" or line == "QUIT":
                    return
                stream.write((reply.replace("\n", "\r\n") + "\r\n").encode())


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.socket.close()


def lab(server: Server, verify: str, extra: str = "") -> Lab:
    text = f"""
primary_hostname = h.example
qualify_domain = local.example
spool_directory = /nonexistent
keep_environment =
{extra}
acl_smtp_rcpt = t
begin acl
t:
  require verify = {verify}
  accept logwrite = svf=$sender_verify_failure rvf=$recipient_verify_failure
begin routers
remote:
  driver = manualroute
  domains = r.example
  route_list = * 127.0.0.1::{server.port}
  self = send
  transport = s
local:
  driver = accept
  domains = local.example
  transport = t
begin transports
s:
  driver = smtp
t:
  driver = appendfile
  file = /dev/null
"""
    config = read_configuration(["lab.conf"], data=text.encode())
    instantiate_transports(config)
    instantiate(config)
    compile_acls(config)
    made = Lab(config)
    assert made.scope.conn is not None
    made.scope.conn.host_checking_callout = True
    return made


def run(made: Lab, sender: str, recipient: str) -> list[str]:
    made.replies.clear()
    made.log.lines.clear()
    made.command(f"MAIL <{sender}>")
    made.command(f"RCPT <{recipient}>")
    return [*made.replies, *[line.replace("LOG: H=(x) [127.0.0.1] ", "L ") for line in made.log.lines]]


def sender(server: Server, verify: str = "sender/callout", extra: str = "") -> list[str]:
    return run(lab(server, verify, extra), "s@r.example", "alice@local.example")


def recipient(server: Server, verify: str = "recipient/callout", extra: str = "") -> list[str]:
    return run(lab(server, verify, extra), "alice@local.example", "u@r.example")


def test_sender_accepted(server: Server) -> None:
    assert sender(server) == ["250 Accepted", "LOG: svf= rvf="]
    assert server.seen[:3] == ["EHLO h.example", "MAIL FROM:<>", "RCPT TO:<s@r.example>"]


def test_sender_refused_and_remembered(server: Server) -> None:
    server.script["RCPT"] = "550 no such user"
    made = lab(server, "sender/callout")
    assert run(made, "s@r.example", "alice@local.example") == [
        "550-Verification failed for <s@r.example>",
        "550-Called:   127.0.0.1",
        "550-Sent:     RCPT TO:<s@r.example>",
        "550-Response: 550 no such user",
        "550 Sender verify failed",
        "L sender verify fail for <s@r.example>: 127.0.0.1 [127.0.0.1] : SMTP error from remote mail server after "
        "RCPT TO:<s@r.example>: 550 no such user",
        "L F=<s@r.example> rejected RCPT <alice@local.example>: Sender verify failed"]
    server.seen.clear()
    assert run(made, "s@r.example", "alice@local.example") == [
        "550-Verification failed for <s@r.example>",
        "550-Previous (cached) callout verification failure",
        "550 Sender verify failed",
        "L sender verify fail for <s@r.example>",
        "L F=<s@r.example> rejected RCPT <alice@local.example>: Sender verify failed"]
    assert server.seen == []


def test_empty_sender_refused(server: Server) -> None:
    server.script["MAIL"] = "550 bad sender"
    got = sender(server)
    assert got[:4] == ["550-Callback setup failed while verifying <s@r.example>", "550-Called:   127.0.0.1",
                       "550-Sent:     MAIL FROM:<>", "550-Response: 550 bad sender"]
    assert got[9:] == [
        "550 Sender verify failed",
        'L sender verify fail for <s@r.example>: 127.0.0.1 [127.0.0.1] : response to "MAIL FROM:<>" was: '
        "550 bad sender",
        "L F=<s@r.example> rejected RCPT <alice@local.example>: Sender verify failed"]


def test_sender_deferred(server: Server) -> None:
    server.script["RCPT"] = "450 later"
    assert sender(server) == [
        "451 Could not complete sender verify callout",
        "L sender verify defer for <s@r.example>: Could not complete sender verify callout: 127.0.0.1 [127.0.0.1] : "
        "SMTP error from remote mail server after RCPT TO:<s@r.example>: 450 later",
        "L F=<s@r.example> temporarily rejected RCPT <alice@local.example>: "
        "Could not complete sender verify callout"]
    assert sender(server, "sender/callout=defer_ok") == ["250 Accepted", "LOG: svf= rvf="]


def test_helo_after_ehlo(server: Server) -> None:
    server.script["EHLO"] = "502 no"
    assert sender(server)[0] == "250 Accepted"
    assert server.seen[:2] == ["EHLO h.example", "HELO h.example"]


def test_connection_lost_or_refused(server: Server) -> None:
    server.script["RCPT"] = "DROP"
    assert sender(server)[1].endswith('[127.0.0.1] : response to "RCPT TO:<s@r.example>" was: connection dropped')
    server.socket.shutdown(socket.SHUT_RDWR)
    server.socket.close()
    assert sender(server)[1].endswith("127.0.0.1 [127.0.0.1] : Connection refused")


def test_recipient(server: Server) -> None:
    assert recipient(server) == ["250 Accepted", "LOG: svf= rvf="]
    server.script["RCPT"] = "550 no such user"
    made = lab(server, "recipient/callout")
    assert run(made, "alice@local.example", "u@r.example") == [
        "550-Callout verification failed:",
        "550 550 no such user",
        "L F=<alice@local.example> rejected RCPT <u@r.example>: 127.0.0.1 [127.0.0.1] : SMTP error from remote mail "
        "server after RCPT TO:<u@r.example>: 550 no such user"]
    assert run(made, "alice@local.example", "u@r.example") == [
        "550 Previous (cached) callout verification failure",
        "L F=<alice@local.example> rejected RCPT <u@r.example>: Previous (cached) callout verification failure"]


def test_greeting_refused(server: Server) -> None:
    server.script["greet"] = "554 go away"
    assert recipient(server)[:2] == ["550-Callout verification failed:", "550 554 go away"]


def test_recipient_details_of_a_deferral(server: Server) -> None:
    server.script["RCPT"] = "450 later"
    assert recipient(server, extra="smtp_return_error_details")[:4] == [
        "451-Could not complete recipient verify callout for <u@r.example>.",
        "451-The mail server(s) for the domain may be temporarily unreachable, or",
        "451-they may be permanently unreachable from this server. In the latter case,",
        "451 the address will never be accepted."]


@pytest.mark.parametrize(("option", "sender_address"), [
    ("use_sender", "alice@local.example"), ("use_postmaster", "postmaster@local.example")])
def test_sender_of_the_callout(server: Server, option: str, sender_address: str) -> None:
    assert recipient(server, f"recipient/callout={option}")[0] == "250 Accepted"
    assert server.seen[1] == f"MAIL FROM:<{sender_address}>"


def test_random(server: Server) -> None:
    made = lab(server, "recipient/callout=random")
    assert run(made, "alice@local.example", "u@r.example") == ["250 Accepted", "LOG: svf= rvf=random"]
    assert "RCPT TO:<u@r.example>" not in server.seen
    server.seen.clear()
    assert run(made, "alice@local.example", "u@r.example") == ["250 Accepted", "LOG: svf= rvf=random"]
    assert server.seen == []


def test_random_refused(server: Server) -> None:
    server.script["RCPT TO:<h."] = "550 no"
    assert recipient(server, "recipient/callout=random") == ["250 Accepted", "LOG: svf= rvf="]
    assert server.seen[3:6] == ["RSET", "MAIL FROM:<>", "RCPT TO:<u@r.example>"]


def test_postmaster(server: Server) -> None:
    server.script["RCPT TO:<postmaster@"] = "550 nopm"
    made = lab(server, "recipient/callout=postmaster")
    assert run(made, "alice@local.example", "u@r.example")[:2] == ["550-Callout verification failed:", "550 550 nopm"]
    assert run(made, "alice@local.example", "u@r.example")[0] == "550 (result of earlier verification reused)."
    assert recipient(server, "recipient/callout=fullpostmaster")[0] == "250 Accepted"
