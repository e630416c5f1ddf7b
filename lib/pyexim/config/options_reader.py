"""One option setting: its name, its value by kind, the words for what is wrong with it.

Spec: chapter "The Exim runtime configuration file", sections 11 to 19.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.config.macros import WORD, name_end, word_end
from pyexim.config.option import BOOL, FIXED, HEADERS, INT, OCTAL, SET, TIME, TIME_LIST, Kind, OptionInfo
from pyexim.config.values import (
    INT_MAX,
    INT_MIN,
    join_items,
    parse_bool,
    parse_time,
    scan_fixed,
    scan_int,
    scan_octal,
    split_items,
    unquote,
)

Infos = dict[str, tuple[str, OptionInfo]]
Expand = Callable[[str], str]
"""Expands what has to be expanded while the configuration is read; raises ExpansionError."""

_MAX_LIMITS: Final = 13
"""Times that delay_warning can hold."""


class OptionError(Exception):
    """A setting is wrong; the text is complete but for the place."""


def split_hide(line: str) -> tuple[str, bool]:
    """Return a line without the word "hide" before it, and whether it was there."""
    if line.startswith("hide") and (len(line) == 4 or line[4] in SPACE):
        return line[4:].lstrip(SPACE), True
    return line, False


def find_option(line: str, infos: Infos, unknown: str) -> tuple[str, str, tuple[str, OptionInfo], bool | None]:
    """Return (name as written, what follows it, the option, False where a prefix negates it).

    ``unknown`` is the message for an unknown name, with %s for it.
    """
    end = word_end(line)
    name = line[:end]
    rest = line[end:].lstrip(SPACE)
    found = infos.get(name)
    if found is not None:
        return name, rest, found, None
    if line and not name_end(line):
        raise OptionError(f"option setting expected: {line}")
    for prefix in ("no_", "not_"):
        if name.startswith(prefix):
            found = infos.get(name[len(prefix):])
            if found is not None:
                return name, rest, found, False
    raise OptionError(unknown % name)


def extra(what: str, name: str, rest: str) -> OptionError:
    """Return the error for text after a complete value."""
    hint = " (# is comment only at line start)" if rest.startswith("#") else ""
    return OptionError(f"extra characters follow {what} {name}{hint}")


def set_option(line: str, infos: Infos, target: Any, unknown: str, seen: dict[str, Place],
               place: Place, expand: Expand) -> str:
    """Obey a setting (without "hide"): store its value in ``target`` and return the option's name.

    Raises OptionError; ``seen`` is where options already set were set, and is kept up to date.
    """
    name, rest, (field, info), negated = find_option(line, infos, unknown)
    kind = info.kind
    key = name if negated is None else name[4 if name.startswith("not_") else 3:]
    if key in seen and kind is not HEADERS and kind is not SET and info.style != "conditions":
        raise OptionError(f'"{name}" option set for the second time')
    if negated is not None and kind is not BOOL:
        raise OptionError("negation prefix applied to a non-boolean option")
    if kind is BOOL:
        value = _read_switch(name, rest, info, negated)
    else:
        if not rest:
            raise OptionError(f"unexpected end of line (data missing) after {name}")
        if rest[0] != "=":
            raise OptionError(f'missing "=" after {name}')
        rest = rest[1:].lstrip(SPACE)
        reader = _READERS.get(kind)
        if reader is not None:
            value = reader(name, rest, info)
        else:
            value = read_string(name, rest)
            if kind is HEADERS or kind is SET:
                value = _accumulate(key, getattr(target, field), value)
            elif info.style == "conditions":
                if key in seen:
                    # several settings must all be true; this is how Exim writes it, too
                    value = f"${{if and{{{{bool_lax{{{getattr(target, field)}}}}}{{bool_lax{{{value}}}}}}}}}"
            elif info.style:
                value = _check_style(name, value, info, expand)
    setattr(target, field, value)
    if info.style == "pair":
        setattr(target, field + "_sender", value)
        setattr(target, field + "_recipient", value)
    seen[key] = place
    return key


def read_string(name: str, rest: str) -> str:
    """Return the value of a string option, quoted or not."""
    if rest[:1] != '"':
        return rest
    found = unquote(rest)
    if found is None:
        raise OptionError(f"missing quote at end of string value for {name}")
    value, end = found
    if rest[end:].strip(SPACE):
        raise OptionError(f"extra characters follow string value for {name}")
    return value


def _read_switch(name: str, rest: str, info: OptionInfo, negated: bool | None) -> bool | str:
    if rest and (rest[0] != "=" or negated is not None):
        raise extra("boolean option", name, rest)
    value = rest[1:].lstrip(SPACE)
    if not value:
        return negated is None
    if info.expanded and "$" in value:
        return read_string(name, value)
    end = 0
    while end < len(value) and value[end] in WORD and not value[0].isdigit():
        end += 1
    word = value[:end]
    found = parse_bool(word)
    if found is None:
        raise OptionError(f'"{word}" is not a valid value for the "{name}" option')
    tail = value[end:].lstrip(SPACE)
    if tail:
        raise extra(f'"{word}" for boolean option', name, tail)
    return found


def _read_int(name: str, rest: str, info: OptionInfo) -> int | str:
    if info.expanded and "$" in rest:
        return read_string(name, rest)
    if info.expanded and not rest:
        return 0
    found = scan_int(rest)
    if found is None:
        raise OptionError(f"integer expected for {name}")
    value, end = found
    if not INT_MIN <= value <= INT_MAX and info.style != "kib":
        raise OptionError(f'absolute value of integer "{rest[:end]}" is too large (overflow)')
    tail = rest[end:].lstrip(SPACE)
    if tail:
        raise extra("integer value for", name, tail)
    if info.style == "kib" and rest[end - 1:end] not in tuple("kKmMgG"):
        return value * 1024
    return value


def _read_octal(name: str, rest: str, info: OptionInfo) -> int | str:
    if info.expanded and "$" in rest:
        return read_string(name, rest)
    found = scan_octal(rest)
    if found is None:
        raise OptionError(f"octal integer expected for {name}")
    tail = rest[found[1]:].lstrip(SPACE)
    if tail:
        raise extra("octal integer value for", name, tail)
    return found[0]


def _read_fixed(name: str, rest: str, info: OptionInfo) -> int:
    found = scan_fixed(rest)
    if found is None:
        raise OptionError(f"fixed-point number expected for {name}")
    value, end = found
    if not 0 <= value <= INT_MAX:
        raise OptionError(f'integer "{rest[:end]}" is too large (overflow)')
    tail = rest[end:].lstrip(SPACE)
    if tail:
        raise extra("fixed-point value for", name, tail)
    return value


def _read_time(name: str, rest: str, info: OptionInfo) -> int | str:
    if info.expanded and "$" in rest:
        return read_string(name, rest)
    value = parse_time(rest)
    if value is None and info.style == "plain" and rest.isascii() and rest.isdigit():
        return int(rest)
    if value is None:
        raise OptionError(f"invalid time value for {name}")
    return value


def _read_times(name: str, rest: str, info: OptionInfo) -> str:
    previous = -1
    items = split_items(rest)
    for count, item in enumerate(items):
        value = parse_time(item)
        if value is None:
            raise OptionError(f"invalid time value for {name}")
        if value <= previous:
            raise OptionError(f"time value out of order for {name}")
        if count >= _MAX_LIMITS:
            raise OptionError(f"too many time values for {name}")
        previous = value
    return rest


_READERS: Final[dict[Kind, Callable[[str, str, OptionInfo], Any]]] = {
    INT: _read_int, OCTAL: _read_octal, FIXED: _read_fixed, TIME: _read_time, TIME_LIST: _read_times}


_SEPARATORS: Final = {"headers_add": "\n", "headers_remove": ":", "set": ";"}


def _accumulate(name: str, old: str | None, value: str) -> str:
    """Add the items of one more setting, whatever its separator, to those before."""
    separator = _SEPARATORS[name]
    value = join_items(split_items(value, separator), separator)
    return value if old is None else f"{old}{separator}{value}"


def _check_style(name: str, value: str, info: OptionInfo, expand: Expand) -> str:
    style = info.style
    if style in ("uids", "gids"):
        if "$" in value and not info.expanded:
            return value
        items = split_items(expand(value) if "$" in value else value)
        for item in items:
            check_account(style[:3], item)
        return ":".join(items)
    if style in ("uid", "gid") and not (info.expanded and "$" in value):
        check_account(style, value)
    return value


def check_account(style: str, name: str) -> None:
    """Raise OptionError unless a user ("uid") or group ("gid"), given by name or number, exists."""
    if name.isascii() and name.isdigit():
        return
    try:
        if style == "uid":
            pwd.getpwnam(name)
        else:
            grp.getgrnam(name)
    except (KeyError, ValueError):
        what = "user" if style == "uid" else "group"
        raise OptionError(f"{what} {name} was not found") from None


def config_error(error: OptionError, place: Place, option: str | None = None, note: str = "") -> ConfigError:
    """Return the error with its place."""
    return ConfigError(str(error), place, option, note=note)
