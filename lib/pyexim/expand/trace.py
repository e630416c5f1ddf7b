"""Expansion with its steps shown, as -d+expand shows them: a tree of strings, items and conditions.

Strings are compiled anew with functions around each piece that note what they yield; the notes are written
in the order in which the pieces stand in the source, those that were skipped among them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.taint import is_tainted
from pyexim.expand.base import Part, Test, as_callable
from pyexim.expand.scope import Scope

if TYPE_CHECKING:
    from pyexim.expand.base import Evaluate

_KEY: Final = "expand_trace"
_NAME: Final = re.compile(r"\$\{\s*[a-z][a-z0-9_]*(?:(:)|[ \t\r\n]*\{|[ \t]+[a-z!])", re.ASCII)
"""The beginning of an operator (with the colon) or of an item; no variable."""


class Node:
    """A string or condition that was read: where it stands, and what stands in it."""

    __slots__ = ("children", "end", "kind", "level", "loop", "start")

    def __init__(self, kind: str, start: int, level: int) -> None:
        self.kind = kind
        self.start = start
        self.end = start
        self.level = level
        """How many strings it stands in, itself included."""
        self.loop = ""
        """The item or condition that evaluates it for each item of a list."""
        self.children: list[Node | tuple[str, int, int]] = []


class Tracer:
    """What the parser tells of its progress; makes the functions that note."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[Node] = []

    def begin(self, kind: str, start: int) -> None:
        """A string, item or condition begins."""
        strings = sum(node.kind == "string" for node in self.stack)
        self.stack.append(Node(kind, start, strings + (kind == "string")))

    def repeat(self, name: str) -> None:
        """What was read last is evaluated for each item of a list by the item or condition ``name``."""
        child = self.stack[-1].children[-1]
        if isinstance(child, Node):
            child.loop = name

    def literal(self, start: int, end: int, kind: str) -> None:
        """Ordinary text, or what a backslash made."""
        if self.stack and start < end:
            self.stack[-1].children.append((kind, start, end))

    def end_item(self, part: Part, end: int) -> Part:
        """An item ends; return what evaluates it, and notes the result of an operator or a long item."""
        node = self.stack.pop()
        node.end = end
        self.stack[-1].children.append(node)
        if isinstance(part, str) or not self.source.startswith("${", node.start):
            return part

        def noted(scope: Scope) -> str:
            result = part(scope)
            if (kept := scope.facts.get(_KEY)) is not None:
                kept[id(node)] = result
            return result

        return noted

    def end_string(self, part: Part, end: int) -> Part:
        """A string ends; return what evaluates it and notes that."""
        node = self.stack.pop()
        node.end = end
        if self.stack:
            self.stack[-1].children.append(node)
        return TracedString(part, node, self.source)

    def end_condition(self, test: Test, end: int) -> Test:
        """A condition ends."""
        node = self.stack.pop()
        node.end = end
        self.stack[-1].children.append(node)
        source = self.source

        def noted(scope: Scope) -> bool:
            results = _results(scope)
            head = _begin_round(scope, node, results) if node.loop else ""
            result = test(scope)
            results[id(node)] = result
            if node.loop:
                verb = "is" if node.loop == "filter" else "evaluated to"
                _end_round(source, node, results, head,
                           f"{_indent(node.level)}{node.loop}: condition {verb} {'true' if result else 'false'}")
            return result

        return noted


class TracedString:
    """A string that notes what it yields; ``literal`` is its text where it has nothing to expand."""

    __slots__ = ("call", "literal", "node", "source")

    def __init__(self, part: Part, node: Node, source: str) -> None:
        self.literal = part if isinstance(part, str) else None
        self.call = as_callable(part)
        self.node = node
        self.source = source

    def __call__(self, scope: Scope) -> str:
        return _evaluate(scope, self.source, self.node, self.call)


def _results(scope: Scope) -> dict[int, Any]:
    found: dict[int, Any] = scope.facts[_KEY]
    return found


def _evaluate(scope: Scope, source: str, node: Node, call: Evaluate) -> str:
    """Evaluate a string; when it is the outermost one, write the tree."""
    results = scope.facts.get(_KEY)
    outermost = results is None
    if results is None:
        results = scope.facts[_KEY] = {}
    head = _begin_round(scope, node, results) if node.loop else ""
    try:
        value = call(scope)
        results[id(node)] = value
        if node.loop:
            _end_round(source, node, results, head)
        return value
    except ExpansionError as e:
        results[id(node)] = e
        raise
    finally:
        if outermost:
            del scope.facts[_KEY]
            lines: list[str] = []
            _show(source, node, results, 1, lines)
            debug = scope.services.debug
            for line in lines:
                debug("expand", line)


def _indent(level: int) -> str:
    """Return what stands before a line: a bar in every fourth column."""
    return "".join("╎" if i % 4 == 3 else " " for i in range(level))


def _begin_round(scope: Scope, node: Node, results: dict[int, Any]) -> str:
    """Forget what the last round of a loop came to; the line that this one begins with."""
    _forget(node, results)
    item, value = scope.vars.get("item", ""), scope.vars.get("value", "NULL")
    level = node.level - (node.kind == "string")
    if node.loop.startswith("for"):
        return f'{_indent(level)}{node.loop}: $item = "{item}"'
    return f"{_indent(level)}{node.loop}: $item = '{item}'  $value = '{value}'"


def _forget(node: Node, results: dict[int, Any]) -> None:
    results.pop(id(node), None)
    for child in node.children:
        if isinstance(child, Node):
            _forget(child, results)


def _end_round(source: str, node: Node, results: dict[int, Any], head: str, tail: str = "") -> None:
    """Write the lines of a round of a loop, and keep them for when the tree is written."""
    lines = [head]
    rounds = results.pop(-id(node), [])
    if node.kind == "string":
        _show(source, node, results, node.level, lines)
    else:
        _show_item(source, node, results, node.level, lines, inner=True)
    if tail:
        lines.append(tail)
    results[-id(node)] = [*rounds, *lines]


def _show_loop(source: str, node: Node, results: dict[int, Any], out: list[str]) -> None:
    """Write what is evaluated for each item: as it is read first, then each round."""
    if node.kind == "string":
        _show(source, node, {}, node.level, out)
    else:
        _show_item(source, node, {}, node.level, out, inner=True)
    out += results.pop(-id(node), [])


def _show(source: str, node: Node, results: dict[int, Any], level: int, out: list[str]) -> None:
    """Write the lines of a string and of what stands in it."""
    indent = _indent(level)
    value = results.get(id(node))
    skipped = value is None
    word = "───scanning" if skipped else "considering"
    out.append(f"{indent}╭{word}: {source[node.start:]}")
    for child in node.children:
        if isinstance(child, tuple):
            kind, start, position = child
            out.append(_literal(indent, kind, source[start:position]))
        else:
            _show_item(source, child, results, level, out)
            position = child.end
            _item_result(source, node, child, results, indent, out)
        if isinstance(value, ExpansionError) and not isinstance(child, tuple) and child is node.children[-1]:
            break
        if position < len(source):
            out.append(f"{indent}├{word}: {source[position:]}")
    text = source[node.start:node.end]
    if isinstance(value, ExpansionError):
        out.append(f"{indent}├failed to expand: {text}")
        end = "├" if isinstance(value, ForcedFail) else "╰"
        out.append(f"{indent}{end}───error message: {value.text}")
        if isinstance(value, ForcedFail):
            out.append(f"{indent}╰failure was forced")
        return
    out.append(f"{indent}├──expanding: {text}")
    if value is None:
        out.append(f"{indent}├─────result: {_literals(source, node)}")
        out.append(f"{indent}╰───skipping: result is not used")
        return
    if is_tainted(value):
        out.append(f"{indent}├─────result: {value}")
        out.append(f"{indent}╰──(tainted)")
    else:
        out.append(f"{indent}╰─────result: {value}")


def _item_result(source: str, node: Node, item: Node, results: dict[int, Any], indent: str, out: list[str]) -> None:
    """Write what an operator yielded, or an item that is not all of its string."""
    found = _NAME.match(source, item.start)
    if found is None or id(item) not in results:
        return
    if found[1]:
        out.append(f"{indent}├─────op-res: {results[id(item)]}")
    elif item.start > node.start or item.end < node.end:
        out.append(f"{indent}├───item-res: {results[id(item)]}")


def _literals(source: str, node: Node) -> str:
    return "".join(source[c[1]:c[2]] for c in node.children if isinstance(c, tuple))


def _literal(indent: str, kind: str, text: str) -> str:
    if kind == "text":
        return f"{indent}├───────text: {text}"
    if kind == "protected":
        return f"{indent}├──protected: {text[2:].removesuffix(chr(92) + 'N')}"
    return f"{indent}├backslashed: '{text}'"


def _show_item(source: str, node: Node, results: dict[int, Any], level: int, out: list[str],
               inner: bool = False) -> None:
    """Write the lines of an item or condition: of the strings in it, then its own (not of conditions within)."""
    indent = _indent(level)
    out += [f"{indent}condition: {child.loop}" for child in node.children
            if isinstance(child, Node) and child.loop.startswith("for")]
    for child in node.children:
        if isinstance(child, tuple):
            continue
        if child.loop:
            _show_loop(source, child, results, out)
        elif child.kind == "string":
            _show(source, child, results, level + 1, out)
        else:
            _show_item(source, child, results, level, out, inner=node.kind == "condition")
    if not inner and node.kind == "condition":
        out.append(f"{indent}├──condition: {source[node.start:node.end]}")
        out.append(f"{indent}├─────result: {'true' if results.get(id(node)) else 'false'}")


def wanted(scope: Scope) -> bool:
    """Tell whether -d+expand is in force."""
    selected = getattr(scope.services.debug, "selected", None)
    return selected is not None and bool(selected("expand"))


def expand_traced(source: str, scope: Scope) -> str:
    """Expand a string and write its steps."""
    from pyexim.expand.parser import compile_source

    return as_callable(compile_source(source, Tracer(source)))(scope)
