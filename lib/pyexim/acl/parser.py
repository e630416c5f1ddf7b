"""From the lines of an ACL to statements: verbs with their conditions and modifiers, in order.

Nothing is expanded or evaluated here.  A condition that starts a line belongs to the statement before
it; a verb starts a new one.  Errors have Exim's wording; ``compile_acls`` adds "error in ACL: " for the
configuration.  Spec: section "Format of an ACL".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.acl.table import BY_NAME
from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass, field
from pyexim.config.configuration import AclLine

VERBS: Final = frozenset({"accept", "defer", "deny", "discard", "drop", "require", "warn"})

_WORD: Final = lazy_pattern(r"[A-Za-z0-9_]+", re.ASCII)
_VARIABLE: Final = lazy_pattern(r"[A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Item:
    """One condition or modifier as written; ``variable`` is what ``set`` sets."""

    name: str
    negated: bool
    argument: str
    place: Place | None = None
    variable: str = ""


@dataclass(slots=True)
class Statement:
    """A verb and its items."""

    verb: str
    place: Place | None
    items: list[Item] = field(default_factory=list)


def parse_acl(lines: list[AclLine], faults: list[ConfigError] | None = None) -> list[Statement]:
    """Return the statements of an ACL; ConfigError, with the place where one is known, for the first fault.

    With a list ``faults`` all of them are collected there, and the rest is returned.
    """
    statements: list[Statement] = []
    for line in lines:
        text = line.text.strip(SPACE)
        if text and not text.startswith("#"):
            try:
                _parse_line(text, line.place, statements)
            except ConfigError as e:
                if faults is None:
                    raise
                faults.append(e)
    return statements


def text_lines(text: str, file: str = "", place: Place | None = None) -> list[AclLine]:
    """Split an inline ACL, or the content of an ACL file, into logical lines, as the configuration is read."""
    out: list[AclLine] = []
    pending: list[str] = []
    start = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(SPACE)
        if (not line and not pending) or line.startswith("#"):
            continue
        if not pending:
            start = number
        if line.endswith("\\"):
            pending.append(line[:-1])
            continue
        pending.append(line)
        out.append(AclLine("".join(pending), place or Place(file, start)))
        pending = []
    if pending:
        out.append(AclLine("".join(pending), place or Place(file, start)))
    return out


def _parse_line(text: str, place: Place, statements: list[Statement]) -> None:
    """Add what one logical line says: an item of the last statement, or a new statement with its first item."""
    rest = text
    negated = rest.startswith("!")
    if negated:
        rest = rest[1:].lstrip(SPACE)
    word = _word(rest, text, place)
    if word in VERBS and not (negated and word not in BY_NAME):
        statements.append(Statement(word, place))
        rest = rest[len(word):].lstrip(SPACE)
        if not rest:
            return
        negated = rest.startswith("!")
        if negated:
            rest = rest[1:].lstrip(SPACE)
        word = _word(rest, text, place)
    elif negated and word in VERBS:
        raise ConfigError(f'malformed ACL line "{text}"', place)
    elif not statements:
        raise ConfigError(f'unknown ACL verb "{word}" in "{text}"', place)
    statements[-1].items.append(_item(word, rest[len(word):], negated, text, place, statements[-1].verb))


def _word(rest: str, text: str, place: Place) -> str:
    match = _WORD.match(rest)
    return match.group() if match is not None else ""


def _item(name: str, rest: str, negated: bool, text: str, place: Place, verb: str) -> Item:
    """Read one condition or modifier; ``rest`` is what follows its name."""
    row = BY_NAME.get(name)
    if row is None:
        raise ConfigError(f'unknown ACL condition/modifier in "{text}"', place)
    if negated and row.modifier:
        raise ConfigError(f'ACL error: negation is not allowed with "{name}"', place)
    if row.verbs is not None and verb not in row.verbs:
        raise ConfigError(f'ACL error: "{name}" is not allowed with "{verb}"', place)
    variable = ""
    if name == "set":
        variable, rest = _variable(rest, text[text.index("set"):], place)
    if name == "endpass":
        return Item(name, False, "", place)
    rest = rest.lstrip(SPACE)
    if not rest.startswith("="):
        kind = "modifier" if row.modifier else "condition"
        raise ConfigError(f'"=" missing after ACL "{name}" {kind}', place)
    return Item(name, negated, rest[1:].lstrip(SPACE), place, variable)


def _variable(rest: str, text: str, place: Place) -> tuple[str, str]:
    """Read the variable that ``set`` names: its name without "acl_", and the rest of the line."""
    rest = rest.lstrip(SPACE)
    where = f'in ACL modifier "{text}"'
    full = _VARIABLE.match(rest)
    name = full.group() if full else ""
    if name in ("dkim_verify_status", "dkim_verify_reason"):
        return name, rest[len(name):]
    if not rest.startswith(("acl_c", "acl_m")):
        raise ConfigError(f'invalid variable name after "set" {where} (must start "acl_c" or "acl_m")', place)
    after = rest[5:6]
    if not (after == "_" or ("0" <= after <= "9" and after)):
        raise ConfigError(f'invalid variable name after "set" {where} '
                          "(digit or underscore must follow acl_c or acl_m)", place)
    tail = rest[len(name):]
    if tail and tail[0] != "=" and tail[0] not in SPACE:
        raise ConfigError(f'invalid character "{tail[0]}" in variable name {where}', place)
    return name[4:], tail
