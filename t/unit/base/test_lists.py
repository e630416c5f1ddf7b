"""The syntax of lists, as a real Exim splits them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.lists import join_list, split_list
from pyexim.base.octets import SPACE
from pyexim.base.taint import Quoted, Tainted


@pytest.mark.parametrize(("text", "items"), [
    ("a:b:c", ["a", "b", "c"]), ("a::b:c", ["a:b", "c"]), ("a:::b", ["a:", "b"]), ("a::::b", ["a::b"]),
    ("a: :b", ["a", "", "b"]), (":a", ["", "a"]), ("::a", [":a"]), (": :a", ["", "", "a"]), ("a:", ["a"]),
    ("a: ", ["a"]), ("a: :", ["a", ""]), (" ", []), ("", []), (":", [""]), ("::", [":"]), (": : ", ["", ""]),
    ("<;a;b;;c", ["a", "b;c"]), (" <; a ; b ", ["a", "b"]), ("<xaxb", ["<xaxb"]), ("< a:b", ["< a", "b"]),
    ("<<a<b", ["a", "b"]), ("<\n a \n\n b \n", ["a", "", "b"]), ("<\na\n:b", ["a", ":b"]),
    ("<\t a\tb\t\tc", ["a", "b", "", "c"]), ("a\n:\nb", ["a", "b"]), ("<, a,b , ,c,", ["a", "b", "", "c"]),
    ("a :: b", ["a : b"]), ("<;", []), ("<; ;", [""]), ("<\x7f a\x7fb", ["a", "b"]), ("<\n\na", ["", "a"]),
    ("a:<b:c", ["a", "<b", "c"]), ("<: a:b", ["a", "b"]), (":::", [":"]), ("a ::", ["a :"]), ("a:::", ["a:"])])
def test_split(text: str, items: list[str]) -> None:
    assert split_list(text) == items


@given(st.lists(st.text("ab:;< ", max_size=5).map(lambda s: s.strip(SPACE))), st.sampled_from(":;,"))
def test_join_and_split(items: list[str], separator: str) -> None:
    text = f"<{separator}" + join_list(items, separator)
    assert split_list(text) == items


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_is_a_list(text: str) -> None:
    for item in split_list(text):
        assert item == item.strip(SPACE)


def test_taint_stays() -> None:
    assert all(type(item) is Tainted for item in split_list(Tainted("a:b")))
    assert all(type(item) is Quoted for item in split_list(Quoted("a:b", "sqlite")))
