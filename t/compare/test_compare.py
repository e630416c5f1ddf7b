"""Every case under t/compare/cases, run through a real Exim and through pyexim: nothing may differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dns_world import usable

from compare import compare, find_exim, read_case

CASES = sorted((Path(__file__).parent / "cases").rglob("*.case"))
EXIM = find_exim()


@pytest.mark.real
@pytest.mark.skipif(EXIM is None, reason="no real Exim on this machine (Debian: exim4-daemon-heavy)")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an Exim gives up its privilege for a caller's configuration")
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_same(path: Path, tmp_path: Path) -> None:
    assert EXIM is not None
    case = read_case(path)
    if any(section.word == "zone" for section in case.sections) and not usable():
        pytest.skip("no process may have a network of its own here")
    differences = compare(case, EXIM, tmp_path)
    assert not differences, "\n" + "\n".join(differences)
