"""Long and odd sources are read in linear time: what is quadratic would take minutes, and is stopped."""

from __future__ import annotations

import pytest
from expand_scopes import make_scope
from limits import cpu_limit

from pyexim.base.taint import taint
from pyexim.expand.engine import expand


@pytest.mark.parametrize(("source", "size"), [
    ("\\" * 2_000_000, 1_000_000), ("\\n" * 1_000_000, 1_000_000), ("\\x41\\101" * 50_000, 100_000),
    ("$acl_m9" * 50_000, 0), ("x" * 2_000_000, 2_000_000), ("${lc:" * 10 + "A" * 500_000 + "}" * 10, 500_000)],
    ids=["backslashes", "newlines", "codes", "variables", "text", "nested"])
def test_sources(source: str, size: int) -> None:
    with cpu_limit():
        assert len(expand(source, make_scope())) == size


def test_mixed_escapes() -> None:
    assert expand(r"a\n\t\$\\\x41\101\N$x\n\N\q", make_scope()) == "a\n\t$\\AA$x\\nq"


def test_values() -> None:
    scope = make_scope()
    scope.vars["value"] = taint('k="' + "\\n" * 500_000 + '"')
    with cpu_limit():
        assert len(expand("${extract{k}{$value}}", scope)) == 500_000
        scope.vars["value"] = taint(":".join(f"a{i}" for i in range(5000)))
        expand("${sort{$value}{<}{$item}}", scope)
