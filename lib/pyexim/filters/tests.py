"""The tests of an Exim filter's if command.  Spec: the filter document, sections 22 to 30."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import lower
from pyexim.base.taint import like
from pyexim.expand import regex
from pyexim.expand.base import set_numeric
from pyexim.expand.engine import expand
from pyexim.filters.base import FilterRun
from pyexim.filters.nodes import Condition
from pyexim.filters.outcome import FilterError
from pyexim.filters.personal import is_personal
from pyexim.mailfmt.address import parse_address, split_list

_number: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]*|0[0-7]*|[1-9][0-9]*)([KkMm]?)[ \t\n\v\f\r]*",
                            re.ASCII).fullmatch
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20}


def holds(condition: Condition, run: FilterRun, delivered: bool) -> bool:
    """Tell whether a condition is true; FilterError where it cannot be told."""
    result = _holds(condition, run, delivered)
    debug = run.scope.services.debug
    if debug is not None and debug.any("filter", "v"):
        debug.write(f" Condition is {'true' if result else 'false'}: {condition} \n")
    return result


def _holds(condition: Condition, run: FilterRun, delivered: bool) -> bool:
    kind, parts = condition.kind, condition.parts
    if kind == "not":
        return not _part(parts[0], run, delivered)
    if kind == "and":
        return all(_part(p, run, delivered) for p in parts)
    if kind == "or":
        return any(_part(p, run, delivered) for p in parts)
    if kind == "foranyaddress":
        return _any_address(condition, run, delivered) == condition.wanted
    if kind == "delivered":
        return delivered == condition.wanted
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain(run) == condition.wanted
    if kind == "personal":
        return is_personal(run, condition.aliases) == condition.wanted
    return _COMPARE[kind](expanded(condition.left, run), expanded(condition.right, run), condition, run) == (
        condition.wanted)


def _part(condition: Condition, run: FilterRun, delivered: bool) -> bool:
    result = _holds(condition, run, delivered)
    debug = run.scope.services.debug
    if debug is not None:
        debug("filter", f" Sub-condition is {'true' if result else 'false'}: {condition} ")
    return result


def expanded(source: str, run: FilterRun) -> str:
    """Return the expansion of a string of a condition; FilterError."""
    try:
        return expand(source, run.scope)
    except ExpansionError as e:
        raise FilterError(f'failed to expand "{source}" in filter file: {e.text}') from None


# -- facts

def _error_message(run: FilterRun) -> bool:
    message = run.scope.message
    return message is not None and message.sender_address == ""


def _first_delivery(run: FilterRun) -> bool:
    message = run.scope.message
    return message is not None and message.first_delivery


def _manually_thawed(run: FilterRun) -> bool:
    message = run.scope.message
    return message is not None and message.manual_thaw


_PLAIN: Final[dict[str, Callable[[FilterRun], bool]]] = {
    "error_message": _error_message, "first_delivery": _first_delivery, "manually_thawed": _manually_thawed}


# -- comparisons

def _folded(left: str, right: str, condition: Condition) -> tuple[str, str]:
    return (left, right) if condition.caseful else (lower(left), lower(right))


def _is(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    left, right = _folded(left, right, condition)
    return left == right


def _begin(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    left, right = _folded(left, right, condition)
    return left.startswith(right)


def _end(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    left, right = _folded(left, right, condition)
    return left.endswith(right)


def _contain(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    left, right = _folded(left, right, condition)
    return right in left


def _match(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    compiled = regex.compile_or_error(right, not condition.caseful)
    if isinstance(compiled, str):
        fault = compiled.removeprefix(f'regular expression error in "{right}": ')
        raise FilterError(f'error while compiling regular expression "{right}": {fault}')
    try:
        groups = compiled.search(left)
    except regex.RegexLimit:
        return False
    if groups is None:
        return False
    set_numeric(run.scope, groups)
    return True


def _above(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    return _value(left) > _value(right)


def _below(left: str, right: str, condition: Condition, run: FilterRun) -> bool:
    return _value(left) < _value(right)


def _value(text: str) -> int:
    found = _number(text)
    if found is None:
        raise FilterError(f'malformed numerical string "{text}"')
    return int32(integer(found[1], found[2]) * _FACTORS[lower(found[3])])


def integer(sign: str, digits: str) -> int:
    """Return the value of digits as C reads them: decimal, octal after 0, hexadecimal after 0x; 64 bits at most."""
    if digits[:2] in ("0x", "0X"):
        value = int(digits[2:] or "0", 16)
    else:
        value = int(digits[:24], 8 if digits[0] == "0" else 10)
    return max(-value, -1 << 63) if sign == "-" else min(value, (1 << 63) - 1)


def int32(value: int) -> int:
    """Return a number as a machine word of 32 bits holds it."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


_COMPARE: Final[dict[str, Callable[[str, str, Condition, FilterRun], bool]]] = {
    "is": _is, "begin": _begin, "end": _end, "contain": _contain, "match": _match, "above": _above, "below": _below}


# -- lists of addresses

def addresses(text: str) -> Iterator[str]:
    """Yield the addresses of a header line's body; what is none is passed over."""
    for item in split_list(text):
        parsed = parse_address(item, allow_domain_literals=True)
        if parsed.error is None and parsed.address:
            yield like(parsed.address, text)


def _any_address(condition: Condition, run: FilterRun, delivered: bool) -> bool:
    variables = run.scope.vars
    for address in addresses(expanded(condition.left, run)):
        variables["thisaddress"] = address
        if _part(condition.parts[0], run, delivered):
            return True
    return False
