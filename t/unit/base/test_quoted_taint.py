"""Text quoted for a kind of lookup is tainted everywhere else."""

from __future__ import annotations

from pyexim.base.taint import Quoted, Tainted, combined, is_tainted, like, untaint


def test_quoted_is_tainted() -> None:
    quoted = Quoted("x", "sqlite")
    assert is_tainted(quoted)
    assert type(untaint(quoted)) is str


def test_combining() -> None:
    one, two, other = Quoted("a", "sqlite"), Quoted("b", "sqlite"), Quoted("c", "mysql")
    both = combined("ab", [one, "x", two])
    assert isinstance(both, Quoted) and both.quoter == "sqlite"
    assert type(combined("ac", [one, other])) is Tainted
    assert type(combined("ac", [one, Tainted("z")])) is Tainted
    assert type(combined("ac", ["a", "c"])) is str
    assert type(like("x", "a", one)) is Quoted
