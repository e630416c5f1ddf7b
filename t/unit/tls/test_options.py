"""What is understood without the library: openssl_options, names of ciphers, the groups for Diffie-Hellman."""

from __future__ import annotations

import base64

import pytest

pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")

from OpenSSL import SSL

from pyexim.config.openssl import option_bits, parse_options
from pyexim.tls import dh
from pyexim.tls.names import standard_cipher


@pytest.mark.parametrize(("text", "found"), [
    ("", []),
    ("+no_sslv2 -no_sslv3", [(True, "no_sslv2"), (False, "no_sslv3")]),
    ("  +ALL\t+No_Ticket ", [(True, "all"), (True, "no_ticket")]),
    ("+ no_tlsv1", [(True, "no_tlsv1")]),
    ("+microsoft_sess_id_bug", [(True, "microsoft_sess_id_bug")]),
    ("+foo", None), ("no_sslv2", None), ("+", None), ("+no_sslv2:+no_sslv3", None), ("+no_sslv2x", None),
])
def test_items(text: str, found: list[tuple[bool, str]] | None) -> None:
    assert parse_options(text) == found


def test_bits_are_added_and_subtracted_in_order() -> None:
    assert option_bits("+no_ticket +no_tlsv1 -no_ticket") == int(SSL.OP_NO_TLSv1)
    assert option_bits("-no_ticket +no_ticket") == int(SSL.OP_NO_TICKET)


@pytest.mark.parametrize(("name", "standard"), [
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-AES128-SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    ("ECDHE-RSA-AES128-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    ("DHE-RSA-CHACHA20-POLY1305", "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ("AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA"),
    ("DES-CBC3-SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    ("ECDHE-ECDSA-AES128-CCM8", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
    ("ECDHE-ARIA256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384"),
    ("ADH-AES128-GCM-SHA256", "TLS_DH_anon_WITH_AES_128_GCM_SHA256"),
])
def test_standard_names_of_ciphers(name: str, standard: str) -> None:
    assert standard_cipher(name) == standard


@pytest.mark.parametrize("name", ["ike2", "ike14", "ffdhe2048", "ffdhe3072"])
def test_groups_have_safe_primes(name: str) -> None:
    """Fermat's test with one base; a wrong constant does not survive it."""
    p = dh.prime(name)
    assert p is not None
    assert pow(3, p - 1, p) == 1
    assert pow(3, (p - 1) // 2 - 1, (p - 1) // 2) == 1


def test_groups_in_pem_form() -> None:
    pem = dh.parameters("ike14")
    assert pem is not None
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert der[:4] == b"\x30\x82" + (len(der) - 4).to_bytes(2, "big")
    assert dh.size_of(pem) == 2048
    assert dh.parameters("default") == dh.parameters("ffdhe2048")
    assert dh.parameters("ike24") is None
    assert dh.size_of(b"rubbish") == 0
