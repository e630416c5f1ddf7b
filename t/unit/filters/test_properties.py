"""No text makes the filters fail otherwise than with an error of theirs."""

from __future__ import annotations

from filter_lab import make_filter_scope
from hypothesis import given, settings
from hypothesis import strategies as st

from pyexim.base.taint import taint
from pyexim.filters.outcome import Action, Outcome, Reply, decode, encode
from pyexim.filters.testing import test_filter as run_test

WORDS = st.sampled_from([
    "deliver", "save", "pipe", "mail", "vacation", "if", "then", "else", "elif", "endif", "and", "or", "not", "(", ")",
    "is", "contains", "matches", "above", "personal", "foranyaddress", "delivered", "seen", "unseen", "noerror",
    "finish", "fail", "freeze", "headers", "add", "remove", "charset", "text", "to", "n1", "1", "a@b",
    '"x y"', '"', "$h_to:",
    "\\", "logfile", "logwrite", "testprint", "errors_to", "once_repeat", "file", "#", "\n"])
SIEVE = st.sampled_from([
    "require", "if", "elsif", "else", "stop", "keep", "discard", "redirect", "fileinto", "vacation", "notify",
    "address", "header", "envelope", "size", "exists", "not", "allof", "anyof", "true", "false",
    ":is", ":contains", ":matches",
    ":comparator", ":all", ":user", ":copy", ":days", ":over", '"to"', '"a@b"', '"fileinto"', '["copy","vacation"]',
    '"enotify"', "(", ")", "{", "}", ";", ",", "[", "]", '"', "text:", "\n", ".\n", "/*", "*/", "#",
    "10K", "${hex:41}"])
TEXTS = st.one_of(st.lists(WORDS, max_size=40).map(" ".join), st.lists(SIEVE, max_size=40).map(" ".join),
                  st.binary(max_size=200).map(lambda data: data.decode("latin-1")))


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.booleans())
def test_any_text(text: str, system: bool) -> None:
    out: list[str] = []
    run_test("# Exim filter\n" + text, "Exim", make_filter_scope(), out.append, system=system)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_sieve(text: str) -> None:
    out: list[str] = []
    run_test("# Sieve filter\n" + text, "Sieve", make_filter_scope(), out.append)


def test_deep_nesting() -> None:
    out: list[str] = []
    for text in ("if " + "(" * 5000, "if a is a then " * 5000, "if not " * 5000):
        words, good = run_test(text, "Exim", make_filter_scope(), out.append)
        assert not good
        assert words.startswith("Filter error: ")
    for text in ("if not " * 5000 + "true {}", "if true {" * 5000, "if allof(" * 5000):
        run_test(text, "Sieve", make_filter_scope(), out.append)


def test_outcome_travels() -> None:
    outcome = Outcome([Action("reply", ">a@b", reply=Reply(to=taint("a@b"), numbers=["x"])),
                       Action("file", "/x", mode=0o600)],
                      significant=True, headers=[["add", "X: y"]], numbers={"n1": "3"})
    again = decode(encode(outcome))
    assert again == outcome
    assert again is not None
    assert again.actions[0].reply is not None
    assert type(again.actions[0].reply.to) is type(taint("x"))
    assert decode(b"") is None
    assert decode(b'{"actions":[{}]}') is None
