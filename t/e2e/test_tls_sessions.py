"""Encrypted sessions, several in one process: none waits for another, none is lost when processes divide."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Client, Live, wait_until
from served import answered, begin_data, owner

pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")

from certificates import Authority, write

MAIN = """tls_advertise_hosts = *
tls_certificate = @TOP@/server.pem
log_selector = +tls_resumption
"""
CA = Authority()


@contextlib.contextmanager
def daemon(main: str = "", acl: str = "accept", *arguments: str) -> Iterator[Live]:
    """A daemon with a certificate of its own."""
    with Live(main=MAIN + main, acl=acl) as live:
        write(live.top / "server.pem", *CA.issue("test.example", names=("test.example",)))
        write(live.top / "ca.pem", CA.certificate)
        live.start(*arguments)
        yield live


def greeted(live: Live) -> Client:
    """Return a session that has said EHLO."""
    c = live.client()
    assert c.reply().startswith("220")
    assert "250-STARTTLS" in c.say("EHLO client.example")
    return c


def secure(live: Live, context: ssl.SSLContext | None = None, **options: object) -> Client:
    """Return an encrypted session after its second EHLO."""
    c = greeted(live)
    c.starttls(context, **options)
    answer = c.say("EHLO secure.example")
    assert answer.startswith("250-test.example Hello") and "STARTTLS" not in answer
    return c


class InPieces:
    """A client that has the octets of its TLS connection in hand."""

    def __init__(self, live: Live, name: str | None = None) -> None:
        self.client = greeted(live)
        assert self.client.say("STARTTLS").startswith("220")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.sock = self.client.sock

    def hello(self) -> bytes:
        """Return the first octets of the handshake."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def finish(self) -> None:
        """Go on with the handshake to its end."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.incoming.write(self.sock.recv(65536))
        self.sock.sendall(self.outgoing.read())

    def encrypted(self, text: bytes) -> bytes:
        self.tls.write(text)
        return self.outgoing.read()

    def reply(self) -> bytes:
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.incoming.write(self.sock.recv(65536))


def test_pieces_of_records_hold_up_nobody() -> None:
    """Half a hello, half a record: everybody goes on in the same process; what was decrypted is not forgotten."""
    with daemon() as live:
        slow, idle, other = InPieces(live), secure(live), greeted(live)
        hello = slow.hello()
        slow.sock.sendall(hello[:20])
        assert other.send("bob@test.example", text="beside half a hello").startswith("250 OK id=")
        slow.sock.sendall(hello[20:])
        slow.finish()
        data = slow.encrypted(b"EHLO slow\r\n")
        for at in range(len(data) - 1):
            slow.sock.sendall(data[at:at + 1])
            if at % 8 == 0:
                assert other.say("NOOP").startswith("250")
        assert idle.send("alice@test.example", text="beside half a record").startswith("250 OK id=")
        slow.sock.sendall(data[-1:])
        assert slow.reply().startswith(b"250-test.example Hello slow")
        # Two commands in two records, in one piece of the network; and one command in two records.
        slow.sock.sendall(slow.encrypted(b"NOOP\r\n") + slow.encrypted(b"RSET\r\n"))
        got = slow.reply()
        while got.count(b"\r\n") < 2:
            got += slow.reply()
        assert got == b"250 OK\r\n250 Reset OK\r\n"
        slow.sock.sendall(slow.encrypted(b"NO"))
        assert other.say("NOOP").startswith("250")
        slow.sock.sendall(slow.encrypted(b"OP\r\n"))
        assert slow.reply() == b"250 OK\r\n"
        assert len({owner(live, c) for c in (slow.client, idle, other)}) <= 2, "no process was divided"
        log = live.wait_log("Completed", 2)
        assert " P=esmtps X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no S=" in log
        received = live.mail("alice")
        assert re.search(r"\tby test\.example with esmtps  \(TLS1\.3\) tls TLS_AES_256_GCM_SHA384\n\t\(Exim ", received)
        for c in (slow.client, idle, other):
            c.close()


def test_encrypted_sessions_live_on_when_a_process_divides() -> None:
    """One session is stuck for a while; those in the middle of messages go on elsewhere, and it goes on afterwards."""
    with daemon(acl="warn\n    senders = slow@far.example\n    delay = 3s\n  accept") as live:
        people = ("alice", "bob", "carol")
        sessions = [secure(live) for _ in range(9)]
        for n, c in enumerate(sessions):
            begin_data(c, people[n % 3], f"half of {n}")
        stuck = [secure(live) for _ in range(2)]
        fresh = greeted(live)
        for c in stuck:
            assert c.say("MAIL FROM:<slow@far.example>").startswith("250")
            c.sock.sendall(b"RCPT TO:<alice@test.example>\r\n")
        for n, c in enumerate(sessions):
            assert c.say(f" and the rest of {n}\r\n.").startswith("250 OK id=")
            assert c.say("NOOP") == "250 OK"
        fresh.starttls()
        assert fresh.say("EHLO later").startswith("250")
        assert fresh.send("bob@test.example", text="begun meanwhile").startswith("250 OK id=")
        for c in stuck:
            assert c.reply().startswith("250 Accepted")
            assert c.say("DATA").startswith("354")
            assert c.say("Subject: slow\r\n\r\nslow\r\n.").startswith("250 OK id=")
        for c in (*sessions, *stuck, fresh):
            assert c.say("QUIT").startswith("221")
            assert c.reply() == ""
            assert isinstance(c.sock, ssl.SSLSocket)
            c.close()
        log = live.wait_log("Completed", 12)
        assert log.count(" P=esmtps X=") == 12
        for n in range(9):
            assert live.mail(people[n % 3]).count(f"half of {n} and the rest of {n}\n") == 1
        assert live.mail("alice").count("\nslow\n") == 2
        assert "TLS error" not in log


def test_a_client_that_is_silent_in_the_handshake() -> None:
    with daemon("smtp_receive_timeout = 2s\n") as live:
        silent, other = greeted(live), secure(live)
        assert silent.say("STARTTLS").startswith("220")
        while not answered(silent):
            assert other.say("NOOP").startswith("250")
            select.select([silent.sock], [], [], 0.2)
        assert silent.reply() == ""
        live.wait_log("TLS error on connection from (client.example) [127.0.0.1] (SSL_accept): timed out")
        assert other.send("bob@test.example").startswith("250 OK id=")
        silent.close()
        other.close()


def test_what_was_sent_in_clear_is_no_part_of_the_session() -> None:
    """Commands after STARTTLS in the same packet, and in a later one before the handshake."""
    with daemon("smtp_enforce_sync = false\n") as live:
        with greeted(live) as c:
            c.sock.sendall(b"STARTTLS\r\nMAIL FROM:<injected@far.example>\r\nRCPT TO:<bob@test.example>\r\nDATA\r\n")
            assert c.reply().startswith("220")
            c.encrypt()
            assert c.say("DATA").startswith("503")
            assert c.say("EHLO x").startswith("250")
            assert c.say("RCPT TO:<bob@test.example>") == "503 sender not yet given"
            assert c.send("alice@test.example").startswith("250 OK id=")
        with greeted(live) as c:
            assert c.say("STARTTLS").startswith("220")
            c.sock.sendall(b"MAIL FROM:<injected@far.example>\r\n")
            assert not c.reply().startswith("2")
        live.wait_log("(SSL_accept): error:SSL routines::wrong version number")
        live.wait_log("Completed", 1)
        assert "injected" not in live.log()


def test_sessions_are_resumed_in_every_process() -> None:
    """The keys of tickets are made before the processes are."""
    with daemon("tls_resumption_hosts = *\n") as live:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(str(live.top / "ca.pem"))
        first = secure(live, context, server_hostname="test.example")
        assert first.send("bob@test.example").startswith("250 OK id=")
        assert isinstance(first.sock, ssl.SSLSocket)
        session = first.sock.session
        others = [secure(live, context, server_hostname="test.example", session=session) for _ in range(6)]
        for c in others:
            assert isinstance(c.sock, ssl.SSLSocket)
            assert c.sock.session_reused
            assert c.send("alice@test.example").startswith("250 OK id=")
        assert len({owner(live, c) for c in others}) > 1
        log = live.wait_log("Completed", 7)
        assert len(re.findall(r" X=TLS1\.3:TLS_AES_256_GCM_SHA384:256\* CV=no", log)) == 6
        for c in (first, *others):
            c.close()


def test_a_certificate_of_our_own_making_is_everybody_s() -> None:
    with Live(main="tls_advertise_hosts = *\n") as live:
        live.start("-oX", str(live.port))
        found = set()
        clients = [greeted(live) for _ in range(5)]
        for c in clients:
            found.add(c.starttls().getpeercert(binary_form=True))
        assert len({owner(live, c) for c in clients}) > 1
        assert len(found) == 1
        live.wait_log("Warning: No server certificate defined; will use a selfsigned one.")
        for c in clients:
            c.close()


def test_tls_on_connect_by_the_command_line() -> None:
    with daemon("", "accept", "-tls-on-connect") as live:
        live.wait_log("listening for SMTPS on")
        c = live.client()
        c.encrypt()
        assert c.reply().startswith("220 test.example")
        assert "STARTTLS" not in c.say("EHLO x")
        assert c.send("bob@test.example").startswith("250 OK id=")
        assert c.say("QUIT").startswith("221")
        live.wait_log("P=esmtps X=")
        c.close()


def test_a_session_by_inetd() -> None:
    """-bs on a socket: the same conversation, waiting for the client."""
    with Live(main=MAIN) as live, socket.create_server(("127.0.0.1", 0)) as server:
        write(live.top / "server.pem", *CA.issue("test.example"))
        c = Client(server.getsockname()[1])
        accepted, _ = server.accept()
        with accepted:
            process = subprocess.Popen([live.program, "-C", str(live.conf), "-bs", "-odq"], stdin=accepted,
                                       stdout=accepted, stderr=subprocess.PIPE)
        assert c.reply().startswith("220")
        assert "STARTTLS" in c.say("EHLO x")
        c.starttls()
        assert c.say("EHLO x").startswith("250")
        assert c.send("bob@test.example", text="x" * 200_000).startswith("250 OK id=")
        assert c.say("QUIT").startswith("221")
        assert c.reply() == ""
        assert process.wait(20) == 0, process.communicate()
        assert " P=esmtps X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no S=" in live.log()
        c.close()


def test_a_certificate_for_each_name_that_is_asked_for(tmp_path: Path) -> None:
    """tls_certificate with $tls_in_sni, and a client's certificate that must be good."""
    main = """tls_advertise_hosts = *
tls_certificate = @TOP@/${if match{$tls_in_sni}{^(one|two)[.]example\\$}{$1}{server}}.pem
tls_verify_hosts = *
tls_verify_certificates = @TOP@/ca.pem
"""
    with Live(main=main) as live:
        for name in ("server", "one", "two"):
            write(live.top / f"{name}.pem", *CA.issue(f"{name}.example"))
        write(live.top / "ca.pem", CA.certificate)
        mine = write(tmp_path / "client.pem", *CA.issue("client.example"))
        live.start()
        for name, wanted in (("one.example", "one"), ("two.example", "two"), ("x.example", "server")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(str(live.top / "ca.pem"))
            context.load_cert_chain(mine)
            c = secure(live, context, server_hostname=name)
            assert isinstance(c.sock, ssl.SSLSocket)
            subject = dict(x[0] for x in (c.sock.getpeercert() or {})["subject"])
            assert subject["commonName"] == f"{wanted}.example"
            assert c.send("bob@test.example").startswith("250 OK id=")
            c.close()
        log = live.wait_log("Completed", 3)
        assert log.count(" CV=yes ") == 3
        c = greeted(live)
        c.starttls()
        with contextlib.suppress(OSError):  # with TLS 1.3 the client learns of it when it reads
            assert c.say("EHLO without") == ""
        wait_until(lambda: "peer did not return a certificate" in live.log(), "a line in the log")
        c.close()


def test_tls_at_once_behind_a_proxy() -> None:
    """The proxy's header is in clear, and the client's first octets may come with it."""
    with daemon("hosts_proxy = 127.0.0.1\n", "accept", "-tls-on-connect") as live:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(str(live.top / "ca.pem"))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="test.example")
        with socket.create_connection(("127.0.0.1", live.port), 20) as sock:
            first = b"PROXY TCP4 10.1.2.3 10.4.5.6 4711 25\r\n"
            got = b""
            while b"\r\n" not in got:
                try:
                    got += tls.read(65536)
                except ssl.SSLWantReadError:
                    sock.sendall(first + outgoing.read())
                    first = b""
                    incoming.write(sock.recv(65536))
            assert got.startswith(b"220 test.example")
            tls.write(b"EHLO x\r\n")
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
            assert b"Hello x [10.1.2.3]" in tls.read(65536)


def test_esmtp_may_be_remembered() -> None:
    """tls_remember_esmtp: for clients that do not say EHLO again."""
    with daemon("tls_remember_esmtp\n") as live:
        c = greeted(live)
        c.starttls()
        assert c.send("bob@test.example").startswith("250 OK id=")
        assert " H=(client.example) [127.0.0.1] P=esmtps X=" in live.wait_log("Completed", 1)
        c.close()


def test_a_certificate_that_takes_long_to_choose() -> None:
    """The process divides in the middle of a handshake, inside the library's callback; all sessions go on."""
    main = """tls_advertise_hosts = *
tls_certificate = ${if eq{$tls_in_sni}{slow.example}{${run{/bin/sleep 1.5}{@TOP@/server.pem}}}{@TOP@/server.pem}}
"""
    with Live(main=main) as live:
        write(live.top / "server.pem", *CA.issue("test.example"))
        live.start()
        others = [secure(live) for _ in range(4)]
        for n, c in enumerate(others):
            begin_data(c, "bob", f"half of {n}")
        slow = [InPieces(live, "slow.example") for _ in range(2)]
        for one in slow:
            one.sock.sendall(one.hello())
        for n, c in enumerate(others):
            assert c.say(f" and the rest of {n}\r\n.").startswith("250 OK id=")
        assert not any(answered(one.client) for one in slow)
        for one in slow:
            one.finish()
            one.sock.sendall(one.encrypted(b"EHLO slow\r\n"))
            assert one.reply().startswith(b"250-test.example Hello slow")
            one.client.close()
        for c in others:
            assert c.send("alice@test.example").startswith("250 OK id=")
            c.close()
        assert "TLS error" not in live.wait_log("Completed", 8)
