"""A channel: octets over a connected stream socket (or a pair of pipes), with a deadline for every step.

The socket is non-blocking; waiting is done with ``poll``.  Nothing here knows a protocol.  A deadline is
a number on the monotonic clock, or None to wait for ever; passing it raises TimeoutError, any other
trouble OSError.  ``read`` returns b"" at the end of the stream.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from time import monotonic  # the default clock of a channel; tests give their own
from typing import Final

READ_SIZE: Final = 65536
_IOV_MAX: Final = 64


class Channel:
    """One end of a connection.

    ``sock`` may be given as a socket; otherwise as two descriptors (a command's standard input and
    output).  The channel owns what it is given and closes it, until ``detach``.
    """

    __slots__ = ("_in", "_out", "_poll_in", "_poll_out", "monotonic", "sock", "written")

    def __init__(self, sock: socket.socket | None = None, *, read_fd: int = -1, write_fd: int = -1,
                 clock: Callable[[], float] = monotonic) -> None:
        self.sock = sock
        self.monotonic = clock
        self.written = 0
        if sock is not None:
            sock.setblocking(False)
            self._in = self._out = sock.fileno()
        else:
            os.set_blocking(read_fd, False)
            os.set_blocking(write_fd, False)
            self._in, self._out = read_fd, write_fd
        self._poll_in = select.poll()
        self._poll_in.register(self._in, select.POLLIN)
        self._poll_out: select.poll | None = None

    def fileno(self) -> int:
        """Return the descriptor that is read from."""
        return self._in

    def _wait(self, poller: select.poll, deadline: float | None) -> None:
        if deadline is None:
            poller.poll()
            return
        left = deadline - self.monotonic()
        if left <= 0 and not poller.poll(0):
            raise TimeoutError("Connection timed out")
        if left > 0 and not poller.poll(left * 1000 + 1):
            raise TimeoutError("Connection timed out")

    def read(self, deadline: float | None, size: int = READ_SIZE) -> bytes:
        """Return what arrives next, b"" at the end of the stream."""
        while True:
            self._wait(self._poll_in, deadline)
            try:
                if self.sock is not None:
                    return self.sock.recv(size)
                return os.read(self._in, size)
            except (BlockingIOError, InterruptedError):
                continue

    def write(self, data: bytes, deadline: float | None) -> None:
        """Send all octets."""
        sent = self._send(data)
        self.written += len(data)
        if sent == len(data):
            return
        view = memoryview(data)[sent:]
        if self._poll_out is None:
            self._poll_out = select.poll()
            self._poll_out.register(self._out, select.POLLOUT)
        while view:
            self._wait(self._poll_out, deadline)
            view = view[self._send(view):]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            if self.sock is not None:
                return self.sock.send(data, socket.MSG_NOSIGNAL)
            return os.write(self._out, data)
        except (BlockingIOError, InterruptedError):
            return 0

    def has_input(self) -> bool:
        """Tell whether something (or the end of the stream) can be read without waiting."""
        return bool(self._poll_in.poll(0))

    def close_write(self) -> None:
        """Tell the other side that nothing more will come."""
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_WR)
        elif self._out >= 0:
            os.close(self._out)
            self._out = -1

    def detach(self) -> socket.socket:
        """Give the socket away; the channel is not to be used any more."""
        assert self.sock is not None
        return self.sock

    def close(self) -> None:
        """Close; never raises."""
        try:
            if self.sock is not None:
                self.sock.close()
                return
            os.close(self._in)
            if self._out >= 0 and self._out != self._in:
                os.close(self._out)
        except OSError:
            return
