"""Whole sessions in memory: a configuration, a pair of pipes, a spool in a temporary directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyexim.base.messageid import Generator
from pyexim.config.configuration import Configuration
from pyexim.config.load import load
from pyexim.expand.scope import Services
from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun, Submission, serve_batch, serve_stdio, submit
from pyexim.receive.encryption import prepare
from pyexim.spool.api import SpoolSettings

CONFIG = """
primary_hostname = test.example
qualify_domain = test.example
qualify_recipient = test.example
keep_environment =
spool_directory = {spool}
acl_smtp_rcpt = accept
queue_only
host_lookup =
check_spool_space = 0
check_spool_inodes = 0
{extra}
begin routers
l:
  driver = accept
  transport = t
begin transports
t:
  driver = appendfile
  file = /dev/null
"""


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        if not selector or self.selected(selector):
            self.lines.append(text)

    def crash(self, text: str) -> None:
        self.lines.append("PANIC " + text)

    def wants(self, selector: str) -> bool:
        return self.selected(selector)

    def reject(self, text: str, *, message_id: str | None = None, headers: str = "", also_main: bool = True) -> None:
        self.lines.append(text)

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.lines.append("PANIC " + text)

    def selected(self, selector: str) -> bool:
        return selector in ("size_reject", "connection_reject", "lost_incoming_connection", "rejected_header", "msg_id")


class World:
    """A configuration with a spool."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        path = directory / "conf"
        path.write_text(CONFIG.format(spool=directory / "spool", extra=extra))
        self.config: Configuration = load([str(path)], {})
        self.log = Log()
        self.reports: list[bytes] = []
        services = Services(log=self.log, primary_hostname="test.example", caller_uid=os.getuid(),
                            caller_gid=os.getgid(),
                            submit=self.submit)
        self.delivered: list[str] = []
        self.spool = directory / "spool"
        self.run = ReceiveRun(
            config=self.config, services=services, spool=SpoolSettings(str(self.spool), fsync=False),
            ids=Generator(os.getpid()), start_delivery=lambda i, q: self.delivered.append(i), load_average=lambda: 0,
            delivery_line=lambda *_, **__: "")

    def submit(self, arguments: list[str], data: bytes) -> int:
        self.reports.append(data)
        return 0

    def pipe(self, data: bytes) -> int:
        path = self.spool.parent / "input"
        path.write_bytes(data)
        return os.open(path, os.O_RDONLY)

    def session(self, data: bytes) -> str:
        fd, (r, w) = self.pipe(data), os.pipe()
        code = serve_stdio(fd, w, Connection(kind="stdin", sender_ident="me"), self.run)
        os.close(w)
        with open(r, "rb") as f:
            out = f.read().decode("latin-1")
        os.close(fd)
        self.code = code
        return out

    def local(self, data: bytes, submission: Submission) -> int:
        fd = self.pipe(data)
        code = submit(fd, submission, Connection(sender_ident="me"), self.run)
        os.close(fd)
        return code

    def batch(self, data: bytes) -> int:
        fd = self.pipe(data)
        code = serve_batch(fd, 1, Connection(kind="stdin", sender_ident="me", batched=True), self.run)
        os.close(fd)
        return code

    def files(self, kind: str) -> list[str]:
        return [p.read_bytes().decode("latin-1") for p in sorted((self.spool / "input").glob(f"*-{kind}"))]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@test.example>\r\n"


def test_a_message(world: World) -> None:
    out = world.session(ENVELOPE + b"DATA\r\nSubject: s\r\nMessage-ID: <i@d>\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
    assert "250 OK id=" in out
    assert out.endswith("221 test.example closing connection\r\n")
    assert world.files("D")[0].split("\n", 1)[1] == ".dot\n"
    header = world.files("H")[0]
    assert "\n1\nx@test.example\n" in header
    assert "P Received: from me (helo=c.example)\n\tby test.example with local-esmtp (Exim" in header
    assert world.log.lines[0].startswith("<= a@b.example U=me P=local-esmtp S=")
    assert world.log.lines[0].endswith("id=i@d")
    assert world.code == 0


def test_two_messages_and_chunks(world: World) -> None:
    out = world.session(ENVELOPE + b"BDAT 6\r\nA: b\r\nBDAT 6 LAST\r\n\r\nx\r\ny"
                        b"MAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\n"
                        b"DATA\r\nA: c\r\n\r\n.\r\nQUIT\r\n")
    assert "250 6 byte chunk received" in out
    assert "250- 6 byte chunk, total 14\r\n250 OK id=" in out
    assert len(world.files("H")) == 2


def test_lost_connection_leaves_nothing(world: World) -> None:
    out = world.session(ENVELOPE + b"DATA\r\nA: b\r\n\r\nhalf")
    assert "421 Lost incoming connection" in out
    assert world.files("D") == []
    assert world.files("H") == []
    assert world.code == 1


def test_too_big_and_refused(tmp_path: Path) -> None:
    world = World(tmp_path, "message_size_limit = 100\nacl_smtp_data = deny message = no")
    out = world.session(ENVELOPE + b"DATA\r\nA: b\r\n\r\n" + b"x" * 200 + b"\r\n.\r\n" + ENVELOPE[16:]
                        + b"DATA\r\nA: b\r\n\r\n.\r\nQUIT\r\n")
    assert "552 Message size exceeds maximum permitted" in out
    assert "550 no\r\n" in out
    assert world.files("D") == []


def test_a_spool_that_fails(world: World) -> None:
    world.run.spool = SpoolSettings("/dev/null/nowhere", fsync=False)
    out = world.session(ENVELOPE + b"DATA\r\nQUIT\r\n")
    assert "452 Error while writing spool file" in out
    assert any(line.startswith("PANIC") for line in world.log.lines)


def test_delivery_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.config.main.queue_only = False
    world.session(ENVELOPE + b"DATA\r\nA: b\r\n\r\n.\r\nQUIT\r\n")
    assert len(world.delivered) == 1


def test_local_message(world: World) -> None:
    code = world.local(b"To: a@b.example, c\nBcc: d@e.example\n\nx\n.\ny\n", Submission(extract_recipients=True))
    assert code == 0
    header = world.files("H")[0]
    assert "\n3\na@b.example\nc@test.example\nd@e.example\n" in header
    assert "* Bcc: d@e.example" in header
    assert "F From: " in header
    assert world.files("D")[0].split("\n", 1)[1] == "x\n"


def test_local_errors(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert world.local(b"\nx\n", Submission(recipients=["<a"], error_mode="p")) == 1
    assert 'exim: bad recipient address "<a": ' in capfd.readouterr().err
    assert world.local(b"\nx\n", Submission(recipients=["<a"])) == 1
    assert b"Subject: Mail failure - malformed recipient address" in world.reports[0]
    assert world.local(b"Subject: x\n\n", Submission(extract_recipients=True)) == 1
    assert b"Subject: Mail failure - no recipient addresses" in world.reports[1]
    assert world.files("D") == []


def test_batch(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    one = b"MAIL FROM:<a@b.example>\nRCPT TO:<x>\nDATA\nA: b\n\nbody\n.\n"
    assert world.batch(one * 2) == 0
    assert len(world.files("H")) == 2
    assert world.batch(one + b"FOO\n") == 1
    assert capfd.readouterr().out.startswith("500 Command unrecognized\nTransaction started in line 7\n"
                                             "Error detected in line 8\nFOO\n")
    assert world.batch(b"RCPT TO:<x>\n") == 2
    assert world.batch(one[:-2]) == 2
    assert capfd.readouterr().out.endswith("Error detected in line 7\n")


def test_smuggling_in_a_batch_with_crlf(world: World) -> None:
    data = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x>\r\nDATA\r\nA: b\r\n\r\nhello\n.\nMAIL FROM:<evil@x>\r\n\r\n.\r\n"
    assert world.batch(data) == 0
    assert len(world.files("H")) == 1


def test_errors_of_the_client_are_events(tmp_path: Path) -> None:
    action = "event_action = ${if eq{${acl{ev}}}{}{}}"
    world = World(tmp_path, f"{action}\nbegin acl\nev:\n  warn logwrite = $event_name: $event_data\n  accept")
    world.session(b"HELO x\r\nMAIL FROM:<a@b@c>\r\nDATA\r\nFOO\r\nQUIT\r\n")
    events = [line for line in world.log.lines if line.startswith("smtp:")]
    assert [line.partition(": ")[0] for line in events] == ["smtp:fail:syntax", "smtp:fail:protocol",
                                                            "smtp:fail:syntax"]
    assert events[1:] == ["smtp:fail:protocol: valid RCPT command must precede DATA",
                          "smtp:fail:syntax: unrecognized command"]


def test_without_the_library_tls_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyexim.tls.api.missing", lambda: "the library pyOpenSSL is not installed")
    world = World(tmp_path)
    said = world.session(b"EHLO x\r\nHELP\r\nSTARTTLS\r\nQUIT\r\n")
    assert "250-8BITMIME" in said
    assert "STARTTLS" not in said.replace("503 STARTTLS command used when not advertised", "")
    assert "503 STARTTLS command used when not advertised" in said
    prepare(world.config, world.run.services, on_connect=False)
    assert world.log.lines[-1] == "Warning: TLS is not offered: the library pyOpenSSL is not installed"
    run = world.run
    run.tls_on_connect = True
    assert world.session(b"EHLO x\r\n") == ""
    assert world.log.lines[-1] == ("TLS error on connection from me (TLS is not there): "
                                   "the library pyOpenSSL is not installed")


def test_what_came_in_clear_is_forgotten(tmp_path: Path) -> None:
    """Commands behind STARTTLS in one piece are neither obeyed nor taken for a handshake."""
    pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")
    world = World(tmp_path)
    said = world.session(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n")
    assert said.endswith("220 TLS go ahead\r\n")
    assert world.log.lines == ["TLS error on connection from me (SSL_accept): TCP connection closed by peer"]
