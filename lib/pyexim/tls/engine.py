"""One encrypted connection without a socket: octets of the network in and out, plain octets out and in.

Whoever has the socket feeds what it reads to ``receive``, and sends what ``to_send`` gives after every other
call.  Nothing here waits.  All that has come is decrypted by ``read`` at once, so that a caller that polls the
socket misses nothing.  A process that has been forked has a copy of the state: exactly one of the two may go on
with it; the other forgets it, which sends nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL

from pyexim.model.connection import TlsFacts
from pyexim.tls import binding
from pyexim.tls.context import Context, pem_of, reason
from pyexim.tls.names import host_matches, one_line, standard_cipher, version_name
from pyexim.tls.settings import TlsFailure

if TYPE_CHECKING:
    from cryptography import x509
    from OpenSSL.crypto import X509

NONE, TRY, MUST = "none", "try", "must"
RECORD: Final = 16384
INTERNAL_ERROR: Final = b"\x15\x03\x03\x00\x02\x02\x50"
"""The record of an alert that says that the server cannot go on; right before anything has been encrypted."""
RESUME_SUPPORTED, RESUME_REQUESTED, RESUME_OFFERED, RESUME_TICKET, RESUME_USED = 1, 2, 4, 8, 16
OCSP_NOT_REQUESTED, OCSP_NO_RESPONSE, OCSP_NOT_VERIFIED, OCSP_FAILED, OCSP_VERIFIED = range(5)


class Engine:
    """A connection that is made of a context.

    ``verify`` says what is asked of the other side's certificate: nothing ("none"; a server then asks for no
    certificate), that it is looked at ("try"), that it is good ("must"; otherwise the handshake fails).

    A server's ``on_sni`` is called with the name that a client asks for, and may return another context, or raise
    TlsFailure; with ``must_name_protocol`` the client has to name a protocol (ALPN).  A client's ``sni`` is the name
    to ask for; ``hosts`` are names of which the certificate must bear one to be good, none of them for no such check;
    ``session`` is what ``save_session`` gave earlier.
    """

    def __init__(self, context: Context, *, server: bool, verify: str = NONE,
                 on_sni: Callable[[str], Context | None] | None = None, sni: str = "", hosts: tuple[str, ...] = (),
                 session: bytes | None = None, ask_ocsp: bool = False, must_name_protocol: bool = False) -> None:
        self.context = context
        self.server = server
        self.done = False
        """The handshake is complete."""
        self.ended = False
        """The other side has said that it sends no more."""
        self.sni: str | None = sni or None
        self.verify_errors: list[str] = []
        """Lines for the log: what was wrong with the other side's certificate."""
        self.ocsp = OCSP_NOT_REQUESTED
        self.ocsp_response = b""
        """A client: the server's proof as it came; it has not been checked."""
        self.on_sni = on_sni
        self._verify = verify
        self._hosts = hosts
        self._must_name_protocol = must_name_protocol
        self._wrong: BaseException | None = None
        self._refused, self._alert = False, INTERNAL_ERROR
        """The library would go on, and we do not."""
        self._tls = SSL.Connection(context.context, None)
        self._tls.set_app_data(self)
        if server:
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()
            if sni:
                self._tls.set_tlsext_host_name(sni.encode("latin-1"))
            if ask_ocsp:
                self._tls.request_ocsp()
            if session is not None:
                binding.restore_session(self._tls, session)
        if verify != NONE:
            mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if verify == MUST else 0)
            self._tls.set_verify(mode, self._judge)
        else:
            self._tls.set_verify(SSL.VERIFY_NONE, _anything)

    # -- the conversation

    def receive(self, data: bytes) -> None:
        """Take octets of the network."""
        if data:
            self._tls.bio_write(data)

    def to_send(self) -> bytes:
        """Return, and forget, what is to go to the network; also after a failure (the other side is told why)."""
        if self._refused:
            alert, self._alert = self._alert, b""
            return alert
        out = []
        while True:
            try:
                out.append(self._tls.bio_read(65536))
            except SSL.WantReadError:
                return out[0] if len(out) == 1 else b"".join(out)
            except SSL.Error:
                binding.forget_errors()
                return b"".join(out)

    def handshake(self) -> bool:
        """Go on with the handshake; tell whether it is complete.  Raises TlsFailure."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._raise_wrong()
            return False
        except TlsFailure:
            raise
        except (SSL.Error, ValueError) as e:
            self._raise_wrong()
            raise self._failure(e) from None
        self._raise_wrong()
        if self._must_name_protocol and not self._tls.get_alpn_proto_negotiated():
            raise TlsFailure("(SSL_accept): ALPN required but not negotiated")
        if not self.server and self._hosts and self._verify != NONE:
            self._check_host()
        self.done = True
        return True

    def read(self) -> bytes:
        """Return all the plain octets that are there, b"" where there are none yet or (``ended``) will be no more."""
        if self._wrong is not None:
            self._raise_wrong()
        out = []
        while True:
            try:
                out.append(self._tls.recv(RECORD))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.ended = True
                break
            except SSL.Error as e:
                self._wrong = self._failure(e, "SSL_read")
                if not out:
                    self._raise_wrong()
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def write(self, data: bytes) -> None:
        """Encrypt octets: ``to_send`` gives them.  Raises TlsFailure."""
        if not data:
            return
        try:
            self._tls.sendall(data)
        except SSL.Error as e:
            raise self._failure(e, "SSL_write") from None

    def close(self) -> None:
        """Say that no more will be sent."""
        if self.done and self._wrong is None:
            with contextlib.suppress(SSL.Error):
                self._tls.shutdown()
            binding.forget_errors()

    # -- what is known

    def facts(self) -> TlsFacts:
        """Return what was agreed, for variables, log lines and the spool."""
        connection = self._tls
        version = version_name(connection.get_protocol_version_name())
        cipher = connection.get_cipher_name() or ""
        bits = connection.get_cipher_bits() or 0
        own = connection.get_certificate(as_cryptography=True)
        peer = connection.get_peer_certificate(as_cryptography=True)
        return TlsFacts(
            active=True, cipher=f"{version}:{cipher}:{bits}", cipher_std=standard_cipher(cipher), ver=version,
            bits=bits, peerdn=one_line(peer.subject) if peer is not None else None, sni=self.sni,
            certificate_verified=self.verified, resumption=self._resumption(), ocsp=self.ocsp, ourcert=pem_of(own),
            peercert=pem_of(peer))

    @property
    def verified(self) -> bool:
        """Tell whether the other side has a certificate that was looked at and is good."""
        return (self._verify != NONE and not self.verify_errors and self.context.verifies
                and self._tls.get_peer_certificate(as_cryptography=True) is not None)

    def peer_chain(self) -> list[x509.Certificate]:
        """Return the certificates that the other side has sent, its own first."""
        return self._tls.get_peer_cert_chain(as_cryptography=True) or []

    def save_session(self) -> bytes | None:
        """Return the session for a later connection; with TLS 1.3 only once the server has sent a ticket."""
        return binding.save_session(self._tls)

    @property
    def resumed(self) -> bool:
        """Tell whether an earlier session went on."""
        return binding.session_reused(self._tls)

    def _resumption(self) -> int:
        """Return the bits of $tls_in_resumption, as far as the library tells."""
        if self.resumed:
            return RESUME_SUPPORTED | RESUME_REQUESTED | RESUME_OFFERED | RESUME_USED
        return RESUME_SUPPORTED

    # -- called by the library

    def _judge(self, _connection: SSL.Connection, certificate: X509, number: int, depth: int, ok: int) -> bool:
        if not ok:
            subject = one_line(certificate.to_cryptography().subject)
            self.verify_errors.append(
                f"SSL verify error: depth={depth} error={binding.verify_text(number)} cert={subject}")
        return bool(ok) or self._verify != MUST

    def _check_host(self) -> None:
        peer = self._tls.get_peer_certificate(as_cryptography=True)
        if peer is None or any(host_matches(peer, host) for host in self._hosts):
            return
        self.verify_errors.append(f"SSL verify error: certificate name mismatch: DN=\"{one_line(peer.subject)}\" "
                                  f"H=\"{self._hosts[0]}\"")
        if self._verify == MUST:
            raise TlsFailure("(SSL_connect): certificate verification failed: name mismatch")

    def named(self, name: str) -> None:
        """A client has said which host it wants."""
        self.sni = name
        if self.on_sni is None:
            return
        other = self.on_sni(name)
        if other is not None:
            self.context = other
            self._tls.set_context(other.context)

    def refuse(self, wrong: BaseException) -> None:
        """Keep what a callback has met, which cannot be raised through the library; the client gets an alert."""
        self._wrong = wrong
        self._refused = True

    def _raise_wrong(self) -> None:
        if self._wrong is not None:
            wrong = self._wrong
            raise wrong

    def _failure(self, error: BaseException, where: str = "") -> TlsFailure:
        where = where or ("SSL_accept" if self.server else "SSL_connect")
        if isinstance(error, SSL.SysCallError):
            return TlsFailure(f"({where}): TCP connection closed by peer")
        return TlsFailure(f"({where}): {reason(error)}")


def _anything(*_args: Any) -> bool:
    return True


def name_given(connection: SSL.Connection) -> None:
    """Called for a server when a client has (or has not) said which host it wants."""
    engine: Engine = connection.get_app_data()
    name = connection.get_servername()
    if name is None:
        return
    try:
        engine.named(name.decode("latin-1"))
    except Exception as e:  # noqa: BLE001 - raised when the handshake comes back from the library
        engine.refuse(e)


def choose_protocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """Called for a server when a client offers names of protocols: exactly one that we know is taken."""
    engine: Engine = connection.get_app_data()
    if len(offered) == 1 and offered[0].decode("latin-1") in engine.context.alpn:
        return offered[0]
    names = " ".join(x.decode("latin-1") for x in offered)
    raise TlsFailure(f"(SSL_accept): ALPN: none of the client's names is accepted: {names}")


def proof_wanted(connection: SSL.Connection, _data: Any) -> bytes:
    """Called for a server when a client wants a proof that the certificate has not been revoked."""
    engine: Engine = connection.get_app_data()
    engine.ocsp = OCSP_NO_RESPONSE
    if not engine.context.proofs:
        return b""
    engine.ocsp = OCSP_VERIFIED
    return _proof_for(connection, engine.context.proofs)


def _proof_for(connection: SSL.Connection, proofs: list[tuple[bytes, str]]) -> bytes:
    """Return the proof that belongs to the certificate in use."""
    if len(proofs) > 1:
        from cryptography.x509 import ocsp

        certificate = connection.get_certificate(as_cryptography=True)
        for data, _ in proofs:
            if certificate is not None and ocsp.load_der_ocsp_response(data).serial_number == certificate.serial_number:
                return data
    return proofs[0][0]


def proof_given(connection: SSL.Connection, data: bytes, _extra: Any) -> bool:
    """Called for a client with the server's proof; it is kept for whoever checks it."""
    engine: Engine = connection.get_app_data()
    engine.ocsp = OCSP_NOT_VERIFIED if data else OCSP_NO_RESPONSE
    engine.ocsp_response = data
    return True
