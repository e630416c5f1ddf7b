"""The condition saslauthd, with a daemon of our own."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest
from expand_scopes import make_scope

from pyexim import settings
from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand


def counted(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def ask(reply: bytes, items: str, path: Path) -> tuple[str, bytes]:
    """Return what the condition gives, and what the daemon was told."""
    told = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                data = b""
                while data.count(b"\0") < 4 or len(data) < 8:
                    data += peer.recv(100)
                told.append(data)
                peer.sendall(reply[:1])
                peer.sendall(reply[1:])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            return expand("${if saslauthd{" + items + "}{yes}{no}}", make_scope()), told[0] if told else b""
        finally:
            thread.join(5)
            path.unlink()


def test_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mux"
    monkeypatch.setattr(settings, "CYRUS_SASLAUTHD_SOCKET", str(path))
    question = b"".join(map(counted, (b"me", b"p w", b"", b"")))
    assert ask(counted(b"OK"), "{me}{p w}", path) == ("yes", question)
    assert ask(counted(b"OK really"), "{me}{p w}{smtp}{here}", path)[1].endswith(counted(b"smtp") + counted(b"here"))
    assert ask(counted(b"NO"), "{me}{p w}", path)[0] == "no"
    assert ask(counted(b"NO because"), "{me}{p w}", path)[0] == "no"
    with pytest.raises(ExpansionError, match="what"):
        ask(counted(b"what"), "{me}{p w}", path)
    with pytest.raises(ExpansionError, match="no answer from the saslauthd daemon"):
        ask(b"", "{me}{p w}", path)
    with pytest.raises(ExpansionError, match="cannot connect to saslauthd daemon"):
        expand("${if saslauthd{{me}{p}}}", make_scope())
    with pytest.raises(ExpansionError, match="too long"):
        expand("${if saslauthd{{me}{" + "x" * 2000 + "}}}", make_scope())
