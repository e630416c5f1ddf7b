"""Encoded words: as a real Exim makes and reads them; round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.mailfmt import rfc2047


def u(text: str) -> str:
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(("coded", "text"), [
    ("=?utf-8?Q?a=C3=9C_b?= =?iso-8859-1?Q?=DC?= x =?utf-8?B?w5w=?=", "aÜ bÜ x Ü"),
    ("=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
    ("=?utf-8?Q?a?=x", "ax"), ("=?utf-8*en?Q?a?=", "a"), ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
    ("=?utf-8?Q?a=ZZ?=", "=?utf-8?Q?a=ZZ?="), ("=?utf-8?B?w5w?=", "=?utf-8?B?w5w?="),
    ("=?utf-8?q?a b?=", "=?utf-8?q?a b?="),
    ("=?utf-8?Q??=", ""), ("=?utf-8?Q?a=00b?=", "a?b"), ("=?utf-8?Q?a?=  =?utf-8?X?b?=", "a  =?utf-8?X?b?="),
    ("=?koi8-r?B?8NLJ18XU?=", "Привет"), ("=?utf-8?B?w5 w=?=", "Ü"), ("=?utf-8?Q?a?b?=", "a?b"),
    ("=?utf-8?Q?a b", "=?utf-8?Q?a b"), ("=?x=?utf-8?Q?a?=", "=?xa")])
def test_decode_as_observed(coded: str, text: str) -> None:
    assert rfc2047.decode(u(coded)) == u(text)


def test_lengths_of_words_as_observed() -> None:
    for prefix, lengths in (("", [84, 72, 72, 72, 30]), ("x", [85, 72, 72, 72, 30]), ("xy", [80, 72, 72, 72, 36])):
        words = rfc2047.encode(u(prefix + "Ü" * 45)).split()
        assert [len(w) for w in words] == lengths


def test_long_words_are_left_alone() -> None:
    word = f"=?utf-8?Q?{'a' * 80}?="
    assert rfc2047.decode(word) == word
    assert rfc2047.decode(word, check_length=False) == "a" * 80


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=120))
def test_round_trip(text: str) -> None:
    coded = rfc2047.encode(text)
    assert coded.isascii()
    assert rfc2047.decode(coded, None, check_length=False) == text


@given(st.text(st.sampled_from("=?QqBbutf-8_ \n\xff"), max_size=80))
def test_anything_decodes(text: str) -> None:
    rfc2047.decode(text)
    rfc2047.decode(text, None)
