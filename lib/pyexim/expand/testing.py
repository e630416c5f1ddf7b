"""The command's mode -be: expand arguments, or lines of standard input, and show the results.

Spec: chapter "The Exim command line", -be, -bem.  Macros of the configuration are replaced, for admin users;
lines can define further ones.  A line that begins with "set " gives a variable a value ("set,t " a tainted
one), as the ACL modifier does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Final

from pyexim.base.errors import ConfigError, ExpansionError, Place
from pyexim.base.octets import SPACE
from pyexim.base.taint import taint
from pyexim.config.macros import MacroTable, is_definition
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.connection import Connection
from pyexim.model.message import Message

_SET: Final = re.compile(r"set(,t)?[ \t]+([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)", re.DOTALL)
_ACL_NAME: Final = re.compile(r"acl_([cm])([0-9_][A-Za-z0-9_]*)")


def run_be(arguments: list[str], lines: Iterable[str], scope: Scope, write: Callable[[str], None]) -> int:
    """Expand each argument, or without any each line; failures are shown in place of the result.

    ``lines`` come without their ends.  The exit code is 0 whatever happened.
    """
    scope.facts.setdefault("testing_expansion", True)
    tester = _Tester(scope, write)
    if arguments:
        for argument in arguments:
            tester.line(argument)
        return 0
    write("> ")
    held: list[str] = []
    for line in lines:
        text = line.rstrip(SPACE)
        if held:
            text = text.lstrip(SPACE)
        if text.endswith("\\"):
            held.append(text[:-1])
            continue
        tester.line("".join(held) + text)
        held.clear()
        write("> ")
    if held:
        tester.line("".join(held))
        write("> ")
    write("\n")
    return 0


class _Tester:
    """Expands one line after the other; macros and variables that lines define stay."""

    def __init__(self, scope: Scope, write: Callable[[str], None]) -> None:
        self.scope = scope
        self.write = write
        config = scope.config
        self.macros: MacroTable | None = None
        if scope.services.admin:
            self.macros = MacroTable(dict(config.command_macros))
            for name, value in config.macros.items():
                if name not in self.macros.by_name:
                    self.macros.define(f"{name}={value}", Place(config.file, 0))

    def line(self, text: str) -> None:
        """Obey a definition, or expand the line and show what came out."""
        if self.macros is not None and text:
            replaced = self.macros.replace(text, [])
            text = text if replaced is None else replaced
            if text and is_definition(text):
                self._define(text)
                return
        found = _SET.match(text)
        try:
            if found is not None:
                self._set(found[2], found[3], tainted=bool(found[1]))
                self.write(f"variable {found[2]} set\n")
                return
            result = expand(text, self.scope)
        except ExpansionError as e:
            self.write(f"Failed: {e.text}\n")
            return
        self.write(f"{result}\n")

    def _define(self, text: str) -> None:
        assert self.macros is not None
        try:
            self.macros.define(text, Place(self.scope.config.file, 0))
        except ConfigError as e:
            sys.stderr.write(f"Exim configuration error:\n  {e.text}\n")
            return
        name = re.match(r"\w*", text, re.ASCII)
        self.write(f"Defined macro '{name[0] if name else text}'\n")

    def _set(self, name: str, source: str, *, tainted: bool) -> None:
        value = expand(source, self.scope)
        if tainted:
            value = taint(value)
        found = _ACL_NAME.fullmatch(name)
        scope = self.scope
        if found is None:
            from pyexim.expand.variables import find

            getter, note = find(name)
            if getter is None:
                raise ExpansionError(f'unknown variable name "{name}"{note}')
            scope.vars[name] = value
        elif found[1] == "c":
            if scope.conn is None:
                scope.conn = scope.message.conn if scope.message is not None else Connection()
            scope.conn.acl_c["c" + found[2]] = value
        else:
            if scope.message is None:
                scope.message = Message(conn=scope.conn or Connection())
            scope.message.acl_m["m" + found[2]] = value
