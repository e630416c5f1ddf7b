"""Rewriting of header lines, of SMTP arguments, and the option headers_rewrite."""

from __future__ import annotations

import pytest
from acl_lab import RecordingLog

from pyexim.base.errors import ConfigError
from pyexim.base.taint import taint
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope, Services
from pyexim.model.message import Header
from pyexim.rewrite.api import has_rules, headers_rewrite, rewrite_header, rewrite_one, rewrite_smtp


def scope(rules: str) -> Scope:
    text = f"primary_hostname = h.example\nqualify_domain = local.example\nbegin rewrite\n{rules}\n"
    return Scope(read_configuration(["lab.conf"], data=text.encode("latin-1")),
                 Services(RecordingLog(), primary_hostname="h.example"))


RULE = '*@a.example "n$1@new.example"'


@pytest.mark.parametrize(("line", "expected"), [
    ("From: Joe (comment) <joe@a.example>, x@a.example\n", "From: Joe (comment) <njoe@new.example>, nx@new.example\n"),
    ('To: "a, b" <bob@a.example>,\n\tx@c.example\n', 'To: "a, b" <nbob@new.example>,\n\tx@c.example\n'),
    ("Cc: grp: one@a.example, two@c.example;\n", "Cc: grp: none@new.example, two@c.example;\n"),
    ("Resent-To: r@a.example\n", "Resent-To: nr@new.example\n"),
    ("Reply-To: <@x,@y:src@a.example>\n", "Reply-To: <nsrc@new.example>\n"),
    ("Bcc: q@a.example\n", "Bcc: nq@new.example\n"),
    ("Subject: s@a.example\n", None),
    ("To: unq\n", None),
    ("To: x@c.example\n", None),
    ("To: bad@@a.example\n", None),
])
def test_headers(line: str, expected: str | None) -> None:
    got = rewrite_header(Header(taint(line)), scope(RULE))
    assert (got.text if got is not None else None) == expected


def test_qualifying() -> None:
    got = rewrite_header(Header("Cc: unq, x@b.example\n"), scope(RULE), qualify=True)
    assert got is not None
    assert got.text == "Cc: unq@local.example, x@b.example\n"


def test_whole_item() -> None:
    got = rewrite_header(Header("From: Joe <joe@a.example>\n"), scope('*@a.example "Big $1 <$1@b.example>" wf'))
    assert got is not None
    assert got.text == "From: Big joe <joe@b.example>\n"


def test_places() -> None:
    at = scope("*@a.example x@b.example Ff")
    assert has_rules(at.config, "F")
    assert not has_rules(at.config, "T")
    assert not has_rules(at.config, "S")
    assert rewrite_one("q@a.example", "F", at) == "x@b.example"
    assert rewrite_one("q@a.example", "T", at) == "q@a.example"
    assert rewrite_one("", "F", at) == ""
    assert not has_rules(scope("").config, "FTsftcbrS")


def test_smtp_time() -> None:
    at = scope("\\N^<([^!]+)!(.*)>$\\N <$2@$1> S")
    assert rewrite_smtp("<host.example!user>", at) == "<user@host.example>"
    assert rewrite_smtp("<user@host.example>", at) == "<user@host.example>"


def test_transport_option() -> None:
    headers = [Header("From: x@a.example\n", "F"), Header("From: x@a.example\n", "*"), Header("To: x@a.example\n", "T")]
    got = headers_rewrite(headers, "*@a.example $1@b.example f : *@a.example z@z.example t", scope(""))
    assert [h.text for h in got] == ["From: x@b.example\n", "From: x@a.example\n", "To: z@z.example\n"]
    with pytest.raises(ConfigError):
        headers_rewrite(headers, "*@a.example $1@b.example F", scope(""))


def test_variables_are_given_back() -> None:
    at = scope(RULE)
    at.vars.update({"1": "kept", "local_part": "lp"})
    assert rewrite_one("x@a.example", "T", at) == "nx@new.example"
    assert at.vars == {"1": "kept", "local_part": "lp"}
