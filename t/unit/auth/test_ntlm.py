"""NTLM: its digest, its cipher, its messages, against published examples."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.auth import des, ntlm
from pyexim.auth.md4 import md4

CHALLENGE = bytes.fromhex("0123456789abcdef")


@pytest.mark.parametrize(("text", "digest"), [
    (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
    (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
    (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
    (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536")])
def test_md4_of_rfc_1320(text: bytes, digest: str) -> None:
    assert md4(text).hex() == digest


def test_des_agrees_with_the_library() -> None:
    algorithms = pytest.importorskip("cryptography.hazmat.decrepit.ciphers.algorithms")
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    for _ in range(50):
        key, block = os.urandom(8), os.urandom(8)
        theirs = Cipher(algorithms.TripleDES(key * 3), modes.ECB()).encryptor().update(block)
        assert des.encrypt(key, block) == theirs


def test_des_of_fips_81() -> None:
    assert des.encrypt(CHALLENGE, b"Now is t").hex() == "3fa40e8a984d4815"


def test_response() -> None:
    expected = "25a98c1c31e81847466b29b2df4680f39958fb8c213a9cc6"
    assert ntlm.response("SecREt01", CHALLENGE).hex() == expected
    assert ntlm.response("p\xc3\xa4ss", CHALLENGE) != ntlm.response("p\xe4ss\xff", CHALLENGE)
    assert ntlm.response("p\xc3\xa4ss", CHALLENGE) == ntlm.response("p\xe4ss", CHALLENGE)  # UTF-8 or Latin-1: one word


@given(st.text(max_size=9), st.text(max_size=9), st.text(max_size=9), st.booleans())
def test_messages_go_round(user: str, password: str, domain: str, wide: bool) -> None:
    def octets(text: str) -> str:
        return text.encode("utf-8", "replace").decode("latin-1")

    said = ntlm.Challenge(CHALLENGE, 0x201 if wide else 0x202, octets(domain) if wide else "")
    assert ntlm.parse_challenge(ntlm.format_challenge(ntlm.Challenge(CHALLENGE, 0x201, octets(domain)))) == \
        ntlm.Challenge(CHALLENGE, 0x201, octets(domain))
    answer = ntlm.parse_authenticate(ntlm.format_authenticate(said, octets(user), octets(password), octets(domain)))
    assert answer == ntlm.Authenticate(octets(user), ntlm.response(octets(password), CHALLENGE))


@given(st.binary(max_size=90), st.sampled_from([b"", b"NTLMSSP\0\2\0\0\0", b"NTLMSSP\0\3\0\0\0"]))
def test_anything_may_come(data: bytes, head: bytes) -> None:
    ntlm.parse_challenge(head + data)
    ntlm.parse_authenticate(head + data)
