"""Items on lists: map, filter, reduce, sort, listextract, listquote, listcount, listnamed.

Spec: chapter "String expansions", sections 5 and 6.
"""

from __future__ import annotations

import operator
import re
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE, is_digits, lower
from pyexim.base.taint import like, untaint
from pyexim.expand.base import Evaluate, Fault, Part, as_callable, evaluate, restore_var
from pyexim.expand.lists import double_separator, join_list, split_list, split_with_separator
from pyexim.expand.numbers import integer
from pyexim.expand.parser import Parser, choose
from pyexim.expand.scope import Scope


def noted(error: ExpansionError, note: str) -> ExpansionError:
    """Add to an error where it happened."""
    error.text += note
    error.args = (error.text,)
    return error


def parse_map(parser: Parser, name: str) -> Part:
    """${map{list}{string}}: the string for each $item."""
    items, body, note = _list_and_string(parser, name)

    def run(scope: Scope) -> str:
        separator, values = split_with_separator(items(scope))
        saved = scope.vars.get("item")
        out = []
        try:
            for value in values:
                scope.vars["item"] = value
                out.append(body(scope))
        except ExpansionError as e:
            raise noted(e, note) from None
        finally:
            restore_var(scope, "item", saved)
        return join_list(out, separator)

    return run


def _list_and_string(parser: Parser, name: str) -> tuple[Evaluate, Evaluate, str]:
    note = f' inside "{name}" item'
    items = as_callable(parser.argument(f"missing '{{' for first arg of {name}"))
    body = as_callable(_noted_argument(parser, f"missing '{{' for last arg of {name}", note))
    if parser.trace is not None:
        parser.trace.repeat(name)
    parser.close(f'missing }} at end of "{name}"')
    return items, body, note


def _noted_argument(parser: Parser, missing: str, note: str) -> Part:
    parser.space()
    if not parser.accept("{"):
        raise Fault(missing)
    try:
        return parser.nested()
    except Fault as fault:
        raise Fault(fault.text + note) from None


def parse_filter(parser: Parser, name: str) -> Part:
    """${filter{list}{condition}}: the items for which the condition holds."""
    items = as_callable(parser.argument("missing '{' for first arg of filter"))
    parser.space()
    if not parser.accept("{"):
        raise Fault("missing '{' for last arg of filter")
    outer = parser.effects
    parser.effects = set()
    try:
        test = parser.condition()
    except Fault as fault:
        raise Fault(fault.text + ' inside "filter" item') from None
    parser.effects = outer
    if parser.trace is not None:
        parser.trace.repeat(name)
    parser.close('missing } at end of condition inside "filter"')
    parser.close('missing } at end of "filter"')

    def run(scope: Scope) -> str:
        separator, values = split_with_separator(items(scope))
        saved = scope.vars.get("item")
        out = []
        try:
            for value in values:
                scope.vars["item"] = value
                if test(scope):
                    out.append(value)
        except ExpansionError as e:
            raise noted(e, ' inside "filter" condition') from None
        finally:
            restore_var(scope, "item", saved)
        return join_list(out, separator)

    return run


def parse_reduce(parser: Parser, name: str) -> Part:
    """${reduce{list}{start}{string}}: the string for each $item, with the previous result as $value."""
    note = ' inside "reduce" item'
    items = as_callable(parser.argument("missing '{' for first arg of reduce"))
    first = parser.argument("missing '{' for second arg of reduce")
    body = as_callable(_noted_argument(parser, "missing '{' for last arg of reduce", note))
    if parser.trace is not None:
        parser.trace.repeat(name)
    parser.close('missing } at end of "reduce"')

    def run(scope: Scope) -> str:
        values = split_list(items(scope))
        result = evaluate(first, scope)
        saved_item, saved_value = scope.vars.get("item"), scope.vars.get("value")
        try:
            for value in values:
                scope.vars["item"] = value
                scope.vars["value"] = result
                result = body(scope)
        except ExpansionError as e:
            raise noted(e, note) from None
        finally:
            restore_var(scope, "item", saved_item)
            restore_var(scope, "value", saved_value)
        return result

    return run


def parse_listextract(parser: Parser, name: str) -> Part:
    """${listextract{number}{list}{yes}{no}}."""
    number = as_callable(parser.argument("missing '{' for arg 1 of listextract"))
    items = as_callable(parser.argument("missing '{' for arg 2 of listextract"))
    yes, no = choose(name, parser.choice(name), _value)

    def run(scope: Scope) -> str:
        wanted = list_index(number(scope), "listextract")
        values = split_list(items(scope))
        found: str | None = None
        if wanted > 0 and wanted <= len(values):
            found = values[wanted - 1]
        elif wanted < 0 and -wanted <= len(values):
            found = values[wanted]
        return with_value(scope, found, yes, no)

    return run


def list_index(text: str, item: str) -> int:
    """Return the number that selects an item or field."""
    word = text.strip(SPACE)
    if not word:
        raise ExpansionError(f'first argument of "{item}" must not be empty')
    if not is_digits(word[1:] if word[0] == "-" else word):
        raise ExpansionError(f'first argument of "{item}" must be numeric')
    return int(word[:12])


def _value(scope: Scope) -> str:
    return scope.vars.get("value", "")


def with_value(scope: Scope, found: str | None, yes: Part, no: Part) -> str:
    """Evaluate the yes string with $value set to what was found, or the no string."""
    if found is None:
        return evaluate(no, scope)
    saved = scope.vars.get("value")
    scope.vars["value"] = found
    try:
        return evaluate(yes, scope)
    finally:
        restore_var(scope, "value", saved)


value_part: Final[Part] = _value
"""What stands for the missing yes string: $value."""


def listquote(scope: Scope, args: list[str]) -> str:
    """${listquote{separator}{string}}: the separator doubled, an empty string as a space."""
    separator, text = args[0][:1], args[1]
    if not text:
        return " "
    return like(text.replace(separator, separator * 2) if separator else text, text)


def listcount(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${listcount:list}."""
    return str(len(split_list(text)))


# -- named lists

_KINDS: Final = {"a": "address", "d": "domain", "h": "host", "l": "localpart"}


def listnamed(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${listnamed:name}, ${listnamed_d:name}: the text of a named list, with the lists it names put in."""
    kind = None
    if argument is not None:
        kind = _KINDS.get(argument[:1])
        if kind is None:
            raise ExpansionError('bad suffix on "list" operator')
    found = _named(scope, text, kind)
    if found is None:
        word = f"a {kind} " if kind else "a "
        raise ExpansionError(f'"{text}" is not {word}named list')
    return found


def _named(scope: Scope, name: str, kind: str | None, depth: int = 0) -> str | None:
    kinds = [kind] if kind else ["address", "domain", "host", "localpart"]
    name = name.removeprefix("+")
    for k in kinds:
        entry = scope.config.named_lists.get(k, {}).get(name)
        if entry is not None:
            return _resolve(scope, entry.text, k, depth)
    return None


def _resolve(scope: Scope, text: str, kind: str, depth: int) -> str:
    """Put named lists in the place of their names; the separator becomes a colon."""
    if "+" not in text and not text.lstrip(SPACE).startswith("<"):
        return text
    separator, items = split_with_separator(text)
    if separator == ":" and not any(x.startswith(("+", "!+")) for x in items):
        return text
    out = []
    for item in items:
        inner = None
        if item.startswith("+") and depth < 20:
            inner = _named(scope, item[1:], kind, depth + 1)
        out.append(double_separator(item, ":") if inner is None else inner)
    return ":".join(out)


# -- sorting

_NUMERIC: Final = re.compile(r"[<>]=?")
_LEXICAL: Final = frozenset({"lt", "lti", "le", "lei", "gt", "gti", "ge", "gei"})


def parse_sort(parser: Parser, name: str) -> Part:
    """${sort{list}{comparator}{extractor}}: items for which the comparator holds come first."""
    items = as_callable(parser.argument("missing '{' for list arg of sort"))
    comparator = as_callable(parser.argument("missing '{' for comparator arg of sort"))
    start = parser.pos
    extractor = as_callable(parser.argument("missing '{' for extractor arg of sort"))
    while parser.src[start] != "{":
        start += 1
    source = parser.src[start + 1:parser.pos - 1]
    parser.close('missing } at end of "sort"')

    by_item = source.strip(SPACE) in ("$item", "${item}")

    def run(scope: Scope) -> str:
        text = items(scope)
        word = _comparator(comparator(scope))
        separator, values = split_with_separator(untaint(text))
        keys = values if by_item else _keys(values, text, extractor, scope)
        if not all(keys):
            raise ExpansionError(f'field-extract in sort: "{source}"')
        return like(join_list(_sorted(values, keys, word), separator), text)

    return run


def _keys(values: list[str], text: str, extractor: Evaluate, scope: Scope) -> list[str]:
    """Return what the items of a list, whose text it is, are to be sorted by."""
    variables = scope.vars
    saved = variables.get("item")
    keys = []
    try:
        for value in values:
            variables["item"] = like(value, text)
            keys.append(extractor(scope))
            if not keys[-1]:
                break
    finally:
        restore_var(scope, "item", saved)
    return keys


def _comparator(text: str) -> str:
    from pyexim.expand.table import CONDITIONS

    if text[:1].isalpha():
        found = re.match(r"[A-Za-z0-9_]*", text, re.ASCII)
    else:
        found = re.match(r"[=<>]=?", text)
    if found is None or not found[0]:
        raise ExpansionError(f'condition name expected, but found "{text[:16]}"')
    word = found[0]
    if word not in CONDITIONS:
        raise ExpansionError(f'unknown condition "{word}" in sort')
    if word not in _LEXICAL and not _NUMERIC.fullmatch(word):
        raise ExpansionError("comparator not handled for sort")
    return word


def _sorted(values: list[str], keys: list[str], word: str) -> list[str]:
    """Return the items in the order asked for.

    Each goes before the first one that it comes before by the comparator; so equals keep their order with
    a strict comparator, and are reversed with one that allows equality.
    """
    by: list[Any]
    if word[0] in "<>":
        try:
            by = _integers(keys)
        except ExpansionError:
            return [values[i] for i in _insertion(keys, word)]
    else:
        fold = lower if word.endswith("i") else untaint
        by = [untaint(fold(k)) for k in keys]  # plain strings sort faster
    out = values.copy()
    if word.rstrip("i")[-1] in "=e":
        out.reverse()
        by.reverse()
    reverse = word[0] in ">g"
    if by == out:
        out.sort(reverse=reverse)
    else:
        # The items themselves are sorted, not their numbers: with a million, picking them then takes as long again.
        of_item = iter(by)
        out.sort(key=lambda _: next(of_item), reverse=reverse)
    return out


def _integers(keys: list[str]) -> list[int]:
    """Return the operands of numeric comparisons; raise ExpansionError where one is none."""
    together = "".join(keys)
    if together.isascii() and together.isdigit() and len(max(keys, key=len)) < 19:
        return list(map(int, keys))
    return [integer(k) for k in keys]


def _insertion(keys: list[str], word: str) -> list[int]:
    """Sort where some keys are no numbers: a comparison with those is false."""
    test = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[word]
    values = [_integer_or_none(key) for key in keys[:1000]]
    order: list[int] = []
    for number, value in enumerate(values):
        if value is None:
            order.append(number)
            continue
        for i, other in enumerate(order):
            there = values[other]
            if there is not None and test(value, there):
                order.insert(i, number)
                break
        else:
            order.append(number)
    return [*order, *range(1000, len(keys))]


def _integer_or_none(key: str) -> int | None:
    try:
        return integer(key)
    except ExpansionError:
        return None
