"""What tests of several sessions share: who serves a client, a message that is half said."""

from __future__ import annotations

import select

from live import Client, Live, wait_until


def owner(live: Live, c: Client) -> int:
    """Return the process id of who serves a client."""
    port = c.sock.getsockname()[1]

    def found() -> list[int]:
        pids = []
        for one in live.processes("pyexim: reception"):
            if any(x.raddr and x.raddr.port == port for x in one.net_connections("tcp")):
                pids.append(one.pid)
        return pids if len(pids) == 1 else []  # while sessions move there are two
    return wait_until(found, "one owner")[0]


def begin_data(c: Client, to: str, first: str) -> None:
    """Bring a session into the middle of its message."""
    assert c.say(f"MAIL FROM:<{to}@far.example>").startswith("250")
    assert c.say(f"RCPT TO:<{to}@test.example>").startswith("250")
    assert c.say("DATA").startswith("354")
    c.sock.sendall(f"Subject: {first}\r\n\r\n{first}".encode())


def answered(c: Client) -> bool:
    return bool(select.select([c.sock], [], [], 0)[0])
