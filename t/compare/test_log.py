"""Log selectors one by one: under each setting the logs say what a real Exim's said (t/cases/log, t/lib/log_lab.py)."""

from __future__ import annotations

import os
from pathlib import Path

import log_lab
import pytest
from families import Case, read_family, unescape

from compare import PYEXIM

FAMILIES = {name: read_family(log_lab.DIRECTORY / f"{name}.txt")[1] for name in log_lab.scenarios()}
CASES = [pytest.param(name, case, id=f"{name}:{case.source or 'default'}") for name, cases in FAMILIES.items()
         for case in cases]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what was recorded names root as the caller")
@pytest.mark.parametrize(("name", "case"), CASES)
def test_selectors(name: str, case: Case, tmp_path: Path) -> None:
    assert log_lab.run(name, case.source, PYEXIM, tmp_path, real=False).splitlines() == unescape(
        case.wanted or "").splitlines()
