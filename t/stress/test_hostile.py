"""Hostile clients against the daemon, hostile servers against the client: nothing hangs, grows or raises.

What is done is drawn with a fixed seed.  Afterwards the daemon serves as before, and no message is lost.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable

import psutil
from live import PATIENCE, Live, wait_until

DIALOGUE = (b"EHLO client.example\r\n", b"MAIL FROM:<x@far.example>\r\n", b"RCPT TO:<alice@test.example>\r\n",
            b"DATA\r\n", b"Subject: t\r\n\r\nbody\r\n", b".\r\n", b"RSET\r\n", b"BDAT 20\r\n", b"0123456789",
            b"QUIT\r\n")
MEGABYTE = 1 << 20


def noise(chance: random.Random, length: int) -> bytes:
    """Return octets in which line ends are not rare."""
    return bytes(chance.choice((10, 13, 0, 32, 46, 255, chance.randrange(256))) for _ in range(length))


def reset(sock: socket.socket) -> None:
    """Close a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# -- clients

def only_noise(sock: socket.socket, chance: random.Random) -> None:
    """Octets without sense."""
    for _ in range(5):
        sock.sendall(noise(chance, chance.randrange(1, 3000)))


def long_line(sock: socket.socket, chance: random.Random) -> None:
    """A line without end, as a command or in a message."""
    for line in DIALOGUE[:chance.choice((0, 1, 4))]:
        sock.sendall(line)
    for _ in range(4):
        sock.sendall(bytes([chance.randrange(97, 123)]) * MEGABYTE)


def damaged(sock: socket.socket, chance: random.Random) -> None:
    """A dialogue with octets lost, doubled and inserted."""
    for line in DIALOGUE:
        at = chance.randrange(len(line))
        middle = chance.choice((b"", noise(chance, 9), line[at:] * 2))
        sock.sendall(line[:at] + middle + line[at + chance.randrange(3):])


def dripping(sock: socket.socket, chance: random.Random) -> None:
    """A dialogue in small pieces, with pauses."""
    text = b"".join(DIALOGUE)
    end = chance.randrange(20, 60)
    for at in range(0, end, 4):
        sock.sendall(text[at:at + 4])
        time.sleep(0.05)


def half_closed(sock: socket.socket, chance: random.Random) -> None:
    """Everything at once, and the end of what we send; what is answered is read."""
    sock.sendall(b"".join(DIALOGUE[:chance.randrange(len(DIALOGUE))]))
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65536):
        pass


def torn(sock: socket.socket, chance: random.Random) -> None:
    """A dialogue that a RST ends somewhere."""
    for line in DIALOGUE[:chance.randrange(1, len(DIALOGUE))]:
        sock.sendall(line[:chance.choice((len(line), 3))])
        if chance.random() < 0.5:
            sock.recv(4096)
    reset(sock)


CLIENTS = (only_noise, long_line, damaged, dripping, half_closed, torn)


def attack(port: int, act: Callable[[socket.socket, random.Random], None], chance: random.Random) -> None:
    """Do one thing to the daemon; that it hangs up is its right."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        act(sock, chance)


def memory(live: Live) -> int:
    """Return what the daemon and its processes have for themselves, in octets."""
    total = 0
    for one in [live.master, *live.processes()]:
        with contextlib.suppress(psutil.Error):
            assert one is not None
            total += one.memory_full_info().uss
    return total


def test_hostile_clients() -> None:
    settings = "queue_only\nsmtp_receive_timeout = 2s\nsmtp_accept_max = 40\nsmtp_accept_queue_per_connection = 0"
    with Live(main=settings) as live:
        live.start()
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        before = memory(live)
        chance = random.Random(17)
        jobs = [(act, random.Random(chance.random())) for act in CLIENTS for _ in range(8)]
        chance.shuffle(jobs)

        def work() -> None:
            while jobs:
                with contextlib.suppress(IndexError):
                    attack(live.port, *jobs.pop())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
            assert not one.is_alive(), "a session hangs"
        sound(live, before)


def test_thousands_of_connections() -> None:
    with Live(main="queue_only\nsmtp_accept_max = 30\nsmtp_receive_timeout = 2s\nsmtp_connect_backlog = 50") as live:
        live.start()
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
        before = memory(live)
        chance = random.Random(18)
        held: list[socket.socket] = []
        for number in range(1000):
            with contextlib.suppress(OSError):
                sock = socket.create_connection(("127.0.0.1", live.port), PATIENCE)
                held.append(sock)
            if len(held) > 60 or number % 5 == 0:
                for one in held:
                    reset(one) if chance.random() < 0.5 else one.close()
                held.clear()
        for one in held:
            one.close()
        sound(live, before)


def sound(live: Live, before: int) -> None:
    """The daemon serves; all sessions have ended; it has not grown; nothing raised."""
    def served() -> bool:
        with contextlib.suppress(AssertionError, OSError), live.session() as c:
            return c.send("bob@test.example").startswith("250")
        return False
    wait_until(served, "a session as usual")
    assert live.master is not None

    def quiet() -> bool:
        return not [x for one in live.processes() for x in connections(one)
                    if x.status == "ESTABLISHED" and x.laddr.port == live.port]
    wait_until(quiet, "the end of all sessions")
    assert memory(live) < before + 60 * MEGABYTE
    for name in ("mainlog", "paniclog"):
        assert "Traceback" not in live.log(name) and "unexpected error" not in live.log(name), live.log(name)
    assert "died" not in live.log("paniclog"), live.log("paniclog")


def connections(one: psutil.Process) -> list[object]:
    """Return the connections of a process, which may be gone."""
    with contextlib.suppress(psutil.Error):
        return list(one.net_connections("tcp"))
    return []


# -- servers

REPLIES = (b"220 server ESMTP\r\n", b"250-server\r\n250-PIPELINING\r\n250 SIZE\r\n", b"250 ok\r\n", b"250 ok\r\n",
           b"354 go\r\n", b"250 taken\r\n", b"221 bye\r\n")
CODES = (b"000", b"99", b"2500", b"250", b"354", b"421", b"450", b"550", b"999", b"2\xb20", b"   ")


class HostileServer(threading.Thread):
    """A server on all addresses of the loopback net; what it does depends on the address that is asked."""

    def __init__(self, seed: int) -> None:
        super().__init__(daemon=True)
        self.seed = seed
        self.server = socket.create_server(("0.0.0.0", 0), backlog=100)
        self.port: int = self.server.getsockname()[1]
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.server.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        address = peer.getsockname()[0]
        chance = random.Random(f"{self.seed} {address}")
        kind = int(address.rpartition(".")[2]) % 8
        with contextlib.suppress(OSError), peer:
            peer.settimeout(10)
            bad = chance.randrange(len(REPLIES))
            for number, reply in enumerate(REPLIES):
                if number:
                    peer.recv(65536)
                if number == bad:
                    self._misbehave(peer, chance, kind, reply)
                    peer.recv(65536)
                    if kind not in (3, 5):
                        return
                else:
                    peer.sendall(reply)

    def _misbehave(self, peer: socket.socket, chance: random.Random, kind: int, reply: bytes) -> None:
        if kind == 0:
            peer.sendall(noise(chance, 4000))
        elif kind == 1:  # a line without end
            for _ in range(8):
                peer.sendall(b"250 " + b"x" * MEGABYTE)
        elif kind == 2:  # a reply without end
            for _ in range(20000):
                peer.sendall(b"250-and another thing\r\n" * 10)
        elif kind == 3:  # in small pieces
            for at in range(len(reply)):
                peer.sendall(reply[at:at + 1])
                time.sleep(0.02)
        elif kind == 4:
            peer.sendall(reply[:3])
            reset(peer)
        elif kind == 5:  # all at once, before it is asked
            peer.sendall(b"".join(REPLIES) * 3)
        elif kind == 6:
            peer.sendall(chance.choice(CODES) + chance.choice((b" ", b"-", b"", b"\0")))
            peer.sendall(noise(chance, 20) + b"\r\n" + reply)
        else:  # nothing more, but still there
            peer.shutdown(socket.SHUT_WR)
            time.sleep(3)


ROUTER = """
hostile:
  driver = manualroute
  domains = ^d\\\\d+\\\\.example
  route_data = ${sg{$domain}{\\N^d(\\d+).*\\N}{127.0.1.\\$1}}
  self = send
  transport = out
"""


def test_hostile_servers() -> None:
    server = HostileServer(23)
    count = 32
    timeouts = "connect_timeout = 1s\n  command_timeout = 1s\n  data_timeout = 1s\n  final_timeout = 1s"
    with Live(routers=ROUTER, sink=server.port, smtp=timeouts) as live:
        batch = "".join(f"MAIL FROM:<x@test.example>\nRCPT TO:<u@d{n}.example>\nDATA\nSubject: t\n\nhello\n.\n"
                        for n in range(1, count + 1))
        assert live.run("-odq", "-bS", stdin=batch).returncode == 0
        largest = 0
        began = time.monotonic()
        done = threading.Event()

        def watch() -> None:
            nonlocal largest
            me = psutil.Process()
            while not done.wait(0.1):
                for one in me.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        largest = max(largest, one.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            assert live.run("-qff").returncode == 0
        finally:
            done.set()
            watcher.join()
        assert time.monotonic() - began < 2 * PATIENCE
        assert largest < 150 * MEGABYTE
        log, left = live.log(), live.queue()
        fates = re.findall(r"(\S+) (==|=>|\*\*) u@d\d+\.example", log)
        assert len(fates) == count, log
        assert all(what != "==" or name in left for name, what in fates), log
        for name in ("mainlog", "paniclog"):
            assert "Traceback" not in live.log(name) and "unexpected error" not in live.log(name), live.log(name)
    server.server.close()
