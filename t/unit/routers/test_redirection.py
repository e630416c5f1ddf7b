"""Redirection lists: items, special items, errors; no text crashes the parser."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.taint import Tainted, is_tainted
from pyexim.routers.redirect import split_code
from pyexim.routers.redirection import Item, ListRules, RedirectionError, is_filter, item_end, parse_redirection

RULES = ListRules(allow_domain_literals=True)


def items(text: str, rules: ListRules = RULES) -> list[tuple[str, str]]:
    return [(i.kind, i.text) for i in parse_redirection(text, rules).items]


@pytest.mark.parametrize("text,want", [
    ("a@b, c@d", [("address", "a@b"), ("address", "c@d")]),
    ("a@b\nc@d\n", [("address", "a@b"), ("address", "c@d")]),
    ("# all\n#comments", []), ("", []), (" , ,\n", []), ("(comment)", []),
    ("a@b, # rest, x@y\n c@d", [("address", "a@b"), ("address", "c@d")]),
    ('"a@b", "|x, y"', [("address", "a@b"), ("pipe", "|x, y")]),
    ('|/bin/x "a, b", /f', [("pipe", '|/bin/x "a, b"'), ("file", "/f")]),
    (r'"|/bin/echo \"a b\" \\ c"', [("pipe", r'|/bin/echo "a b" \ c')]),
    ("/x/", [("directory", "/x/")]), ("/s=a/o=b/@x.y", [("address", "/s=a/o=b/@x.y")]),
    ("|a@b.c", [("address", "|a@b.c")]),
    ('"x y"@z.d', [("address", '"x y"@z.d')]), ("Some One <b@c>, d", [("address", "b@c"), ("address", "d")]),
    (":unknown:", []), (":unknown:, a@b", [("address", "a@b")]),
    ("b@[1.2.3.4]", [("address", "b@[1.2.3.4]")]),
])
def test_items(text: str, want: list[tuple[str, str]]) -> None:
    assert items(text) == want


def test_backslash_keeps_the_domain() -> None:
    assert parse_redirection(r"\joe, \joe@x.y, joe", RULES).items == [
        Item("address", "joe", keep_domain=True), Item("address", r"\joe@x.y"), Item("address", "joe")]
    assert parse_redirection(r'"\joe"', RULES).items == [Item("address", "joe", keep_domain=True)]


@pytest.mark.parametrize("text,verdict,rest", [
    (":fail: gone, really", "fail", "gone, really"), (":fail:", "fail", ""), (":defer: later\nx@y", "defer", "later"),
    ("a@b, :blackhole:, c@d", "blackhole", ""), ('":fail: one, two"', "fail", "one, two"),
    ("a@b, :fail: x", "fail", "x"),
])
def test_verdicts(text: str, verdict: str, rest: str) -> None:
    found = parse_redirection(text, RULES)
    assert (found.verdict, found.text, found.items) == (verdict, rest, [])


@pytest.mark.parametrize("text,special", [(":fail: no, user", ":fail: no"), (":blackhole:", ":blackhole:")])
def test_forbidden_items(text: str, special: str) -> None:
    with pytest.raises(RedirectionError) as problem:
        parse_redirection(text, ListRules(forbidden=frozenset({"fail", "blackhole"})))
    assert problem.value.text == f'"{special}" is not permitted'


def test_includes() -> None:
    def read(path: str) -> str:
        return "x@y\n:include:/again" if path == "/one" else "z@y"
    rules = ListRules(read_include=read)
    assert items("a@b, :include:/one, c@d", rules) == [("address", a) for a in ("a@b", "x@y", "z@y", "c@d")]
    with pytest.raises(RedirectionError, match="nested too deeply"):
        parse_redirection(":include:/x", ListRules(read_include=lambda path: ":include:/x"))
    with pytest.raises(RedirectionError, match="not permitted"):
        parse_redirection(":include:/x", ListRules())


def test_skipped_errors() -> None:
    found = parse_redirection("foo@bar@baz, ok@x", ListRules(skip_errors=True))
    assert [i.text for i in found.items] == ["ok@x"] and len(found.skipped) == 1
    assert found.skipped[0].endswith('in "foo@bar@baz"')


def test_taint_is_kept() -> None:
    found = parse_redirection(Tainted('"a b"@c, /x, |y, :fail: z'), ListRules())
    assert is_tainted(found.text)
    assert all(is_tainted(i.text) for i in parse_redirection(Tainted(r'\l, a@b, "|x y", /f'), ListRules()).items)


@pytest.mark.parametrize("text,want", [
    ("#Exim filter\n", "Exim"), ("  # exim FILTER x", "Exim"), ("#Sieve filter", "Sieve"), ("# filter", None),
    ("a@b", None),
])
def test_filters(text: str, want: str | None) -> None:
    assert is_filter(text) == want


@pytest.mark.parametrize("text,want", [
    ("551 5.1.6 gone", (551, "5.1.6 gone")), ("gone", (None, "gone")), ("55 x", (None, "55 x")),
    ("5511 x", (None, "5511 x")),
])
def test_codes(text: str, want: tuple[int | None, str]) -> None:
    assert split_code(text) == want


@given(st.text(st.sampled_from('ab@.,"\\\n#:|/() <>\xff') | st.characters(max_codepoint=255), max_size=60))
def test_no_text_crashes(text: str) -> None:
    with contextlib.suppress(RedirectionError):
        parse_redirection(text, ListRules(skip_errors=True, read_include=lambda path: "x"))
    assert 0 <= item_end(text, 0) <= len(text)
