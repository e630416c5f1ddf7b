"""Encrypted sessions of other programs: swaks and the openssl command."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from live import Live, wait_until

pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")

from certificates import Authority, rsa_key, write

CA = Authority()
MAIN = """tls_advertise_hosts = *
tls_certificate = @TOP@/ec.pem : @TOP@/rsa.pem
tls_ocsp_file = @TOP@/rsa.der : @TOP@/ec.der
tls_verify_certificates = @TOP@/ca.pem
tls_try_verify_hosts = *
log_selector = +tls_peerdn +tls_sni
"""


def prepared(main: str = "") -> Live:
    """Return an installation with certificates of two kinds, and their OCSP answers."""
    live = Live(main=MAIN + main)
    for name, key in (("ec", None), ("rsa", rsa_key())):
        certificate, key = CA.issue("test.example", names=("test.example",), key=key)
        write(live.top / f"{name}.pem", certificate, key)
        (live.top / f"{name}.der").write_bytes(CA.prove(certificate))
    write(live.top / "ca.pem", CA.certificate)
    write(live.top / "client.pem", *CA.issue("client.example"))
    return live


@pytest.mark.skipif(shutil.which("swaks") is None, reason="no swaks here")
@pytest.mark.parametrize("options", [
    ["--tls"],
    ["--tls", "--tls-cert", "@TOP@/client.pem", "--tls-key", "@TOP@/client.pem", "--tls-sni", "test.example"],
    ["--tls", "--tls-protocol", "tlsv1_2", "--tls-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]])
def test_swaks(options: list[str]) -> None:
    with prepared() as live:
        live.start()
        done = subprocess.run(["swaks", "--server", f"127.0.0.1:{live.port}", "--from", "x@far.example", "--to",
                               "alice@test.example,bob@test.example", "--body", "hello from swaks",
                               *(o.replace("@TOP@", str(live.top)) for o in options)],
                              text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stdout
        wait_until(lambda: "hello from swaks" in live.mail("alice") and "hello from swaks" in live.mail("bob"), "mail")
        log = live.log()
        if "--tls-cert" in options:
            assert ' CV=yes DN="/C=DE/O=Test Org/CN=client.example" SNI=test.example S=' in log
        if "tlsv1_2" in options:
            assert " P=esmtps X=TLS1.2:ECDHE-RSA-AES128-GCM-SHA256:128 CV=no S=" in log
            assert "with esmtps  (TLS1.2) tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n" in live.mail("alice")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
@pytest.mark.parametrize(("options", "kind"), [([], "EC"), (["-tls1_2", "-cipher", "aRSA"], "RSA")])
@pytest.mark.parametrize("on_connect", [False, True])
def test_s_client(options: list[str], kind: str, on_connect: bool) -> None:
    """The openssl command verifies the certificate, and the OCSP answer that is stapled."""
    with prepared() as live:
        live.start(*(["-tls-on-connect"] if on_connect else []))
        start = [] if on_connect else ["-starttls", "smtp", "-name", "client.example"]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{live.port}", "-CAfile", str(live.top / "ca.pem"),
             "-verify_hostname", "test.example", "-verify_return_error", "-status", "-crlf", "-quiet", "-no_ign_eof",
             "-alpn", "smtp", *start, *options],
            input="EHLO client.example\nMAIL FROM:<x@far.example>\nRCPT TO:<bob@test.example>\nQUIT\n", text=True,
            capture_output=True, timeout=60)
        assert "Verification error" not in done.stderr and "verify error" not in done.stderr, done.stderr
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{live.port}", "-CAfile", str(live.top / "ca.pem"),
             "-status", *start, *options], input="", text=True, capture_output=True, timeout=60).stdout
        assert "OCSP Response Status: successful" in shown
        assert "Cert Status: good" in shown
        assert "Verify return code: 0 (ok)" in shown
        assert ("Server public key is 2048 bit" in shown) is (kind == "RSA")
        assert live.log().count("TLS error") == 0
        refused = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{live.port}", "-alpn", "h2", *start],
                                 input="", text=True, capture_output=True, timeout=60)
        assert refused.returncode != 0
        live.wait_log("ALPN: none of the client's names is accepted: h2")
