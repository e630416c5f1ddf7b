"""The tls authenticator: clients with and without a certificate, and settings that do not let them in."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from live import Live

AUTHENTICATORS = """\
begin authenticators
cert:
  driver = tls
  server_param1 = $tls_in_peerdn
  server_param3 = ${if eq{$tls_in_sni}{forced.example}{${if eq{a}{b}{x}fail}}\\
                  {${if eq{$tls_in_sni}{error.example}{${lookup{x}lsearch{/nonexistent}}}{three}}}}
  server_condition = ${if eq{$tls_in_sni}{maybe.example}{perhaps}{${if eq{$tls_in_sni}{no.example}{no}{yes}}}}
  server_set_id = $auth1 $auth2
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = yes
"""


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=client.example", "-keyout", str(top / "key"),
                    "-out", str(top / "cert")], check=True, capture_output=True)
    return top


def replies(live: Live, pem: Path, name: str, *, certificate: bool) -> str:
    """Return the reply to EHLO inside TLS, after a message was sent there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(pem / "cert", pem / "key")

    def say(sock: socket.socket, text: str) -> str:
        sock.sendall(text.encode() + b"\r\n")
        out = ""
        while not out.endswith("\n") or out.rstrip("\n").rpartition("\n")[2][3:4] == "-":
            data = sock.recv(4096)
            assert data, out
            out += data.decode().replace("\r", "")
        return out

    with socket.create_connection(("127.0.0.1", live.port), 20) as plain:
        assert plain.recv(4096).startswith(b"220")
        say(plain, "EHLO x")
        assert say(plain, "STARTTLS").startswith("220")
        with context.wrap_socket(plain, server_hostname=name) as sock:
            hello = say(sock, "EHLO x")
            sender = name.partition(".")[0]
            for command in (f"MAIL FROM:<{sender}@far.example>", "RCPT TO:<alice@test.example>", "DATA"):
                assert say(sock, command)[0] in "23"
            assert say(sock, "hello\r\n.").startswith("250")
            if "AUTH" not in hello:
                assert say(sock, "AUTH PLAIN AHgAeA==").startswith("503")
            return hello


def test_certificates(pem: Path) -> None:
    with Live(transports=AUTHENTICATORS, main="queue_only") as live:
        conf = live.conf.read_text().replace("tls_advertise_hosts =\n", "\n".join((
            "tls_advertise_hosts = *", f"tls_certificate = {live.top}/cert", f"tls_privatekey = {live.top}/key",
            "tls_try_verify_hosts = *", f"tls_verify_certificates = {live.top}/cert", "")))
        for file in ("cert", "key"):
            (live.top / file).write_bytes((pem / file).read_bytes())
            (live.top / file).chmod(0o644)
        live.conf.write_text(conf)
        live.start()
        assert "AUTH" not in replies(live, pem, "good.example", certificate=True)
        for name in ("forced.example", "error.example", "maybe.example", "no.example"):
            assert "AUTH PLAIN" in replies(live, pem, name, certificate=True)
        assert "AUTH PLAIN" in replies(live, pem, "without.example", certificate=False)
        lines = {x.split("<= ")[1].split("@")[0]: x for x in live.log().splitlines() if " <= " in x}
        assert " P=esmtpsa " in lines["good"]
        assert " A=cert:/CN=client.example three " in lines["good"]
        for name in ("forced", "error", "maybe", "no", "without"):
            assert " P=esmtps " in lines[name]
            assert " A=" not in lines[name]
        assert "cert authenticator failed for" in live.log()
        assert "failed to open /nonexistent" in live.log()


def test_there_is_one_at_most() -> None:
    second = "second:\n  driver = tls\n  server_condition = no\n"
    with Live(transports=AUTHENTICATORS + second) as live:
        done = live.run("-bP", "authenticator_list")
        assert done.returncode == 1
        assert "more than one tls authenticator (cert and second)" in done.stderr
