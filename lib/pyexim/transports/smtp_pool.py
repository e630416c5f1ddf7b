"""A live connection: an idle SMTP session that another message may go down, in this process or the next.

What is here is the value that travels: the socket and what is known of the session on it.  Where idle
connections wait, and how they get from process to process, is the business of ``deliver``; it needs
only what :class:`LiveConnection` offers.  Only an idle connection is passed on: nothing unread, nothing
unsent, no transaction begun.

Spec: chapter "SMTP processing", section "Outgoing SMTP and LMTP over TCP/IP".
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Protocol

from pyexim.base.record import dataclass, field

_STATE_VERSION = 1


@dataclass(slots=True, eq=False)
class LiveConnection:
    """A connected session after its greeting, between two messages.

    ``key`` is what it is parked and asked for by: transport, host name, address, port, and our own
    identity on it (HELO name and interface).  ``capabilities`` are those that the peer announced,
    by upper-case keyword, or None where they are not known (the documented -MC form passes none of
    them).  ``messages`` counts those that have gone down it, ``limit`` is connection_max_messages (0:
    none).  ``idle_since`` is on the monotonic clock of the machine.
    """

    sock: socket.socket
    transport: str
    host_name: str
    host_address: str
    host_port: int
    key: str
    lmtp: bool = False
    capabilities: dict[str, str] | None = None
    helo: str = ""
    messages: int = 1
    limit: int = 0
    idle_since: float = 0.0
    local: tuple[str, int] = ("", 0)
    facts: dict[str, Any] = field(default_factory=dict)
    """"authenticated": the session is; "tls": what was agreed, where it is encrypted.  Such a one cannot travel."""
    channel: Any = None
    """The encrypted channel over the socket (tls.channel.TlsChannel)."""

    def fileno(self) -> int:
        """Return the descriptor of the socket, for polling and for passing on."""
        return self.sock.fileno()

    def state(self) -> dict[str, Any]:
        """Return all but the socket as plain values, for a record beside the descriptor."""
        return {"version": _STATE_VERSION, "transport": self.transport, "host_name": self.host_name,
                "host_address": self.host_address, "host_port": self.host_port, "key": self.key,
                "lmtp": self.lmtp, "capabilities": self.capabilities, "helo": self.helo,
                "messages": self.messages, "limit": self.limit, "idle_since": self.idle_since,
                "local": list(self.local), "facts": self.facts}

    @classmethod
    def from_state(cls, state: dict[str, Any], fd: int) -> LiveConnection:
        """Return the connection that a record and a descriptor make; the descriptor becomes its own.

        Raises ValueError (after closing the descriptor) where the record is not one of ours.
        """
        try:
            if state["version"] != _STATE_VERSION:
                raise ValueError(f"live connection record of version {state['version']}")
            capabilities = state["capabilities"]
            return cls(
                sock=socket.socket(fileno=fd), transport=str(state["transport"]),
                host_name=str(state["host_name"]), host_address=str(state["host_address"]),
                host_port=int(state["host_port"]), key=str(state["key"]), lmtp=bool(state["lmtp"]),
                capabilities=None if capabilities is None else {str(k): str(v) for k, v in capabilities.items()},
                helo=str(state["helo"]), messages=int(state["messages"]), limit=int(state["limit"]),
                idle_since=float(state["idle_since"]), local=(str(state["local"][0]), int(state["local"][1])),
                facts=dict(state["facts"]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as e:
            with contextlib.suppress(OSError):
                os.close(fd)
            raise ValueError(f"malformed live connection record: {e}") from None

    @classmethod
    def from_command(cls, transport: str, host_name: str, host_address: str, sequence: int,
                     fd: int) -> LiveConnection:
        """Return the connection that -MC names, its socket on ``fd``.

        What the peer can do is not told there, so only plain SMTP is spoken until a new EHLO.
        """
        sock = socket.socket(fileno=fd)
        try:
            port = int(sock.getpeername()[1])
            local = sock.getsockname()
        except (OSError, IndexError, TypeError, ValueError):
            port, local = 25, ("", 0)
        return cls(sock=sock, transport=transport, host_name=host_name, host_address=host_address,
                   host_port=port, key="", messages=sequence,
                   local=(str(local[0]), int(local[1])) if len(local) >= 2 else ("", 0))

    def may_take_more(self) -> bool:
        """Tell whether connection_max_messages allows another message."""
        return self.limit <= 0 or self.messages < self.limit

    def fits(self, transport: str, host_name: str, host_address: str | None, port: int) -> bool:
        """Tell whether a message for this host may go down here (the -MC case, where no key is known)."""
        return (self.transport == transport and self.host_address == host_address
                and self.host_name == host_name and self.host_port == port)

    def is_idle(self) -> bool:
        """Tell whether nothing has arrived: an idle server says nothing, unless it says goodbye."""
        try:
            if self.channel is not None:
                return not self.channel.has_input()
            self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close_quietly(self) -> None:
        """Say QUIT without waiting for the answer, and close; never raises, never blocks."""
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.write(b"QUIT\r\n", self.channel.monotonic())
            self.channel.close()
            return
        with contextlib.suppress(OSError):
            self.sock.send(b"QUIT\r\n", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        with contextlib.suppress(OSError):
            self.sock.close()


class Pool(Protocol):
    """Where idle connections wait, as the smtp transport sees it (``scope.services.pool``)."""

    def take(self, keys: list[str]) -> LiveConnection | None:
        """Return a connection parked under one of the keys, the first key first; it is the caller's now."""
        ...

    def park(self, conn: LiveConnection) -> None:
        """Keep an idle connection for a while; whoever keeps it closes it in the end."""
        ...


def connection_key(transport: str, host_name: str, address: str, port: int, identity: str) -> str:
    """Return the key of a live connection: what must be the same for another message to use it."""
    return f"{transport} {host_name} [{address}]:{port} {identity}"
