"""A scripted SMTP server for tests: says and expects what a script tells, line by line.

A script is text; each line one step:

    S: 220 ready        send this line (CRLF is added; ``\\n`` at the end for a bare LF: "S| text")
    S| text             send this line with a bare LF
    C: MAIL FROM:.*     read a line and match it (regular expression, whole line)
    D:                  read message data up to and including the final dot
    B: 12               read that many octets
    W: 0.5              wait seconds
    R:                  reset the connection (RST)
    X:                  close the connection

At the end of the script the connection is closed.  Several scripts serve successive connections, the last
one for good.  What was read is in ``lines`` and ``data``; faults of the dialogue in ``errors``.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time


class ScriptedServer:
    """Listens on a free port of the loopback interface while used as a context manager."""

    def __init__(self, *scripts: str, address: str = "127.0.0.1", port: int = 0, unix: str | None = None) -> None:
        self.scripts = [[x.strip("\n") for x in s.strip("\n").split("\n") if x.strip()] for s in scripts]
        self.lines: list[str] = []
        self.data: list[bytes] = []
        self.errors: list[str] = []
        self.connections = 0
        if unix is not None:
            self._server = socket.socket(socket.AF_UNIX)
            self._server.bind(unix)
            self._server.listen(8)
            self.port = 0
        else:
            self._server = socket.create_server((address, port), backlog=32)
            self.port = self._server.getsockname()[1]
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            try:
                self._converse(peer, script)
            except OSError as e:
                self.errors.append(f"{e}")
            finally:
                peer.close()

    def _converse(self, peer: socket.socket, script: list[str]) -> None:
        peer.settimeout(10)
        f = peer.makefile("rb", buffering=65536)
        for step in script:
            kind, rest = step[:2], step[2:].removeprefix(" ")
            if kind == "S:":
                peer.sendall(rest.encode("latin-1") + b"\r\n")
            elif kind == "S|":
                peer.sendall(rest.encode("latin-1") + b"\n")
            elif kind == "C:":
                line = f.readline().decode("latin-1")
                self.lines.append(line.rstrip("\r\n"))
                if not re.fullmatch(rest, line.rstrip("\r\n")):
                    self.errors.append(f"expected {rest!r}, got {line!r}")
                    return
            elif kind == "D:":
                data = b""
                while not (b"\r\n" + data[-5:]).endswith(b"\r\n.\r\n"):
                    chunk = f.readline()
                    if not chunk:
                        self.errors.append("end of file in data")
                        break
                    data += chunk
                self.data.append(data)
            elif kind == "B:":
                self.data.append(f.read(int(rest)))
            elif kind == "W:":
                time.sleep(float(rest))
            elif kind == "R:":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            elif kind == "X:":
                return
            else:
                raise ValueError(f"no such step: {step}")
