"""The families of t/cases/expand: strings, and what they expand to (as a real Exim does, see t/compare)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from expand_scopes import make_message, make_scope
from families import escape, message_of, read_family

from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope

CASES = Path(__file__).resolve().parents[2] / "cases" / "expand"
DATA = CASES / "data"


def _answer(source: str, scope: Scope) -> str:
    try:
        text = expand(source.replace("@DATA@", str(DATA)), scope)
    except ExpansionError as e:
        text = f"Failed: {e.text}"
    return escape(re.sub(r"euid=\d+ egid=\d+", "euid=N egid=N", text.replace(str(DATA), "@DATA@")))


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda p: p.stem)
def test_family(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO", "bar")
    head, cases = read_family(path)
    scope = make_scope()
    name = message_of(head)
    if name is not None:
        make_message(scope, DATA / name)
    assert cases
    wrong = [f"{case.source}\n  wanted {case.wanted}\n  got    {got}"
             for case in cases if (got := _answer(case.source, scope)) != case.wanted]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
