"""From statements to steps: ACLs compiled per place, found by name, file or inline text.

``AclSet`` is what ``compile_acls`` leaves in ``config.compiled["acl"]``.  An ACL is compiled once for
each place that uses it, so that an item which the place forbids costs nothing elsewhere.  ACL files
and inline texts are kept as long as the process lives.  Spec: section "Finding an ACL to use".
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from pyexim.acl import run as engine
from pyexim.acl.parser import Item, Statement, parse_acl, text_lines
from pyexim.acl.table import BY_NAME, Row
from pyexim.acl.where import NAMES
from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted, like
from pyexim.config.configuration import Configuration
from pyexim.expand.engine import is_literal

Step = engine.Step
Maker = Callable[[Item, "Build"], Step]

MAX_CACHED: Final = 500
"""Inline texts and files kept; more means that texts are made up per message."""


@dataclass(slots=True)
class CompiledStatement:
    """A verb with the steps of its items."""

    verb: str
    steps: tuple[Step, ...]
    place: Place | None = None
    items: tuple[Item, ...] = ()
    """As written, for -d."""


@dataclass(slots=True)
class CompiledAcl:
    """An ACL for one place."""

    name: str
    statements: tuple[CompiledStatement, ...]


@dataclass(slots=True)
class Build:
    """What a maker may know: the place, the set (for nested ACLs), the configuration."""

    where: str
    acls: AclSet
    config: Configuration


class AclError(Exception):
    """No ACL can be had from a text; ``str()`` is Exim's message."""


class TaintedAcl(AclError):
    """The text came from outside; that is logged, and the client's log line only tells of an internal error."""


_makers: dict[str, Maker] = {}


def _maker(name: str) -> Maker:
    found = _makers.get(name)
    if found is None:
        module, function = name.split(":")
        found = _makers[name] = getattr(importlib.import_module(module), function)
    return found


class AclSet:
    """All ACLs of a configuration."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._parsed: dict[str, list[Statement]] = {}
        self._texts: dict[str, list[Statement]] = {}
        self._compiled: dict[tuple[str, str], CompiledAcl] = {}

    def add(self, name: str, statements: list[Statement]) -> None:
        """Take a parsed ACL of the configuration."""
        self._parsed[name] = statements

    def names(self) -> list[str]:
        """Return the names of the configuration's ACLs."""
        return list(self._parsed)

    def statements(self, name: str) -> list[Statement]:
        """Return the statements of one of the configuration's ACLs."""
        return self._parsed[name]

    def find(self, text: str, where: str) -> CompiledAcl:
        """Return the ACL that an expanded text means, compiled for a place; AclError."""
        text = like(text.strip(SPACE), text)
        found = self._compiled.get((text, where))
        if found is not None:
            return found
        statements = self._parsed.get(text)
        name = text
        if statements is None:
            statements, name = self._from_text(text)
        compiled = self._compile(name, statements, where)
        if len(self._compiled) < MAX_CACHED:
            self._compiled[text, where] = compiled
        return compiled

    def _from_text(self, text: str) -> tuple[list[Statement], str]:
        """Parse an inline ACL, or the file that a text names."""
        have = self._texts.get(text)
        name = text if text.startswith("/") else "inline"
        if have is not None:
            return have, name
        if is_tainted(text):
            raise TaintedAcl(f'attempt to use tainted ACL text "{text}"')
        content, file = text, "inline ACL"
        if text.startswith("/"):
            file = text
            try:
                with open(text, encoding="latin-1", newline="\n") as f:
                    content = f.read()
            except OSError as e:
                raise AclError(f'failed to open ACL file "{text}": {e.strerror}') from None
        try:
            statements = parse_acl(text_lines(content, file))
        except ConfigError as e:
            raise AclError(e.text) from None
        if len(self._texts) < MAX_CACHED:
            self._texts[text] = statements
        return statements, name

    def _compile(self, name: str, statements: list[Statement], where: str) -> CompiledAcl:
        build = Build(where, self, self._config)
        return CompiledAcl(name, tuple(
            CompiledStatement(s.verb, tuple(_step(item, build) for item in s.items), s.place, tuple(s.items))
            for s in statements))


def _step(item: Item, build: Build) -> Step:
    """Return the step of one item for one place."""
    row = BY_NAME[item.name]
    if build.where in row.forbidden:
        return _refusal(row, build.where)
    step = _maker(row.make)(item, build)
    return engine.negate(step) if item.negated else step


def _refusal(row: Row, where: str) -> Step:
    text = f"cannot {'use' if row.modifier else 'test'} {row.name} condition in {NAMES.get(where, where)} ACL"

    def refused(run: engine.AclRun) -> int:
        return run.error(text)
    return refused


def with_argument(item: Item, use: Callable[[engine.AclRun, str], int]) -> Step:
    """Return a step that expands the item's argument, unless it is a literal, and uses the result."""
    source = item.argument
    if is_literal(source):
        def literal(run: engine.AclRun) -> int:
            return use(run, source)
        return literal

    def expanding(run: engine.AclRun) -> int:
        value: Any = run.expand(source)
        return use(run, value) if value.__class__ is not int else value
    return expanding
