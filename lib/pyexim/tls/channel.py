"""A ``net.channel.Channel`` that is encrypted: what a client reads and writes through after STARTTLS."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pyexim.net.channel import READ_SIZE, Channel
from pyexim.tls.settings import TlsFailure

if TYPE_CHECKING:
    import socket

    from pyexim.tls.engine import Engine


class TlsChannel:
    """Has the methods of a ``Channel`` and the same contract, with octets encrypted on their way.

    A failure of TLS after the handshake is an OSError, as any other trouble of the connection.  The channel below
    is its own from now on.
    """

    __slots__ = ("_below", "_plain", "engine", "monotonic", "written")

    def __init__(self, below: Channel, engine: Engine) -> None:
        self._below = below
        self.engine = engine
        self.monotonic = below.monotonic
        self._plain = b""
        self.written = 0

    @property
    def sock(self) -> socket.socket | None:
        """The socket, which is not to be read or written."""
        return self._below.sock

    def fileno(self) -> int:
        """Return the descriptor; that it cannot be read does not mean that there is nothing (``has_input``)."""
        return self._below.fileno()

    def handshake(self, deadline: float | None) -> None:
        """Make the handshake; raises TlsFailure, TimeoutError or OSError."""
        engine = self.engine
        try:
            while not engine.handshake():
                self._push(deadline)
                data = self._below.read(deadline)
                if not data:
                    raise TlsFailure("(SSL_connect): TCP connection closed by peer")
                engine.receive(data)
            self._push(deadline)
        except TlsFailure:
            with contextlib.suppress(OSError):
                self._push(deadline)
            raise

    def _push(self, deadline: float | None) -> None:
        data = self.engine.to_send()
        if data:
            self._below.write(data, deadline)

    def read(self, deadline: float | None, size: int = READ_SIZE) -> bytes:
        """Return what arrives next, b"" at the end of the stream."""
        while not self._plain:
            self._take()
            if self._plain or self.engine.ended:
                break
            data = self._below.read(deadline)
            if not data:
                return b""
            self.engine.receive(data)
            self._take()
            self._push(deadline)
        out, self._plain = self._plain[:size], self._plain[size:]
        return out

    def _take(self) -> None:
        try:
            self._plain += self.engine.read()
        except TlsFailure as e:
            raise OSError(0, str(e)) from None

    def write(self, data: bytes, deadline: float | None) -> None:
        """Send all octets."""
        try:
            self.engine.write(data)
        except TlsFailure as e:
            raise OSError(0, str(e)) from None
        self._push(deadline)
        self.written += len(data)

    def has_input(self) -> bool:
        """Tell whether something (or the end of the stream) can be read without waiting."""
        if self._plain or self.engine.ended:
            return True
        while self._below.has_input():
            data = self._below.read(None)
            if not data:
                return True
            self.engine.receive(data)
            self._take()
            if self._plain or self.engine.ended:
                return True
        return False

    def close_write(self) -> None:
        """Tell the other side that nothing more will come."""
        self._say_end()
        self._below.close_write()

    def _say_end(self) -> None:
        self.engine.close()
        data = self.engine.to_send()
        if data and self._below.sock is not None:
            with contextlib.suppress(OSError):  # only where it can be sent at once
                self._below.sock.send(data)

    def stop_tls(self) -> Channel:
        """End TLS; return the channel below, where the conversation may go on in clear."""
        self._say_end()
        return self._below

    def detach(self) -> socket.socket:
        """An encrypted connection cannot be given away."""
        raise RuntimeError("a TLS connection cannot travel")

    def close(self) -> None:
        """Say the end, where that is possible at once, and close; never raises."""
        self._say_end()
        self._below.close()
