"""Addresses: the observed answers of a real Exim, round trips, and that nothing hangs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import cpu_limit

from pyexim.base.taint import Tainted, is_tainted
from pyexim.mailfmt.address import fix_phrase, items, next_item, parse_address, quote_local_part, split_list

CASES = Path(__file__).resolve().parents[2] / "cases" / "addresses" / "observed.txt"
FLAGS = {"": {}, "literals": {"allow_domain_literals": True},
         "strip": {"strip_trailing_dot": True, "strip_excess_angle_brackets": True, "allow_utf8_domains": True}}
OCTETS = st.text(st.characters(max_codepoint=255), max_size=60)
TRICKY = st.text(st.sampled_from('ab.@<>()[]",:;\\ \t\n\xff'), max_size=40)


def observed() -> list[tuple[str, str, str]]:
    rows = []
    for line in CASES.read_text(encoding="latin-1").split("\n"):
        if line and not line.startswith("#"):
            flags, text, result = line.split("\t")
            rows.append((flags, text, result))
    return rows


@pytest.mark.parametrize(("flags", "text", "result"), observed())
def test_as_observed(flags: str, text: str, result: str) -> None:
    got = parse_address(text, **FLAGS[flags])
    if result.startswith("!"):
        assert got.error is not None
        assert got.error.rstrip() == result[1:]
    else:
        assert got.error is None
        assert got.address == result


@given(TRICKY | OCTETS)
@settings(max_examples=400)
def test_nothing_crashes(text: str) -> None:
    for flags in FLAGS.values():
        got = parse_address(text, allow_empty=True, **flags)
        assert (got.error is None) or got.address == ""
        if got.error is None and got.domain_at:
            assert got.address[got.domain_at - 1] == "@"
        assert 0 <= got.start <= got.end <= len(text)
    places = list(items(text))
    assert all(a < b for a, b in places)
    assert all(p[1] <= q[0] for p, q in pairwise(places))
    assert 0 <= next_item(text, 0) <= len(text)


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20))
def test_quoted_local_parts_round_trip(local_part: str) -> None:
    text = f"<{quote_local_part(local_part)}@x.example>"
    got = parse_address(text)
    assert got.error is None
    inner = got.address[:got.domain_at - 1]
    if inner.startswith('"'):
        inner = inner[1:-1].replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    assert inner == local_part


def test_all_octets_in_a_quoted_local_part() -> None:
    for octet in range(256):
        got = parse_address(f"<{quote_local_part('a' + chr(octet))}@x.example>")
        assert got.error is None, octet


@pytest.mark.parametrize("text", [
    "(" * 5000 + ")" * 5000 + "<a@b.example>", "g:" * 20_000 + "a@b", '"' + "x" * 200_000, "<" * 100_000,
    "a." * 100_000, "@a," * 50_000 + "@b:x@y", "\\" * 200_001, "(" * 200_000, "[" * 200_000, "<@" * 100_000,
    "a " * 100_000 + "<b@c>", '"a" ' * 50_000, "x" * 200_000 + "@", "a <" * 60_000, "a,[" * 60_000])
def test_linear_time(text: str) -> None:
    with cpu_limit():
        parse_address(text)
        split_list(text)
        next_item(text, 0)


def test_lists() -> None:
    text = 'g: a@b, "x, y" <c@d>;, (one, two) e@f,, <@h,@i:j@k>, [1,2], '
    assert split_list(text) == ["a@b", '"x, y" <c@d>', "(one, two) e@f", "<@h,@i:j@k>", "[1", "2]"]
    assert split_list("") == []
    assert text[next_item(text, 0)] == ","


def test_place_of_the_address() -> None:
    text = ' "Some One" <@x:a@b.example> (comment)'
    got = parse_address(text)
    assert text[got.start:got.end] == "@x:a@b.example"
    text = " a@b.example (comment)"
    got = parse_address(text)
    assert text[:got.start] + "new" + text[got.end:] != text


def test_empty_and_taint() -> None:
    assert parse_address("<>", allow_empty=True).error is None
    assert parse_address("<>").error == "missing or malformed local part"
    assert is_tainted(parse_address(Tainted("a@b")).address)
    assert is_tainted(parse_address(Tainted("(x) a@b")).address)
    assert not is_tainted(parse_address("a@b").address)


@pytest.mark.parametrize(("name", "phrase"), [
    ("A B", "A B"), ("A \xc3\x9c B", "=?UTF-8?Q?A_=C3=9C_B?="), ("J. Q. Public", '"J. Q. Public"'),
    ('a "b" c', 'a "b" c'), ("a (b) c", "a (b) c"), ("(b. c)", "(b. c)"), ("a \\ b", '"a \\ b"'), ("x@y", '"x@y"'),
    ('"quoted, one"', '"quoted, one"'), ("O'Neil", "O'Neil"), ("a\tb", "a\tb"), ('"', '""'),
    ('x "y', 'x "y"')])
def test_phrases_as_observed(name: str, phrase: str) -> None:
    assert fix_phrase(name) == phrase


@given(OCTETS)
def test_phrases_are_phrases(name: str) -> None:
    phrase = fix_phrase(name)
    assert phrase.isascii()
