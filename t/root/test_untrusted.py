"""What an ordinary user may ask for and what becomes of it: a set-uid pyexim and a set-uid real Exim, compared.

The cases (t/root/cases/*.case) are in the format of t/lib/compare.py; see also t/lib/callers.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from callers import possible

from compare import compare, find_exim, read_case

CASES = sorted((Path(__file__).parent / "cases").glob("*.case"))
EXIM = find_exim()


@pytest.mark.skipif(EXIM is None, reason="no real Exim on this machine (Debian: exim4-daemon-heavy)")
@pytest.mark.skipif(not possible(), reason="no private mount namespaces here")
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_same(path: Path, tmp_path: Path) -> None:
    assert EXIM is not None
    differences = compare(read_case(path), EXIM, tmp_path)
    assert not differences, "\n" + "\n".join(differences)
