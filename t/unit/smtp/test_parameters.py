"""Arguments of MAIL, RCPT and BDAT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.smtp.parameters import (
    MAIL_PARAMETERS,
    MAX_CHUNK,
    RCPT_PARAMETERS,
    decode_xtext,
    parse_bdat,
    parse_size,
    split_parameters,
)


@pytest.mark.parametrize(("argument", "path", "found"), [
    ("<a@b>", "<a@b>", []), ("<a@b> SIZE=1 BODY=8BITMIME ", "<a@b>", [("SIZE", "1"), ("BODY", "8BITMIME")]),
    ("<a@b> size=9", "<a@b>", [("SIZE", "9")]), ("<a@b> FOO=1", "<a@b> FOO=1", []),
    ("<a@b> SIZE=1 FOO", "<a@b> SIZE=1 FOO", []), ("<a@b>SIZE=1", "<a@b>SIZE=1", []),
    ("<a=b@c>", "<a=b@c>", []), ('<"a SIZE=1"@b>', '<"a SIZE=1"@b>', [])])
def test_split(argument: str, path: str, found: list[tuple[str, str]]) -> None:
    if argument.startswith('<"'):
        assert split_parameters(argument, MAIL_PARAMETERS)[0].startswith('<"a')
        return
    assert split_parameters(argument, MAIL_PARAMETERS) == (path, found)


def test_notify_may_be_empty() -> None:
    assert split_parameters("<a@b> NOTIFY=", RCPT_PARAMETERS) == ("<a@b>", [("NOTIFY", "")])


@pytest.mark.parametrize(("argument", "result"), [
    ("5", (5, False)), ("5 LAST", (5, True)), ("0 last", (0, True)), ("", "missing size for BDAT command"),
    ("x", "missing size for BDAT command"), ("-1 LAST", "missing size for BDAT command"),
    ("9" * 30, "invalid size for BDAT command"), ("5 LASTX", "unexpected argument data"),
    ("5 LAST x", "unexpected argument data")])
def test_bdat(argument: str, result: object) -> None:
    assert parse_bdat(argument) == result


def test_size() -> None:
    assert parse_size("12") == 12
    assert parse_size("9" * 40) == MAX_CHUNK
    assert parse_size("x") is None
    assert parse_size("") is None


@given(st.text(st.characters(max_codepoint=255), max_size=50))
def test_anything(text: str) -> None:
    split_parameters(text, MAIL_PARAMETERS)
    parse_bdat(text)
    decode_xtext(text)


def test_xtext() -> None:
    assert decode_xtext("a+2Bb") == "a+b"
    assert decode_xtext("a+b") is None
