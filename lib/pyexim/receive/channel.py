"""The octets' way in and out of a reception: a socket, or two descriptors, with time limits.

A socket's limit is set once with SO_RCVTIMEO, so that a read is one system call; other descriptors are
polled.  OSErrors of the other side's making (reset, broken pipe) are an end of input; a timeout is told
apart.  Once the conversation is encrypted what is read and written passes through an engine (``tls/``); the
``_raw`` methods are what it rests on.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyexim.tls.engine import Engine

BLOCK: Final = 65536
_PEEK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)


class InputTimeout(Exception):
    """Nothing came in time."""


class Channel:
    """Reads and writes octets.  ``sock`` is set where the descriptor is a socket."""

    __slots__ = ("_engine", "_poll", "_timeout", "error", "patient", "read_fd", "sock", "tls_failed", "write_failed",
                 "write_fd")

    def __init__(self, read_fd: int, write_fd: int, sock: socket.socket | None = None) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.sock = sock
        self._timeout = 0.0
        self._poll: select.poll | None = None
        self.write_failed = False
        self.error: OSError | None = None
        """Why reading failed: then the end of the input was none."""
        self.patient = True
        """Read until there is something.  Otherwise a piece of an encrypted record counts as nothing yet."""
        self.tls_failed = ""
        """What went wrong with the encryption, after which nothing more is read."""
        self._engine: Engine | None = None

    def encrypt(self, engine: Engine) -> None:
        """Encrypt all that is written and decrypt what is read from now on; the handshake is complete."""
        self._engine = engine

    @property
    def timeout(self) -> float:
        """The seconds that a read may take; 0 for no limit."""
        return self._timeout

    def set_timeout(self, seconds: float) -> None:
        """Set how long a read may take; 0 for no limit."""
        if seconds == self._timeout:
            return
        self._timeout = seconds
        if self.sock is not None:
            whole = int(seconds)
            value = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)

    def read(self) -> bytes:
        """Return what has come, waiting for it; b"" at the end of the input; raises InputTimeout."""
        engine = self._engine
        return self.read_raw() if engine is None else self._read_encrypted(engine)

    def _read_encrypted(self, engine: Engine) -> bytes:
        """Decrypt all that has come, so that nothing waits where no poll can see it."""
        from pyexim.tls.settings import TlsFailure

        while not engine.ended and not self.tls_failed:
            data = self.read_raw()
            if not data:
                break
            engine.receive(data)
            try:
                plain = engine.read()
            except TlsFailure as e:
                self.tls_failed = str(e)
                plain = b""
            self.write_raw(engine.to_send())
            if plain:
                return plain
            if not self.patient and not engine.ended and not self.tls_failed:
                raise InputTimeout
        return b""

    def read_raw(self) -> bytes:
        """The same of the octets as they come."""
        try:
            if self.sock is None and self._timeout:
                if self._poll is None:
                    self._poll = select.poll()
                    self._poll.register(self.read_fd, select.POLLIN)
                if not self._poll.poll(self._timeout * 1000):
                    raise InputTimeout
            return os.read(self.read_fd, BLOCK)
        except BlockingIOError:
            raise InputTimeout from None
        except OSError as e:
            self.error = e
            return b""

    def has_input(self) -> bool:
        """Tell whether something could be read at once (the end of the input does not count).

        Of an encrypted conversation all that has come has been read; what waits in the socket may be no input.
        """
        if self.sock is None or self._engine is not None:
            return False
        try:
            return bool(self.sock.recv(1, _PEEK))
        except OSError:
            return False

    def write(self, data: bytes) -> bool:
        """Send octets; tell whether the other side still takes them."""
        engine = self._engine
        if engine is None:
            return self.write_raw(data)
        if self.write_failed or self.tls_failed:
            return False
        from pyexim.tls.settings import TlsFailure

        try:
            engine.write(data)
        except TlsFailure as e:
            self.tls_failed = str(e)
            return False
        return self.write_raw(engine.to_send())

    def write_raw(self, data: bytes) -> bool:
        """Send octets as they are."""
        if self.write_failed:
            return False
        if not data:
            return True
        try:
            sent = os.write(self.write_fd, data)
            while sent < len(data):
                data = data[sent:]
                sent = os.write(self.write_fd, data)
        except OSError:
            self.write_failed = True
            return False
        return True

    def finish(self) -> None:
        """End the conversation in good order: what was sent arrives before the connection goes away."""
        if self._engine is not None:
            self._engine.close()
            self.write_raw(self._engine.to_send())
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
                # Input that nobody has read would turn the close into a reset, which could overtake the last reply.
                for _ in range(64):
                    if not self.sock.recv(BLOCK, socket.MSG_DONTWAIT):
                        break
