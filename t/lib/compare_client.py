"""The client of a comparison: says the lines of a section and records what it is answered.

A line is sent after the reply to the one before; "~ TEXT" sends without waiting for a reply, "wait" reads one;
"early TEXT" at the beginning is sent as it is, before the greeting.  "tls [sni=NAME] [cert=FILE] [alpn=NAMES]
[only=1.2]" makes a TLS handshake: after the reply to STARTTLS, or as the first line where the port wants TLS at once.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import BinaryIO


class Talk:
    """One conversation; ``said`` is the record."""

    def __init__(self, port: int, patience: float, unescaped: Callable[[str], bytes]) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.file: BinaryIO = self.sock.makefile("rb")
        self.said: list[str] = []
        self._unescaped = unescaped

    def reply(self) -> None:
        """Record the next reply."""
        while line := self.file.readline():
            self.said.append(line.decode("latin-1"))
            if line[3:4] != b"-":
                return
        self.said.append("(closed)\n")

    def encrypt(self, words: list[str]) -> None:
        """Make a handshake; raises OSError where it fails."""
        options = dict(w.split("=", 1) for w in words)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "cert" in options:
            context.load_cert_chain(options["cert"])
        if "alpn" in options:
            context.set_alpn_protocols(options["alpn"].split(","))
        if options.get("only") == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.file.close()
        self.sock = context.wrap_socket(self.sock, server_hostname=options.get("sni"))
        self.file = self.sock.makefile("rb")
        self.said.append("(encrypted)\n")

    def run(self, lines: list[str]) -> None:
        """Say all lines; record how the connection ends."""
        try:
            greeted = False
            while lines and lines[0].startswith("early "):
                self.sock.sendall(self._unescaped(lines.pop(0)[6:]))
            for line in lines:
                if line.partition(" ")[0] == "tls":
                    self.encrypt(line.split()[1:])
                    continue
                if not greeted:
                    greeted = True
                    self.reply()
                if line == "wait":
                    self.reply()
                    continue
                quiet = line.startswith("~ ")
                self.sock.sendall(self._unescaped(line[2:] if quiet else line) + b"\r\n")
                if not quiet:
                    self.reply()
            if not greeted:
                self.reply()
            self.sock.settimeout(0.5)
            self.said.append(self.file.read().decode("latin-1") + "(closed)\n")
        except TimeoutError:
            self.said.append("(open)\n")
        except OSError:
            self.said.append("(broken)\n")
        finally:
            with contextlib.suppress(OSError):
                self.file.close()
            self.sock.close()
