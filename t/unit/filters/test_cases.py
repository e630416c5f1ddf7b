"""The families of t/cases/filters: filters, and what -bf says of them (as a real Exim does, see t/compare)."""

from __future__ import annotations

from pathlib import Path

import pytest
from families import escape, read_family, unescape
from filter_lab import CASES, make_filter_scope

from pyexim.filters.testing import test_filter as run_test
from pyexim.routers.redirection import is_filter


def _answer(source: str, *, system: bool) -> str:
    text = unescape(source)
    out: list[str] = []
    scope = make_filter_scope()
    if system:
        scope.facts["enable_dollar_recipients"] = True
    words, _ = run_test(text, "Exim" if system else is_filter(text) or "Exim", scope, out.append, system=system)
    return escape(("".join(out) + words).removesuffix("\n"))


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda p: p.stem)
def test_family(path: Path) -> None:
    head, cases = read_family(path)
    system = head[:1] == ["# system"]
    assert cases
    wrong = [f"{case.source}\n  wanted {case.wanted}\n  got    {got}"
             for case in cases if (got := _answer(case.source, system=system)) != case.wanted]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
