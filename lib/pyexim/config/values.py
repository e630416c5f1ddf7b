"""The forms in which a configuration writes numbers, times, switches and strings, and -bP prints them.

Every ``parse_`` function returns None where the text is no such value, so that each caller can report
it in its own words; the reader's words are in ``config.reader``.  Spec: chapter "The Exim runtime
configuration file", sections "Boolean options" to "String values".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import SPACE, lower

INT_MAX: Final = 0x7FFFFFFF
INT_MIN: Final = -0x80000000
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_FACTORS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_BOOLS: Final = {"true": True, "yes": True, "false": False, "no": False}
_DIGITS: Final = frozenset("0123456789")
_OCTAL: Final = frozenset("01234567")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def parse_bool(text: str) -> bool | None:
    """Return the value of true, false, yes or no, in any case."""
    return _BOOLS.get(lower(text))


def scan_int(text: str) -> tuple[int, int] | None:
    """Return the integer that a text begins with, its factor applied, and where it ends.

    Decimal, octal with a leading 0, hexadecimal with 0x; a sign; then K, M or G in either case.
    """
    i = 0
    end = len(text)
    while i < end and text[i] in SPACE:
        i += 1
    negative = False
    if i < end and text[i] in "+-":
        negative = text[i] == "-"
        i += 1
    start = i
    digits, base = _DIGITS, 10
    if text[i:i + 2] in ("0x", "0X") and text[i + 2:i + 3] in _HEX and i + 2 < end:
        digits, base = _HEX, 16
        start = i = i + 2
    elif text[i:i + 1] == "0":
        digits, base = _OCTAL, 8
    while i < end and text[i] in digits:
        i += 1
    if i == start:
        return None
    value = int(text[start:i], base)
    if i < end:
        factor = _FACTORS.get(text[i].lower() if text[i].isascii() else "")
        if factor is not None:
            value *= factor
            i += 1
    return (-value if negative else value), i


def parse_int(text: str) -> int | None:
    """Return an integer option's value: decimal, 0octal, 0xhex, with K, M or G; None if it is none."""
    if text.isascii() and text.isdigit() and text[0] != "0":
        return int(text)
    found = scan_int(text)
    return found[0] if found is not None and found[1] == len(text) else None


def scan_octal(text: str) -> tuple[int, int] | None:
    """Return the octal number that a text begins with, and where it ends."""
    i = 0
    while i < len(text) and text[i] in _OCTAL:
        i += 1
    return (int(text[:i], 8), i) if i else None


def parse_octal(text: str) -> int | None:
    """Return the value of an octal number; None if it is none."""
    found = scan_octal(text)
    return found[0] if found is not None and found[1] == len(text) else None


def scan_fixed(text: str) -> tuple[int, int] | None:
    """Return the fixed-point number that a text begins with, in thousandths, and where it ends.

    Digits after the third are read and dropped.
    """
    i = 1 if text[:1] in ("-", "+") else 0
    start = i
    while i < len(text) and text[i] in _DIGITS:
        i += 1
    if i == start:
        return None
    value = int(text[start:i]) * 1000
    if text[i:i + 1] == ".":
        start = i = i + 1
        while i < len(text) and text[i] in _DIGITS:
            i += 1
        value += int(text[start:min(i, start + 3)].ljust(3, "0"))
    return (-value if text[0] == "-" else value), i


def parse_fixed(text: str) -> int | None:
    """Return a fixed-point number in thousandths; None if it is none."""
    found = scan_fixed(text)
    return found[0] if found is not None and found[1] == len(text) else None


def parse_time(text: str) -> int | None:
    """Return a time interval such as 1h30m in seconds; None where it is malformed.

    At least one number is needed, each with its unit, no space between, in any order; at most INT_MAX seconds.
    """
    total = 0
    start = 0
    for i, c in enumerate(text):
        if c in _DIGITS:
            continue
        unit = _UNITS.get(c)
        if unit is None or i == start:
            return None
        total += int(text[start:i]) * unit
        start = i + 1
    return total if start == len(text) > 0 and total <= INT_MAX else None


def unquote(text: str) -> tuple[str, int] | None:
    """Return the value of the quoted string that a text begins with, and where it ends.

    None where the closing quote is missing.
    """
    close = text.find('"', 1)
    if close < 0:
        return None
    if "\\" not in text[:close]:
        return text[1:close], close + 1
    out: list[str] = []
    i, end = 1, len(text)
    while i < end:
        c = text[i]
        if c == '"':
            return "".join(out), i + 1
        if c != "\\":
            out.append(c)
            i += 1
            continue
        c = text[i + 1:i + 2]
        if c in _OCTAL and c:
            stop = i + 2
            while stop < end and stop < i + 4 and text[stop] in _OCTAL:
                stop += 1
            out.append(chr(int(text[i + 1:stop], 8) & 0xFF))
        elif c == "x" and text[i + 2:i + 3] and text[i + 2] in _HEX:
            stop = i + 3
            if stop < end and text[stop] in _HEX:
                stop += 1
            out.append(chr(int(text[i + 2:stop], 16)))
        else:
            out.append(_ESCAPES.get(c, c))
            stop = i + 2
        i = stop
    return None


def split_items(text: str, separator: str = ":") -> list[str]:
    """Split a list that the reader itself has to look into (users, times), with changed separators.

    The rules are those of all lists: white space around items goes, a doubled separator stands for
    one (not where it is a control character), an empty item at the end is ignored.
    """
    text = text.lstrip(SPACE)
    if text[:1] == "<" and len(text) > 1 and not text[1].isalnum() and text[1] not in SPACE:
        separator = text[1]
        text = text[2:]
    items: list[str] = []
    rest = text.lstrip(SPACE)
    while rest:
        item = ""
        while True:
            at = rest.find(separator)
            if at < 0:
                item += rest
                rest = ""
                break
            item += rest[:at]
            rest = rest[at + 1:]
            if rest[:1] != separator or separator < " ":
                break
            item += separator
            rest = rest[1:]
        items.append(item.strip(SPACE))
        rest = rest.lstrip(SPACE)
    return items


def join_items(items: list[str], separator: str = ":") -> str:
    """Return the items as a list, the separator doubled inside them."""
    if separator < " ":
        return separator.join(items)
    return separator.join(item.replace(separator, separator * 2) for item in items)


def format_bool(name: str, value: bool) -> str:
    """Return a switch as -bP shows it: its name, or its name with no_ before it."""
    return name if value else "no_" + name


def format_int(value: int) -> str:
    """Return a plain integer option's value."""
    return str(value)


def format_int_k(value: int) -> str:
    """Return an integer with K or M where it is a multiple of 1024 or 1024 x 1024."""
    if value == 0 or value % 1024:
        return str(value)
    return f"{value // 1024}K" if value % 1048576 else f"{value // 1048576}M"


def format_size(value: int) -> str:
    """Return a size of which Exim keeps the kibibytes, in K, M or G; an odd value is rounded up.

    A negative value (which means no check) is taken for kibibytes.
    """
    kib = value if value < 0 else -(-value // 1024)
    if kib == 0:
        return "0"
    if kib % 1024:
        return f"{kib}K"
    return f"{kib // 1024}M" if kib % 1048576 else f"{kib // 1048576}G"


def format_octal(value: int) -> str:
    """Return an octal integer as -bP shows it, with a leading 0."""
    return f"0{value:o}" if value else "0"


def format_fixed(value: int) -> str:
    """Return a fixed-point number given in thousandths, with at least one digit after the point."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 1000}.{f'{value % 1000:03d}'.rstrip('0') or '0'}"


def format_time(seconds: int) -> str:
    """Return a time interval in weeks, days, hours, minutes and seconds, e.g. 1w2h."""
    if seconds == 0:
        return "0s"
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    out = sign
    for unit in "wdhm":
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            out += f"{count}{unit}"
    return f"{out}{rest}s" if rest else out
