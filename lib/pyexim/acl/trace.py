"""What -bh and -d show of an ACL at work: statements, conditions as written and expanded, answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyexim.acl.parser import Item
from pyexim.acl.run import DEFER, DISCARD, ERROR, OK, AclRun, Step

if TYPE_CHECKING:
    from pyexim.acl.compiler import CompiledAcl, CompiledStatement

_END = {OK: "ACCEPT", DEFER: "DEFER", ERROR: "ERROR", DISCARD: "DISCARD"}
_TEST = {OK: "succeeded", DEFER: "deferred", ERROR: "error"}


class Trace:
    """Writes for one running ACL; ``debug`` has ``write(text)``."""

    def __init__(self, debug: Any) -> None:
        self._debug = debug
        self._indent = 0
        self._deferred = False

    def write(self, depth: int, text: str) -> None:
        """Write a line, further in for nested ACLs."""
        self._debug.write(f"{' ' * depth}{text}\n")

    def start(self, run: AclRun, acl: CompiledAcl) -> None:
        """Tell that an ACL begins."""
        if acl.name != "inline":
            self.write(run.depth, f"using {_named(acl)}")

    def steps(self, run: AclRun, statement: CompiledStatement) -> Iterator[Step]:
        """Tell of a statement, and of each condition before it is tested."""
        place = statement.place
        where = f" ({place.file} {place.line})" if place is not None else ""
        self.write(run.depth, f'processing "{statement.verb}"{where}')
        for item, step in zip(statement.items, statement.steps):
            if item.name != "endpass":
                self.write(run.depth, self._item(item))
            yield step

    def _item(self, item: Item) -> str:
        if item.name == "message":
            return f"  message: {item.argument}"
        if item.name == "log_message":
            return f"l_message: {item.argument}"
        name = f"{item.name} acl_{item.variable}" if item.variable else item.name
        text = f"check {'!' if item.negated else ''}{name}"
        self._indent = len(text)
        return f"{text} = {item.argument}"

    def expanded(self, run: AclRun, value: str) -> None:
        """Tell what an argument has become."""
        self.write(run.depth, f"{' ' * self._indent} = {value}")

    def tested(self, run: AclRun, verb: str, code: int, acl: CompiledAcl) -> None:
        """Tell the outcome of a statement's conditions."""
        self._deferred = code == DEFER
        self.write(run.depth, f'{verb}: condition test {_TEST.get(code, "failed")} in {_named(acl)}')

    def end(self, run: AclRun, acl: CompiledAcl, code: int | None) -> None:
        """Tell the outcome of an ACL; None: its end was reached.  A condition that defers is an end without a word."""
        if self._deferred and code == DEFER:
            return
        word = "implicit DENY" if code is None else _END.get(code, "not OK" if run.verb == "require" else "DENY")
        self.write(run.depth, f"end of {_named(acl)}: {word}")


def _named(acl: CompiledAcl) -> str:
    return f'ACL "{acl.name}"' if acl.name != "inline" else "inline ACL"
