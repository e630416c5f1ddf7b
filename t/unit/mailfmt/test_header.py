"""Header kinds and dates."""

from __future__ import annotations

import pytest

from pyexim.mailfmt import dates, header


@pytest.mark.parametrize(("line", "kind"), [
    ("From: x\n", "F"), ("TO : x\n", "T"), ("cc:x\n", "C"), ("Bcc: x\n", "B"), ("Reply-To: x\n", "R"),
    ("Sender: x\n", "S"),
    ("Received: x\n", "P"), ("Message-ID: x\n", "I"), ("Resent-To: x\n", "T"), ("Resent-Foo: x\n", " "),
    ("Subject: x\n", " "),
    ("Date: x\n", " ")])
def test_kinds(line: str, kind: str) -> None:
    assert header.kind_of(line) == kind


def test_parts() -> None:
    text = "Subject : a\n b\n\tc \n"
    assert header.name_of(text) == "subject"
    assert header.body_of(text) == "a b\tc"
    assert header.unfold("a\n b") == "a b"


def test_dates() -> None:
    assert dates.rfc5322(0, utc=True) == "Thu, 01 Jan 1970 00:00:00 +0000"
    assert dates.rfc5322(1795421274.9, utc=True) == "Mon, 23 Nov 2026 08:07:54 +0000"
    assert dates.unix_from(1795421274, utc=True) == "Mon Nov 23 08:07:54 2026"
    assert dates.zone(0, utc=True) == "+0000"
