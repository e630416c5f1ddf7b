"""readsocket with TLS, from a server with a certificate that it made itself.

A real Exim 4.96 ends with signal 11 when -be asks it for TLS, so that it is asked without only.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from families import ask
from servers import make_certificate

from compare import PYEXIM, find_exim

CONF = "spool_directory = {top}\nlog_file_path = {top}/%slog\nexim_user = nobody\nkeep_environment =\n"
CASES = [
    ("${readsocket{inet:127.0.0.1:@PORT@}{hello\\n}{5s:tls=yes}}", "got hello, sni None"),
    ("${readsocket{inet:127.0.0.1:@PORT@}{hello\\n}{5s:tls=yes:shutdown=no}{-}}", "got hello, sni None-"),
    ("${readsocket{inet:127.0.0.1:@PORT@}{big\\n}{5s:tls=yes}{}{failed}}", "x" * 200_000),
    ("${readsocket{inet:127.0.0.1:@PLAIN@}{hello\\n}{5s:tls=yes}{}{failed}}", "failed"),
    ("${readsocket{inet:127.0.0.1:@PLAIN@}{hello\\n}{5s}{}{failed}}", "plain hello"),
]
"""Expansion, answer."""


class Answering(threading.Thread):
    """Answers one line on each connection, with TLS or without."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self.context = context
        self.sni: str | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        if context is not None:
            context.sni_callback = lambda sock, name, ctx: setattr(self, "sni", name)

    def run(self) -> None:
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            try:
                self._serve(peer)
            except OSError:
                peer.close()

    def _serve(self, peer: socket.socket) -> None:
        self.sni = None
        peer.settimeout(5)
        with peer if self.context is None else self.context.wrap_socket(peer, server_side=True) as s:
            line = s.recv(100).decode("latin-1").strip()
            if self.context is None:
                s.sendall(f"plain {line}".encode() if line.isalpha() else b"this is no TLS")
            elif line == "big":
                s.sendall(b"x" * 200_000)
            else:
                s.sendall(f"got {line}, sni {self.sni}\n".encode())


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, str]]:
    if make_certificate(tmp_path) is None:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    servers = Answering(context), Answering(None)
    for server in servers:
        server.start()
    yield {"@PORT@": str(servers[0].port), "@PLAIN@": str(servers[1].port)}
    for server in servers:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


def test_a_tls_server_is_talked_to(ports: dict[str, str], tmp_path: Path) -> None:
    conf = tmp_path / "configure"
    conf.write_text(CONF.format(top=tmp_path))
    sources = [re.sub("@[A-Z]+@", lambda m: ports[m[0]], source) for source, _ in CASES]
    wanted = [answer for _, answer in CASES]
    exim = find_exim()
    if exim is not None:
        assert ask(exim, conf, sources[-1:]) == wanted[-1:]
    assert [text.rstrip("\n") for text in ask(PYEXIM, conf, sources)] == wanted


def test_the_server_is_told_its_name(ports: dict[str, str], tmp_path: Path) -> None:
    conf = tmp_path / "configure"
    conf.write_text(CONF.format(top=tmp_path))
    named = f"${{readsocket{{inet:127.0.0.1:{ports['@PORT@']}}}{{hello\\n}}{{5s:tls=yes:sni=a.example}}}}"
    assert ask(PYEXIM, conf, [named]) == ["got hello, sni a.example\n"]
