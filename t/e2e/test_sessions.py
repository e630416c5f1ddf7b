"""Several sessions in one process: none waits for another, none is lost or mixed up when they move."""

from __future__ import annotations

import re
import select
import socket

import psutil
from live import Live, wait_until
from served import answered, begin_data, owner

SLOW_ACL = """warn
    senders = slow@far.example
    delay = 60s
  accept"""


def test_a_slow_session_holds_up_no_other() -> None:
    """Idle sessions, sessions in the middle of a message and new ones: all go on while one is held."""
    with Live(acl=SLOW_ACL) as live:
        live.start()
        with live.session() as idle, live.session() as alice, live.session() as bob, live.session() as carol:
            for c, name in ((alice, "alice"), (bob, "bob"), (carol, "carol")):
                begin_data(c, name, f"half of {name}")
            slow = [live.client() for _ in range(3)]
            for c in slow:
                assert c.reply().startswith("220")
                assert c.say("HELO slow").startswith("250")
                assert c.say("MAIL FROM:<slow@far.example>").startswith("250")
                c.sock.sendall(b"RCPT TO:<alice@test.example>\r\n")
            for c, name in ((alice, "alice"), (bob, "bob"), (carol, "carol")):
                assert c.say(f" and the rest of {name}\r\n.").startswith("250 OK id=")
            assert idle.send("alice@test.example", text="from the idle one").startswith("250 OK id=")
            with live.session() as new:
                assert new.send("bob@test.example", text="from a new one").startswith("250 OK id=")
            assert not any(answered(c) for c in slow)
            log = live.wait_log("Completed", 5)
            ids = re.findall(r" (\S+) <= ", log)
            assert len(set(ids)) == len(ids) == 5
            for name in ("alice", "bob", "carol"):
                assert live.mail(name).count(f"half of {name} and the rest of {name}\n") == 1
                assert f"from <{name}@far.example>" in live.mail(name) or f"From {name}@far.example" in live.mail(name)
            held = {owner(live, c) for c in slow}
            assert len(held) == 3, "each slow session has a process to itself"
            assert not held & {owner(live, c) for c in (idle, alice, bob, carol)}
            for pid in held:
                psutil.Process(pid).kill()  # they would sleep on
            for c in (*slow, idle, alice, bob, carol):
                c.close()


def test_sessions_that_wait_a_little_each_are_divided() -> None:
    """A pause in every command, too short to be stuck: the sessions spread over more processes."""
    with Live(acl="warn\n    set acl_m0 = ${run{/bin/sleep 0.06}}\n  accept") as live:
        live.start()
        clients = [live.client() for _ in range(8)]
        for c in clients:
            assert c.reply().startswith("220")
            assert c.say("EHLO x").startswith("250")

        def spread() -> bool:
            for c in clients:
                c.sock.sendall(b"MAIL FROM:<x@far.example>\r\nRCPT TO:<bob@test.example>\r\nRSET\r\n")
            for c in clients:
                assert [c.reply()[:3] for _ in range(3)] == ["250"] * 3
            return len({owner(live, c) for c in clients}) >= 6

        wait_until(spread, "more processes")
        for n, c in enumerate(clients):
            assert c.send("bob@test.example", sender=f"s{n}@far.example", text=f"text {n}").startswith("250 OK id=")
            c.close()
        log = live.wait_log("Completed", 8)
        assert len(set(re.findall(r" (\S+) <= s\d@far\.example ", log))) == 8
        assert all(live.mail("bob").count(f"text {n}\n") == 1 for n in range(8))


def test_facts_of_sessions_in_one_process_are_not_mixed() -> None:
    """Two sessions take turns at every command; each message bears its own names and variables."""
    acl = """warn
    set acl_c_who = $sender_helo_name/$sender_address
    set acl_m_to = $local_part
    add_header = X-Facts: $acl_c_who $acl_m_to
  accept"""
    with Live(acl=acl) as live:
        live.start()
        clients = [live.client() for _ in range(6)]
        for n, c in enumerate(clients):
            assert c.reply().startswith("220")
            assert c.say(f"EHLO host{n}.example").startswith("250")
        people = ("alice", "bob", "carol")
        for turn in range(3):
            for n, c in enumerate(clients):
                assert c.say(f"MAIL FROM:<s{n}t{turn}@far.example>").startswith("250")
            for n, c in enumerate(clients):
                assert c.say(f"RCPT TO:<{people[n % 3]}@test.example>").startswith("250")
            for c in clients:
                assert c.say("DATA").startswith("354")
            for n, c in enumerate(clients):
                c.sock.sendall(f"Subject: s{n}\r\n".encode())
            for n, c in enumerate(clients):
                assert c.say(f"\r\nbody {n} {turn}\r\n.").startswith("250 OK id=")
        live.wait_log("Completed", 18)
        for n in range(6):
            mail = live.mail(people[n % 3])
            for turn in range(3):
                (one,) = [m for m in mail.split("\n\nFrom ") if f"body {n} {turn}\n" in m + "\n"]
                assert f"X-Facts: host{n}.example/s{n}t{turn}@far.example {people[n % 3]}\n" in one
                assert f"Subject: s{n}\n" in one
                assert f"(helo=host{n}.example)" in one or f"from host{n}.example" in one
        for c in clients:
            c.close()


def test_silence_ends_one_session_and_leaves_the_others() -> None:
    with Live(main="smtp_receive_timeout = 2s") as live:
        live.start()
        with live.session() as silent, live.session() as other:
            begin_data(silent, "alice", "never finished")
            while not answered(silent):
                assert other.say("NOOP").startswith("250")
                select.select([silent.sock], [], [], 0.2)
            assert silent.reply() == "421 test.example SMTP incoming data timeout - closing connection."
            assert silent.reply() == ""
            assert other.send("bob@test.example").startswith("250 OK id=")
        live.wait_log("SMTP data timeout (message abandoned) on connection from (client.example) [127.0.0.1]")


def test_a_client_that_reads_nothing_stops_only_itself() -> None:
    """Replies that nobody takes fill the socket; the process that waits for it has no other session."""
    with Live(main="smtp_accept_max_nonmail_hosts =") as live:
        live.start()
        others = [live.client() for _ in range(4)]
        for c in others:
            assert c.reply().startswith("220")
            assert c.say("HELO x").startswith("250")
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", live.port))
        deaf.setblocking(False)
        sent, quiet = 0, 0
        while quiet < 20:
            try:
                sent += deaf.send(b"HELP\r\n" * 1000)
                quiet = 0
            except BlockingIOError:
                quiet += 1
                for c in others:
                    assert c.say("NOOP").startswith("250")
        assert sent > 0
        for c in others:
            assert c.send("alice@test.example").startswith("250 OK id=")
            c.close()
        deaf.close()


def test_sessions_without_a_time_limit() -> None:
    with Live(main="smtp_receive_timeout = 0s") as live:
        live.start()
        with live.session() as one, live.session() as other:
            for c in (one, other, one):
                assert c.say("NOOP").startswith("250")
            assert one.send("alice@test.example").startswith("250 OK id=")
