"""The dovecot authenticator: clients are authenticated by Dovecot's authentication service.

The conversation is Dovecot's with the client; this side only carries it, over a Unix socket of type auth-client.

Spec: chapter 37; Dovecot's documentation of its "authentication protocol", version 1.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyexim.auth.base import DEFER, FAIL, Authenticator, AuthRun, Server, Verdict
from pyexim.auth.dialogue import decode, encode
from pyexim.auth.options import AuthenticatorOptions
from pyexim.base.octets import lower, to_bytes, to_text
from pyexim.config.option import STRING, option, options
from pyexim.expand.engine import expand
from pyexim.net.connect import connect_unix

PATIENCE: Final = 60.0
"""Seconds that each answer may take; Dovecot delays refusals for a few."""
MAX_LINE: Final = 8192
MAX_LINES: Final = 1000


class _Trouble(Exception):
    """Dovecot cannot be asked, or does not talk its protocol."""


@options
class DovecotOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "37"

    server_socket: str | None = option(STRING, None,
        doc="The socket of Dovecot's authentication service.")


class Dovecot(Authenticator):
    """The driver."""

    Options = DovecotOptions
    options: DovecotOptions
    server_options = ("server_socket",)

    def server(self, run: AuthRun) -> Server:
        """Carry the conversation between Dovecot and the client."""
        try:
            with _connection(self.options.server_socket or "") as service:
                mechanism = self.public_name
                service.greeting(mechanism)
                fields = ["AUTH", "1", mechanism, "service=smtp", *_facts(run), "nologin"]
                if run.initial is not None:
                    fields.append("resp=" + encode(run.initial))  # (it must be the last)
                service.say(f"VERSION\t1\t0\nCPID\t{os.getpid()}\n" + "\t".join(fields))
                while True:
                    word, *told = service.line()
                    if word not in ("CONT", "OK", "FAIL"):
                        raise _Trouble("authentication socket protocol error")
                    if told[:1] != ["1"]:
                        raise _Trouble("authentication socket connection id mismatch")
                    if word != "CONT":
                        break
                    challenge = decode(told[1]) if len(told) > 1 else b""
                    if challenge is None:
                        raise _Trouble("authentication socket protocol error")
                    answer = yield challenge
                    service.say(f"CONT\t1\t{encode(answer)}")
        except _Trouble as e:
            return Verdict(DEFER, "", str(e))
        user = next((x[5:] for x in told if x.startswith("user=")), "")
        if user:
            run.add(user)
        if word == "FAIL":
            if "temp" in told:
                return Verdict(DEFER, "", "temporary failure of the authentication service")
            return Verdict(FAIL)
        if not user:
            return Verdict(DEFER, "", "authentication socket protocol error")
        return self.judge(run)


class _Service:
    """A connection to Dovecot."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""

    def say(self, text: str) -> None:
        """Send a line."""
        try:
            self._sock.sendall(to_bytes(text + "\n"))
        except OSError:
            raise _Trouble("authentication socket write error") from None

    def line(self) -> list[str]:
        """Return the fields of the next line."""
        while b"\n" not in self._data:
            try:
                more = self._sock.recv(MAX_LINE)
            except OSError:
                more = b""
            if not more or len(self._data) > MAX_LINE:
                raise _Trouble("authentication socket read error or premature eof")
            self._data += more
        line, _, self._data = self._data.partition(b"\n")
        return to_text(line).split("\t")

    def greeting(self, mechanism: str) -> None:
        """Read what Dovecot begins with: it must speak our version and know the mechanism."""
        mechanisms: list[str] = []
        client = False
        for _ in range(MAX_LINES):
            word, *told = self.line()
            if word == "VERSION" and told[:1] != ["1"]:
                raise _Trouble("authentication socket protocol version mismatch")
            if word == "MECH":
                client = True
                mechanisms += map(lower, told[:1])
            elif word == "DONE":
                break
        if not client:
            raise _Trouble("authentication socket type mismatch (connected to auth-master instead of auth-client)")
        if lower(mechanism) not in mechanisms:
            raise _Trouble(f'Dovecot did not advertise mechanism "{mechanism}" to us')


@contextmanager
def _connection(path: str) -> Iterator[_Service]:
    """Connect to Dovecot for as long as a conversation lasts."""
    try:
        sock = connect_unix(path, PATIENCE)
    except OSError as e:
        raise _Trouble(f"unable to connect to UNIX socket ({path}): {e.strerror}") from None
    with sock:
        sock.settimeout(PATIENCE)
        yield _Service(sock)


def _facts(run: AuthRun) -> list[str]:
    """Return what Dovecot is told of the client's connection."""
    facts = []
    conn = run.scope.conn
    remote = local = ""
    if conn is not None:
        remote, local = conn.sender_host_address or "", conn.interface_address or ""
    if remote == local or expand("$tls_in_cipher", run.scope):
        facts.append("secured")
    if expand("$tls_in_certificate_verified", run.scope) == "1":
        facts.append("valid-client-cert")
    facts += [f"{name}={address}" for name, address in (("rip", remote), ("lip", local)) if address]
    return facts
