"""Reading ACLs: statements, errors in Exim's words, inline texts."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.acl.parser import parse_acl, text_lines
from pyexim.acl.table import CONTROLS, ROWS
from pyexim.base.errors import ConfigError, Place
from pyexim.config.configuration import AclLine


def parse(text: str) -> list[tuple[str, list[tuple[str, bool, str]]]]:
    lines = [AclLine(line, Place("f", n)) for n, line in enumerate(text.split("\n"), 1)]
    return [(s.verb, [(i.name, i.negated, i.argument) for i in s.items]) for s in parse_acl(lines)]


def test_statements() -> None:
    assert parse("deny domains = a : b\n !hosts=c\n  message = x = y\naccept") == [
        ("deny", [("domains", False, "a : b"), ("hosts", True, "c"), ("message", False, "x = y")]), ("accept", [])]


def test_verb_then_negated_condition() -> None:
    assert parse("deny !verify = sender\naccept endpass\n ! condition = 1") == [
        ("deny", [("verify", True, "sender")]), ("accept", [("endpass", False, ""), ("condition", True, "1")])]


@pytest.mark.parametrize(("text", "error"), [
    ("foo domains = x", 'unknown ACL verb "foo" in "foo domains = x"'),
    ("domains = x", 'unknown ACL verb "domains" in "domains = x"'),
    ("warn foo = x", 'unknown ACL condition/modifier in "warn foo = x"'),
    ("accept\n!foo", 'unknown ACL condition/modifier in "!foo"'),
    ("warn domains", '"=" missing after ACL "domains" condition'),
    ("warn set acl_m1 bar", '"=" missing after ACL "set" modifier'),
    ("warn !message = x", 'ACL error: negation is not allowed with "message"'),
    ("accept !endpass", 'ACL error: negation is not allowed with "endpass"'),
    ("deny endpass", 'ACL error: "endpass" is not allowed with "deny"'),
    ("! accept", 'malformed ACL line "! accept"'),
    ("WARN domains = x", 'unknown ACL verb "WARN" in "WARN domains = x"'),
    ("warn setacl_m1 = foo", 'unknown ACL condition/modifier in "warn setacl_m1 = foo"'),
    ("warn set foo = bar",
     'invalid variable name after "set" in ACL modifier "set foo = bar" (must start "acl_c" or "acl_m")'),
    ("warn set acl_mx = bar", 'invalid variable name after "set" in ACL modifier "set acl_mx = bar" '
                              "(digit or underscore must follow acl_c or acl_m)"),
    ("warn set acl_m1x! = foo", 'invalid character "!" in variable name in ACL modifier "set acl_m1x! = foo"'),
])
def test_errors(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.text == error
    assert caught.value.place == Place("f", text.count("\n") + 1)


def test_inline_text_is_read_like_a_file() -> None:
    lines = text_lines("# comment\n\naccept hosts = a : \\\n   b\n  message = x\n", "inline")
    assert [line.text for line in lines] == ["accept hosts = a : b", "message = x"]
    assert lines[0].place.line == 3


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_no_text_crashes(text: str) -> None:
    with suppress(ConfigError):
        parse(text)


def test_names_are_known_once() -> None:
    assert len({r.name for r in ROWS}) == len(ROWS)
    assert len({r.name for r in CONTROLS}) == len(CONTROLS)
