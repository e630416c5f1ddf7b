"""The mode -be: lines, continuations, macros, set; and the steps that -d+expand shows."""

from __future__ import annotations

from expand_scopes import make_scope

from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.expand.testing import run_be


def _run(arguments: list[str], lines: list[str], scope: Scope | None = None) -> str:
    out: list[str] = []
    assert run_be(arguments, lines, scope or make_scope(), out.append) == 0
    return "".join(out)


def test_arguments() -> None:
    assert _run(["a", "${lc:B}", "${foo}"], []) == 'a\nb\nFailed: unknown variable in "${foo}"\n'


def test_lines_with_continuation() -> None:
    assert _run([], ["a\\", "  b", "  c", "", "last\\"]) == "> ab\n>   c\n> \n> last\n> \n"


def test_set() -> None:
    assert _run([], ["set acl_m_x = ${lc:A}", "$acl_m_x", "set,t domain = x", "${expand:$domain}"]).split("\n")[:3] == [
        "> variable acl_m_x set", "> a", "> variable domain set"]


def test_macros_for_admin_users() -> None:
    scope = make_scope()
    scope.services.admin = True
    scope.config.macros["MYMAC"] = "hello"
    assert _run([], ["MYMAC", "ABC=xyz MYMAC", "ABC d"], scope) == "> hello\n> Defined macro 'ABC'\n> xyz hello d\n> \n"
    assert _run(["MYMAC"], []) == "MYMAC\n"


class _Debug:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def selected(self, topic: str) -> bool:
        return topic == "expand"

    def __call__(self, topic: str, text: str) -> None:
        self.lines.append(text)


def test_steps() -> None:
    scope = make_scope()
    scope.services.debug = debug = _Debug()
    assert expand("a${if eq{b}{c}{yes}{no}}", scope) == "ano"
    assert debug.lines[:3] == [" ╭considering: a${if eq{b}{c}{yes}{no}}", " ├───────text: a",
                               " ├considering: ${if eq{b}{c}{yes}{no}}"]
    assert " ├──condition: eq{b}{c}" in debug.lines
    assert "  ╰───skipping: result is not used" in debug.lines
    assert debug.lines[-1] == " ╰─────result: ano"
