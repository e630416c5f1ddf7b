"""The families of t/cases/expand: strings, and what they expand to (as a real Exim does, see t/compare)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from expand_scopes import make_message, make_scope

from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope

CASES = Path(__file__).resolve().parents[2] / "cases" / "expand"
DATA = CASES / "data"


def _escape(text: str) -> str:
    out = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\x{ord(m[0]):02x}", out)


def _read(path: Path) -> tuple[bool, list[tuple[str, str]]]:
    lines = path.read_text("latin-1").split("\n")
    cases: list[tuple[str, str]] = []
    source = ""
    for line in lines:
        if line[:2] == "$ ":
            source = line[2:]
        elif line[:1] == "=":
            cases.append((source, line[2:]))
    return lines[0].startswith("# message"), cases


def _answer(source: str, scope: Scope) -> str:
    try:
        text = expand(source.replace("@DATA@", str(DATA)), scope)
    except ExpansionError as e:
        text = f"Failed: {e.text}"
    return _escape(re.sub(r"euid=\d+ egid=\d+", "euid=N egid=N", text.replace(str(DATA), "@DATA@")))


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda p: p.stem)
def test_family(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO", "bar")
    message, cases = _read(path)
    scope = make_scope()
    if message:
        make_message(scope, DATA / "message")
    assert cases
    wrong = [f"{source}\n  wanted {wanted}\n  got    {got}"
             for source, wanted in cases if (got := _answer(source, scope)) != wanted]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
