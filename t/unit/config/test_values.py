"""The forms of numbers, times and strings: rows, and round trips."""

from hypothesis import given
from hypothesis import strategies as st

from pyexim.config import values
from pyexim.config.values import (
    format_fixed,
    format_int_k,
    format_octal,
    format_size,
    format_time,
    join_items,
    parse_bool,
    parse_fixed,
    parse_int,
    parse_octal,
    parse_time,
    split_items,
    unquote,
)

INTS = {"0": 0, "10": 10, "010": 8, "0x1F": 31, "0X1f": 31, "5k": 5120, "5K": 5120, "2M": 2 << 20, "1G": 1 << 30,
        "-5": -5, "+5": 5, "-1K": -1024, "08": None, "": None, "x": None, "5x": None, "5KK": None, "1 0": None,
        "0x": None, "K": None, "1.5": None, "\xb2": None}


def test_integers() -> None:
    for text, value in INTS.items():
        assert parse_int(text) == value, text


def test_booleans() -> None:
    rows = {"yes": True, "TRUE": True, "No": False, "false": False, "on": None, "": None, "1": None}
    for text, value in rows.items():
        assert parse_bool(text) is value


def test_times() -> None:
    rows = {"5s": 5, "1h30m": 5400, "1s1w": 604801, "90m": 5400, "0s": 0, "0w": 0, "2w3d": 1468800, "5": None, "": None,
            "h": None, "1h5": None, "1h 5m": None, "5M": None, "5x": None, "1.5s": None, "-5s": None}
    for text, value in rows.items():
        assert parse_time(text) == value, text


def test_fixed_point() -> None:
    rows = {"1.5": 1500, "2": 2000, "0.125": 125, "1.2345": 1234, "5.": 5000, "05.5": 5500, "0.001": 1, ".5": None,
            "x": None, "1.2x": None, "": None, "10.999": 10999}
    for text, value in rows.items():
        assert parse_fixed(text) == value, text


def test_octal() -> None:
    for text, value in {"0600": 0o600, "600": 0o600, "0": 0, "8": None, "": None, "06x": None}.items():
        assert parse_octal(text) == value


def test_shown() -> None:
    assert [format_int_k(v) for v in (0, 1, 1024, 1536, 1 << 20, 1 << 30, -1024)] == [
        "0", "1", "1K", "1536", "1M", "1024M", "-1K"]
    assert [format_size(v) for v in (0, 1, 1024, 1025, 10 << 20, 1 << 30, 3 << 30, -1)] == [
        "0", "1K", "1K", "2K", "10M", "1G", "3G", "-1K"]
    assert [format_octal(v) for v in (0, 0o22, 0o1000)] == ["0", "022", "01000"]
    assert [format_fixed(v) for v in (0, 1500, 125, 10999, 2000)] == ["0.0", "1.5", "0.125", "10.999", "2.0"]
    assert [format_time(v) for v in (0, 60, 3660, 691200, 604801)] == ["0s", "1m", "1h1m", "1w1d", "1w1s"]


def test_quoted_strings() -> None:
    assert unquote(r'"a\n\t\\\"\x41\101\1012\q"') == ("a\n\t\\\"AAA2q", 26)
    assert unquote('"plain" rest') == ("plain", 7)
    assert unquote('"') is None
    assert unquote('"abc') is None
    assert unquote('"abc\\"') is None


def test_lists() -> None:
    assert split_items("a : b::c : ") == ["a", "b:c"]
    assert split_items("<; a ; ::1") == ["a", "::1"]
    assert split_items(" : a") == ["", "a"]
    assert split_items("") == []
    assert split_items("a\n\nb", "\n") == ["a", "", "b"] or split_items("a\n\nb", "\n") == ["a", "b"]


@given(st.integers(min_value=0, max_value=2**31 - 1))
def test_time_round_trip(seconds: int) -> None:
    assert parse_time(format_time(seconds)) == seconds


@given(st.integers(min_value=0, max_value=10**9))
def test_number_round_trips(value: int) -> None:
    assert parse_fixed(format_fixed(value)) == value
    assert parse_octal(format_octal(value)) == value
    assert parse_int(format_int_k(value)) == value
    assert parse_int(str(value)) == value
    assert parse_int(hex(value)) == value


def quote(text: str) -> str:
    return '"' + "".join(f"\\{ord(c):03o}" if not c.isalnum() or not c.isascii() else c for c in text) + '"'


@given(st.text(st.characters(max_codepoint=255)))
def test_quoted_round_trip(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted + " x") == (text, len(quoted))


ITEM = st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1).filter(
    lambda s: s.strip(values.SPACE) == s and not s.startswith("<"))


@given(st.lists(ITEM, min_size=1))
def test_list_round_trip(items: list[str]) -> None:
    assert split_items(" : ".join(join_items([i]) for i in items)) == items


@given(st.text(st.characters(max_codepoint=255)))
def test_nothing_crashes(text: str) -> None:
    for function in (parse_bool, parse_int, parse_octal, parse_fixed, parse_time, unquote, split_items):
        function(text)
    unquote('"' + text)
