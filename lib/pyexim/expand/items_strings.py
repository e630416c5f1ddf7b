"""Items on strings: sg, substr, length, tr, imapfolder, and the operators of the same names.

Spec: chapter "String expansions", section 5; positions and lengths count octets.
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import is_tainted, like
from pyexim.expand import engine
from pyexim.expand.base import restore_numeric, save_numeric, set_numeric
from pyexim.expand.conditions import compiled_regex
from pyexim.expand.regex import RegexLimit
from pyexim.expand.scope import Scope

_NUMBERS: Final = re.compile(r"(-?)([0-9]*)(?:_([0-9]+))?")


_INTEGER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)|")
_LARGEST: Final = 0x7FFFFFFF


_PARTS: Final = lazy_pattern(r"([^$\\]+)|\$(?:([0-9]+)|\{([0-9]+)\})")
_SIMPLE: Final = lazy_pattern(r"(?:[^$\\]|\$(?:[0-9]{1,9}(?![0-9])|\{[0-9]{1,9}\}))*")
"""A replacement of literal text and numeric variables: it can be put in without expanding it for each match."""


def number(text: str, item: str, *, signed: bool = False) -> int:
    """Return a number that an item takes; an empty string is zero."""
    found = _INTEGER.fullmatch(text)
    if found is not None:
        value = int(found[1][:20]) if found[1] else 0
        if signed:
            return max(-_LARGEST, min(value, _LARGEST))
        if 0 <= value <= _LARGEST:
            return value
    raise ExpansionError(f'"{text}" is not a {"" if signed else "positive "}number (in "{item}" expansion)')


def sg(scope: Scope, args: list[str]) -> str:
    """${sg{subject}{regex}{replacement}}: the replacement is expanded anew for each match."""
    subject, pattern, replacement = args
    regex = compiled_regex(pattern)
    saved = save_numeric(scope)
    out: list[str] = []
    at = 0
    try:
        if not is_tainted(replacement) and _SIMPLE.fullmatch(replacement):
            parts = [int(number or other) if number or other else text
                     for text, number, other in _PARTS.findall(replacement)]
            return like(regex.replace(subject, parts), subject)
        for start, end, groups in regex.finditer(subject):
            out.append(subject[at:start])
            set_numeric(scope, groups)
            out.append(engine.expand(replacement, scope))
            at = end
    except RegexLimit as e:
        raise ExpansionError(f'regular expression "{pattern}": {e}') from None
    finally:
        restore_numeric(scope, saved)
    if not out:
        return subject
    out.append(subject[at:])
    return like("".join(out), subject, *[x for x in out if is_tainted(x)])


def length(scope: Scope, args: list[str]) -> str:
    """${length{n}{string}}."""
    return like(args[1][:number(args[0], "length")], args[1])


def substr(scope: Scope, args: list[str]) -> str:
    """${substr{start}{length}{string}}, ${substr{start}{string}}."""
    start = number(args[0], "substr", signed=True)
    count = number(args[1], "substr") if len(args) == 3 else None
    text = args[-1]
    return like(_substr(text, abs(start), start < 0, count), text)


def _substr(text: str, at: int, negative: bool, count: int | None) -> str:
    if not negative:
        return text[at:] if count is None else text[at:at + count]
    if count is None:
        return text[:max(0, len(text) - at)]
    start = len(text) - at
    if start < 0:
        count = max(0, count + start)
        start = 0
    return text[start:start + count]


def operator_numbers(argument: str | None, name: str, *, signed: bool = False,
                     single: bool = False) -> tuple[bool, int, int | None]:
    """Return (negative, first, second) of the numbers in an operator's name, as in substr_-3_2.

    A sign is good where ``signed``, a second number unless ``single``.
    """
    if argument is None:
        raise ExpansionError(f"missing values after {name}")
    found = _NUMBERS.fullmatch(argument)
    if found is None or (found[1] and not signed) or (found[3] and single):
        raise ExpansionError(f'non-digit after underscore in "{name}"')
    second = found[3]
    return bool(found[1]), int(found[2][:12] or "0"), None if second is None else int(second[:12] or "0")


def length_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${length_n:string}."""
    _, count, _ = operator_numbers(argument, name, single=True)
    return like(text[:count], text)


def substr_operator(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${substr_start_length:string}."""
    negative, at, count = operator_numbers(argument, name, signed=True)
    return like(_substr(text, at, negative, count), text)


def tr(scope: Scope, args: list[str]) -> str:
    """${tr{subject}{characters}{replacements}}: the last of a character's occurrences counts."""
    subject, characters, replacements = args
    if not replacements:
        return subject
    last = replacements[-1]
    table = {ord(c): replacements[i] if i < len(replacements) else last for i, c in enumerate(characters)}
    return like(subject.translate(table), subject)


_MODIFIED: Final = str.maketrans("/", ",")


def imapfolder(scope: Scope, args: list[str]) -> str:
    """${imapfolder{name}{separator}{special characters}}: modified UTF-7 with "." between the levels."""
    name = args[0]
    separator = args[1] if len(args) > 1 else "/"
    if len(separator) != 1:
        raise ExpansionError(f'IMAP folder separator must be one character, found "{separator}"')
    special = args[2] if len(args) > 2 else ""
    charset = scope.config.main.headers_charset or "UTF-8"
    try:
        text = name.encode("latin-1").decode(charset)
    except (LookupError, UnicodeError):
        raise ExpansionError(f"imapfolder: iconv() failed to convert from {charset}: Invalid or incomplete multibyte or"
                             " wide character") from None
    if text.isascii() and text.isprintable() and not any(c in text for c in f"&./{separator}{special}"):
        return name
    # as Exim has it: one separator at the start does not count, none at the end, of several in a row only one
    head, *levels = text.removeprefix(separator).rstrip(separator).split(separator)
    text = separator.join([head, *(level for level in levels if level)])
    out: list[str] = []
    coded: list[str] = []
    for c in text:
        if c == separator or (" " <= c <= "~" and c not in special):
            _flush(out, coded)
            if c == separator:
                out.append(".")
            elif c in "./":
                raise ExpansionError(f"imapfolder: illegal character '{c}'")
            else:
                out.append("&-" if c == "&" else c)
        else:
            coded.append(c)
    _flush(out, coded)
    return like("".join(out), name)


def _flush(out: list[str], coded: list[str]) -> None:
    """End a run of characters that are written in base 64 of UTF-16."""
    if coded:
        from base64 import b64encode

        digits = b64encode("".join(coded).encode("utf-16-be")).decode("ascii").rstrip("=")
        out.append("&" + digits.translate(_MODIFIED) + "-")
        coded.clear()
