"""Real handshakes between two engines, and between channels over a socket pair."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")

from certificates import Authority, Key, pem, rsa_key, write
from cryptography import x509

from pyexim.net.channel import Channel
from pyexim.tls import api
from pyexim.tls.api import ClientSettings, ServerSettings, TlsFailure
from pyexim.tls.context import Context
from pyexim.tls.engine import Engine

CA = Authority()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


class Files:
    """The files of an authority, a server and a client."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.ca = write(top / "ca.pem", CA.certificate)
        self.certificate, self.key = CA.issue("server.example", names=("server.example", "*.mail.example"))
        self.server = write(top / "server.pem", self.certificate, self.key)
        self.server_rsa = write(top / "rsa.pem", *CA.issue("rsa.example", key=rsa_key()))
        self.client_certificate, key = CA.issue("client.example")
        self.client = write(top / "client.pem", self.client_certificate, key)
        self.stranger = write(top / "stranger.pem", *Authority("Other CA").issue("stranger.example"))


def exchange(a: Engine, b: Engine) -> None:
    """Carry octets between two engines until both have nothing more to say."""
    while True:
        from_a, from_b = a.to_send(), b.to_send()
        if not from_a and not from_b:
            return
        b.receive(from_a)
        a.receive(from_b)
        for one in (a, b):
            if not one.done:
                one.handshake()


def shake(server: Engine, client: Engine) -> tuple[Engine, Engine]:
    client.handshake()
    exchange(server, client)
    assert server.done and client.done
    return server, client


def pair(files: Files, server: ServerSettings | None = None, client: ClientSettings | None = None, *,
         verify: str = "none", **options: object) -> tuple[Engine, Engine]:
    """Return a server and a client after their handshake; the options are the client's."""
    return shake(api.accept(api.server_context(server or ServerSettings((files.server,))), verify=verify),
                 api.connect(api.client_context(client or ClientSettings()), **options))  # type: ignore[arg-type]


def test_facts_and_octets(files: Files) -> None:
    server, client = pair(files, sni="server.example")
    facts = server.facts()
    assert facts.active
    assert facts.cipher == "TLS1.3:TLS_AES_256_GCM_SHA384:256"
    assert (facts.ver, facts.bits, facts.cipher_std) == ("TLS1.3", 256, "TLS_AES_256_GCM_SHA384")
    assert facts.sni == "server.example"
    assert facts.peerdn is None and facts.peercert is None and not facts.certificate_verified
    assert facts.ourcert == pem(files.certificate).decode()
    assert client.facts().peerdn == "/C=DE/O=Test Org/CN=server.example"
    client.write(b"EHLO x\r\n" * 10000)
    server.receive(client.to_send())
    assert server.read() == b"EHLO x\r\n" * 10000
    assert server.read() == b""
    server.close()
    client.receive(server.to_send())
    assert client.read() == b"" and client.ended


def test_octets_that_come_with_the_end_of_the_handshake_are_not_lost(files: Files) -> None:
    server = api.accept(api.server_context(ServerSettings((files.server,))))
    client = api.connect(api.client_context(ClientSettings()))
    client.handshake()
    server.receive(client.to_send())
    server.handshake()
    client.receive(server.to_send())
    assert client.handshake()
    client.write(b"EHLO early\r\n")
    data = client.to_send()
    for octet in data[:-1]:
        server.receive(bytes([octet]))
        done = server.handshake()
        assert not done or server.read() == b""
    server.receive(data[-1:])
    server.handshake()
    assert server.read() == b"EHLO early\r\n"


@pytest.mark.parametrize(("name", "verify", "good", "error"), [
    ("client", "try", True, ""), ("client", "must", True, ""), ("", "try", False, ""),
    ("stranger", "try", False, "unable to get local issuer certificate cert=/C=DE/O=Test Org/CN=stranger.example"),
    ("client", "none", False, ""),
])
def test_a_client_s_certificate(files: Files, name: str, verify: str, good: bool, error: str) -> None:
    settings = ClientSettings((getattr(files, name),) if name else ())
    server, _ = pair(files, ServerSettings((files.server,), verify_certificates=files.ca), settings, verify=verify)
    assert server.facts().certificate_verified is good
    assert server.verified is good
    assert any(error in x for x in server.verify_errors) if error else not server.verify_errors
    wanted = f"/C=DE/O=Test Org/CN={name}.example" if name and verify != "none" else None
    assert server.facts().peerdn == wanted


@pytest.mark.parametrize(("name", "text"), [
    ("", "peer did not return a certificate"), ("stranger", "certificate verify failed")])
def test_a_client_that_must_have_a_good_certificate(files: Files, name: str, text: str) -> None:
    settings = ClientSettings((getattr(files, name),) if name else ())
    with pytest.raises(TlsFailure, match=text) as caught:
        pair(files, ServerSettings((files.server,), verify_certificates=files.ca), settings, verify="must")
    assert str(caught.value).startswith("(SSL_accept): error:SSL routines:")
    assert not caught.value.configuration


def test_a_revoked_certificate(files: Files) -> None:
    crl = files.top / "crl.pem"
    crl.write_bytes(CA.revoke(files.client_certificate))
    settings = ServerSettings((files.server,), verify_certificates=files.ca, crl=str(crl))
    server, _ = pair(files, settings, ClientSettings((files.client,)), verify="try")
    assert not server.verified
    assert "error=certificate revoked" in server.verify_errors[0]


@pytest.mark.parametrize(("host", "good"), [
    ("server.example", True), ("SERVER.example.", True), ("x.mail.example", True), ("mail.example", False),
    ("a.b.mail.example", False), ("other.example", False)])
def test_the_name_of_a_server(files: Files, host: str, good: bool) -> None:
    _, client = pair(files, client=ClientSettings(verify_certificates=files.ca), verify="none", hosts=(host,))
    assert not client.verified  # nothing was asked for
    server = api.accept(api.server_context(ServerSettings((files.server,))))
    client = api.connect(api.client_context(ClientSettings(verify_certificates=files.ca)), verify="try", hosts=(host,))
    shake(server, client)
    assert client.verified is good
    assert bool(client.verify_errors) is not good


def test_a_name_may_bring_another_certificate(files: Files) -> None:
    other = api.server_context(ServerSettings((files.server_rsa,)))
    asked = []

    def on_sni(name: str) -> Context:
        asked.append(name)
        return other

    server = api.accept(api.server_context(ServerSettings((files.server,))), on_sni=on_sni)
    _, client = shake(server, api.connect(api.client_context(ClientSettings()), sni="rsa.example"))
    assert asked == ["rsa.example"]
    assert client.facts().peerdn == "/C=DE/O=Test Org/CN=rsa.example"
    assert server.facts().ourcert == client.facts().peercert


def test_a_failure_in_the_callback_is_the_handshake_s(files: Files) -> None:
    def on_sni(name: str) -> None:
        raise TlsFailure(f"no such host: {name}", configuration=True)

    server = api.accept(api.server_context(ServerSettings((files.server,))), on_sni=on_sni)
    with pytest.raises(TlsFailure, match="no such host: x") as caught:
        shake(server, api.connect(api.client_context(ClientSettings()), sni="x.example"))
    assert caught.value.configuration


def test_two_kinds_of_certificate(files: Files) -> None:
    settings = ServerSettings((files.server_rsa, files.server))
    for ciphers, owner in (("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE_ECDSA_AES128_GCM_SHA256", "server")):
        _, client = pair(files, settings, ClientSettings(ciphers=ciphers, options="+no_tlsv1_3"))
        assert client.facts().peerdn == f"/C=DE/O=Test Org/CN={owner}.example"
        assert client.facts().cipher == f"TLS1.2:{ciphers.replace('_', '-')}:128"


def test_a_certificate_of_our_own(files: Files) -> None:
    _, client = pair(files, ServerSettings(hostname="test.example"))
    assert client.facts().peerdn == "/C=UK/O=Exim Developers/CN=test.example"


@pytest.mark.parametrize(("offered", "good"), [
    ((), True), (("smtp",), True), (("esmtp",), True), (("h2",), False), (("smtp", "h2"), False)])
def test_names_of_protocols(files: Files, offered: tuple[str, ...], good: bool) -> None:
    settings = ServerSettings((files.server,), alpn=("smtp", "esmtp"))
    if good:
        pair(files, settings, ClientSettings(alpn=offered))
        return
    with pytest.raises(TlsFailure, match="ALPN"):
        pair(files, settings, ClientSettings(alpn=offered))


def test_a_protocol_must_be_named(files: Files) -> None:
    context = api.server_context(ServerSettings((files.server,), alpn=("smtp",)))
    shake(api.accept(context, must_name_protocol=True), api.connect(api.client_context(ClientSettings(alpn=("smtp",)))))
    with pytest.raises(TlsFailure, match="ALPN required"):
        shake(api.accept(context, must_name_protocol=True), api.connect(api.client_context(ClientSettings())))


def test_a_client_that_is_refused_gets_an_alert(files: Files) -> None:
    def on_sni(name: str) -> None:
        raise TlsFailure("no")

    server = api.accept(api.server_context(ServerSettings((files.server,))), on_sni=on_sni)
    client = api.connect(api.client_context(ClientSettings()), sni="x.example")
    client.handshake()
    server.receive(client.to_send())
    with pytest.raises(TlsFailure):
        server.handshake()
    client.receive(server.to_send())
    assert server.to_send() == b""
    with pytest.raises(TlsFailure, match="internal error"):
        client.handshake()


def test_a_proof_is_stapled(files: Files) -> None:
    proof, stale = files.top / "proof.der", files.top / "stale.der"
    proof.write_bytes(CA.prove(files.certificate))
    stale.write_bytes(CA.prove(files.certificate, days=-1))
    server, client = pair(files, ServerSettings((files.server,), ocsp=(str(proof),)), ClientSettings(ocsp=True),
                          ask_ocsp=True)
    assert client.ocsp_response == proof.read_bytes()
    assert server.facts().ocsp == 4
    for path in (str(stale), str(files.top / "nothing")):
        server, client = pair(files, ServerSettings((files.server,), ocsp=(path,)), ClientSettings(ocsp=True),
                              ask_ocsp=True)
        assert client.ocsp_response == b"" and server.facts().ocsp == 1
    server, _ = pair(files, ServerSettings((files.server,), ocsp=(str(proof),)))
    assert server.facts().ocsp == 0


@pytest.mark.parametrize("options", ["", "+no_tlsv1_3"])
def test_resumption(files: Files, options: str) -> None:
    context = api.server_context(ServerSettings((files.server,), tickets=True))
    asks = api.client_context(ClientSettings(tickets=True, options=f"+no_sslv3 {options}"))
    server, client = shake(api.accept(context), api.connect(asks))
    assert client.read() == b""
    saved = client.save_session()
    assert saved is not None and not server.resumed and server.facts().resumption == 1
    server, client = shake(api.accept(context), api.connect(asks, session=saved))
    assert server.resumed and client.resumed and server.facts().resumption & 16
    refuses = api.server_context(ServerSettings((files.server,)))
    server, _ = shake(api.accept(refuses), api.connect(asks, session=saved))
    assert not server.resumed


@pytest.mark.parametrize(("settings", "text"), [
    ({"certificates": ("/nonexistent",)}, "SSL_CTX_use_certificate_chain_file file=/nonexistent): No such file"),
    ({"privatekeys": ("/nonexistent",)}, "SSL_CTX_use_PrivateKey_file file=/nonexistent): No such file"),
    ({"privatekeys": ("@RSA@",)}, "SSL_CTX_use_PrivateKey_file file="),
    ({"verify_certificates": "/nonexistent"}, "failed to stat /nonexistent for certificates"),
    ({"verify_certificates": "system", "crl": "/nonexistent"}, "failed to read /nonexistent"),
    ({"ciphers": "NOSUCH"}, "SSL_CTX_set_cipher_list(NOSUCH)"),
    ({"options": "+foo"}, "openssl_options parsing failed"),
    ({"curves": "nosuch"}, "Unknown curve name tls_eccurve 'nosuch'"),
    ({"dhparam": "nosuch"}, "unrecognised or unsupported DH prime): nosuch"),
    ({"dhparam": "/nonexistent"}, "could not read dhparams file /nonexistent"),
])
def test_settings_that_cannot_be_obeyed(files: Files, settings: dict[str, object], text: str) -> None:
    given = {"certificates": (files.server,), **settings}
    if given.get("privatekeys") == ("@RSA@",):
        given["privatekeys"] = (files.server_rsa,)
    with pytest.raises(TlsFailure) as caught:
        api.server_context(ServerSettings(**given))  # type: ignore[arg-type]
    assert text in str(caught.value)
    assert caught.value.configuration


@pytest.mark.parametrize(("curves", "group"), [("secp384r1", True), ("X25519:prime256v1", True), ("", True)])
def test_groups(files: Files, curves: str, group: bool) -> None:
    assert pair(files, ServerSettings((files.server,), curves=curves))[0].done is group


def test_a_diffie_hellman_cipher(files: Files) -> None:
    options = ClientSettings(ciphers="DHE-RSA-AES256-GCM-SHA384", options="+no_tlsv1_3")
    server, _ = pair(files, ServerSettings((files.server_rsa,), dhparam="ffdhe3072"), options)
    assert server.facts().cipher_std == "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"
    with pytest.raises(TlsFailure):
        pair(files, ServerSettings((files.server_rsa,), dhparam="none"), options)


def test_rubbish_is_told_and_answered(files: Files) -> None:
    server = api.accept(api.server_context(ServerSettings((files.server,))))
    server.receive(b"NOOP\r\nQUIT\r\n")
    with pytest.raises(TlsFailure, match="SSL_accept"):
        server.handshake()


def test_contexts_are_kept_until_a_file_changes(files: Files) -> None:
    path = files.top / "changing.pem"
    write(path, files.certificate, files.key)
    contexts, settings = api.Contexts(), ServerSettings((str(path),))
    first = contexts.get(settings)
    assert contexts.get(settings) is first
    write(path, *CA.issue("changed.example"))
    second = contexts.get(settings)
    assert second is not first
    _, client = shake(api.accept(second), api.connect(api.client_context(ClientSettings())))
    assert client.facts().peerdn == "/C=DE/O=Test Org/CN=changed.example"
    for n in range(40):
        contexts.get(ServerSettings((str(path),), dhparam="none", hostname=str(n)))
    assert len(contexts._known) == contexts.MOST


# -- channels

def served(files: Files, talk: Callable[[socket.socket, Engine], None]) -> socket.socket:
    """Return a client's socket whose other end is served by ``talk`` in a thread, after a handshake."""
    ours, theirs = socket.socketpair()
    engine = api.accept(api.server_context(ServerSettings((files.server,))))

    def run() -> None:
        with theirs:
            while not engine.handshake():
                theirs.sendall(engine.to_send())
                engine.receive(theirs.recv(4096))
            theirs.sendall(engine.to_send())
            talk(theirs, engine)

    threading.Thread(target=run, daemon=True).start()
    return ours


def test_a_channel(files: Files) -> None:
    def talk(sock: socket.socket, engine: Engine) -> None:
        engine.write(b"220 one\r\n250 two\r\n")
        sock.sendall(engine.to_send())
        got = b""
        while not got.endswith(b"QUIT\r\n"):
            engine.receive(sock.recv(65536))
            got += engine.read()
        engine.write(b"%d\r\n" % len(got))
        engine.close()
        sock.sendall(engine.to_send())
        sock.recv(1)

    plain = Channel(served(files, talk))
    channel = api.encrypted(plain, api.connect(api.client_context(ClientSettings())))
    deadline = channel._below.monotonic() + 20
    channel.handshake(deadline)
    assert channel.read(deadline, 4) == b"220 "
    assert channel.has_input(), "what is decrypted already counts"
    assert channel.read(deadline) == b"one\r\n250 two\r\n"
    channel.write(b"x" * 300_000 + b"QUIT\r\n", deadline)
    assert channel.read(deadline) == b"300006\r\n"
    assert channel.read(deadline) == b""
    channel.close()


def test_a_server_that_goes_away_in_the_handshake(files: Files) -> None:
    ours, theirs = socket.socketpair()
    channel = api.encrypted(Channel(ours), api.connect(api.client_context(ClientSettings())))
    theirs.close()
    with pytest.raises((TlsFailure, OSError)):
        channel.handshake(channel._below.monotonic() + 20)
    channel.close()


def test_a_handshake_has_a_limit(files: Files) -> None:
    ours, theirs = socket.socketpair()
    channel = api.encrypted(Channel(ours), api.connect(api.client_context(ClientSettings())))
    with theirs, pytest.raises(TimeoutError):
        channel.handshake(channel._below.monotonic() + 0.05)
    channel.close()


def test_key_and_certificate_types() -> None:
    certificate, key = CA.issue("x.example")
    assert isinstance(certificate, x509.Certificate)
    assert isinstance(key, Key)
