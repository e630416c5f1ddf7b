"""The engine: cache, taint, deep nesting, patterns that would take for ever, forbidden items."""

from __future__ import annotations

import contextlib

import pytest
from expand_scopes import Log, make_scope
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import cpu_limit

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.taint import Tainted, is_tainted
from pyexim.expand.engine import expand, expand_bool, is_literal
from pyexim.expand.lists import join_list, split_list
from pyexim.expand.regex import Regex, compile
from pyexim.model.message import Header, Message

PIECES = ["${", "}", "{", "if ", "eq", "{a}", "$value", "\\", "\\N", "$h_x:", "lc:", "extract", "map", "1", ":", " ",
          "and", "!", "fail", "def:", "json", "\xe9", "match", "run", "(", "sg", "filter", "lookup", "lsearch", "\n"]


def test_literal_is_returned_as_it_is() -> None:
    text = "plain {text}"
    assert is_literal(text)
    assert expand(text, make_scope()) is text


@pytest.mark.parametrize(("start", "middle", "end"), [
    ("${lc:", "A", "}"), ("${if eq{a}{a}{", "x", "}}"), ("${if eq{", "a", "}{a}{a}}"), ("${map{a}{", "x", "}}"),
    ("${sg{", "a", "}{a}{a}}"), ("${extract{$item}{:}{", "a", "}}"), ("${expand:", "a", "}"),
    ("${if !eq{", "x", "}{z}{a}}"), ("${if or{{eq{", "a", "}{a}}}{a}{x}}")])
def test_a_thousand_levels(start: str, middle: str, end: str) -> None:
    scope = make_scope()
    scope.vars["item"] = "1"
    assert expand(start * 1000 + middle + end * 1000, scope) in ("a", "x")


def test_levels_in_a_command() -> None:
    # the command is read when it is run: each level is an expansion of its own
    source = "${run{" * 300 + "$no_such" + "}{a}{b}}" * 300
    with pytest.raises(ExpansionError, match="unknown variable"):
        expand(source, make_scope())


def test_too_deep_is_an_error() -> None:
    with pytest.raises(ExpansionError, match="nested too deeply"):
        expand("${lc:" * 50_000 + "a" + "}" * 50_000, make_scope())


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"(a|aa)+$", r"(.*)*b(.*)c", r"(x+x+)+y"])
def test_pathological_patterns_end(pattern: str) -> None:
    scope = make_scope()
    scope.vars["value"] = "a" * 5000 + "b"
    with cpu_limit():
        assert expand("${if match{$value}{\\N" + pattern + "\\N}{y}{n}}", scope) == "n"


def test_taint_is_carried() -> None:
    scope = make_scope()
    scope.message = Message(sender_address="a@b", headers=[Header("X: One:Two\n")])
    for source in ("$h_x:", "a$h_x:", "${lc:$h_x:}", "${extract{1}{:}{$h_x:}}", "${map{$h_x:}{$item}}",
                   "${sg{$h_x:}{O}{o}}", "${if match{$h_x:}{(O)}{$1}}", "${reduce{$h_x:}{}{$item}}",
                   "${listextract{1}{$h_x:}}", "${quote:$h_x:}", "$sender_address", "${substr_1:$h_x:}",
                   "${tr{$h_x:}{O}{o}}", "${filter{$h_x:}{def:item}}", "${sort{$h_x:}{lt}{$item}}",
                   "${rfc2047d:$h_x:}", "${if eq{a}{a}{$h_x:}}", "${base64:$h_x:}"):
        assert is_tainted(expand(source, scope)), source
    for source in ("${strlen:$h_x:}", "${md5:$h_x:}", "${if eq{$h_x:}{a}{b}{c}}", "$primary_hostname",
                   "${if inlist{One}{One:Two}{$value}}", "${listcount:$h_x:}"):
        assert not is_tainted(expand(source, scope)), source


def test_tainted_source_is_refused_and_logged() -> None:
    scope = make_scope()
    scope.facts["expanding_option"] = "data of router r (line 3 of /configure)"
    with pytest.raises(ExpansionError, match="attempt to expand tainted string '\\$x'"):
        expand(Tainted("$x"), scope)
    assert isinstance(scope.services.log, Log)
    assert "in option data of router r (line 3 of /configure)" in scope.services.log.lines[0]
    assert expand(Tainted("plain"), scope) == "plain"


def test_forced_failure_is_told_apart() -> None:
    with pytest.raises(ForcedFail):
        expand("a${if eq{a}{b}{c}fail}", make_scope())
    assert expand_bool("${if eq{a}{b}{c}fail}", make_scope(), "more", forced_fail=True)


def test_numeric_variables_are_restored() -> None:
    scope = make_scope()
    scope.vars["1"] = "before"
    assert expand("${if match{abc}{(b)}{$1}}$1${if match{x}{(b)}{$1}{$1}}", scope) == "bbeforebefore"
    assert scope.vars == {"1": "before"}


@pytest.mark.parametrize(("word", "source"), [
    ("readfile", "${readfile{/etc/hostname}}"), ("run", "${run{/bin/true}}"), ("lookup", "${lookup{a}lsearch{/x}}"),
    ("exists", "${if exists{/}}"), ("readsocket", "${readsocket{/x}{}}"), ("stat", "${stat:/}")])
def test_forbidden_items(word: str, source: str) -> None:
    scope = make_scope()
    scope.expand_forbidden = frozenset({word})
    with pytest.raises(ExpansionError, match="not permitted"):
        expand(source, scope)


def test_order_of_mistake_and_evaluation() -> None:
    with pytest.raises(ExpansionError, match="expression"):
        expand("${eval:x} ${foo}", make_scope())
    with pytest.raises(ExpansionError, match="unknown variable"):
        expand("${if eq{a}{a}{x}{$foo}}", make_scope())


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_string_breaks_the_parser(pieces: list[str]) -> None:
    source = "".join(pieces)
    scope = make_scope()
    scope.expand_forbidden = frozenset({"run", "lookup"})
    with contextlib.suppress(ExpansionError):
        expand(source, scope)
    assert scope.vars.keys() <= {"value", "runrc", "prvscheck_result"}


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="<:\x85\xa0"),
                        min_size=1), min_size=1))
def test_lists_round_trip(items: list[str]) -> None:
    assert split_list(join_list(items, ":")) == items


@given(st.text(st.sampled_from("ab\n$\\"), max_size=8), st.text(st.sampled_from("a$1\\x{}"), max_size=4),
       st.sampled_from(["b*", "a|", "^", "$", "x*?", "(?=b)", "a+", "(a)(b)?", "", "(?<=a)"]))
def test_replace_is_finditer(text: str, replacement: str, pattern: str) -> None:
    regex: Regex = compile(pattern)
    out, at = [], 0
    for start, end, _ in regex.finditer(text):
        out.append(text[at:start] + replacement)
        at = end
    assert regex.replace(text, replacement) == "".join(out) + text[at:]
