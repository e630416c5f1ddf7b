"""Patterns that are compiled on first use do what compiled ones do."""

import re

import pytest

from pyexim.base import pattern


def test_same_answers() -> None:
    found = pattern.lazy_pattern(r"(a+)b", re.IGNORECASE)
    for method, arguments in (("match", ("AAb",)), ("search", ("xab",)), ("fullmatch", ("ab", ))):
        for _ in range(2):
            mine = getattr(found, method)(*arguments)
            assert mine.groups() == getattr(re.compile(r"(a+)b", re.IGNORECASE), method)(*arguments).groups()
    assert found.sub("-", "xabAB") == "x--"
    assert [m.group() for m in pattern.lazy_pattern(rb"\d").finditer(b"1x2")] == [b"1", b"2"]
    with pytest.raises(AttributeError):
        found.no_such_method  # type: ignore[attr-defined]  # noqa: B018


def test_compiled_ahead() -> None:
    wrong = pattern.lazy_pattern("(")
    with pytest.raises(re.error):
        pattern.compile_patterns()
    pattern._uncompiled.remove(wrong)  # type: ignore[arg-type]
    found = pattern.lazy_pattern("a")
    pattern.compile_patterns()
    assert found.match("a") and not pattern._uncompiled
