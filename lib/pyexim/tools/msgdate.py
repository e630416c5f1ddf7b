"""exim_msgdate: when was the message of an id received, and by which process?

Spec: chapter "Message identification"; the utility came with Exim 4.97.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Final

from pyexim.tools.common import complain, setting

HELP: Final = """\
Usage: exim_msgdate [option ...] <message id> ...
    -u, --unix              seconds since 1970
    --GMT, --UTC, -z, --zulu    the time in UTC
    -l, --local             the local time (the default)
    --base 36|62            the base of the id's digits (62 is the default); also --base36, --b62 ...
    --pid                   the process id as well
    --localhost_number <n>  the ids have the number of their host in the fraction
    -c <file>               the configuration that tells localhost_number
    --debug                 say what is wrong with an id
    -h, --help, --man       this text
An id may have an E before it, as in a Message-Id line; its first six characters will do.
"""
_ZULU: Final = frozenset({"--GMT", "--gmt", "--UTC", "--utc", "-z", "--z", "--zulu", "--Zulu", "-Zulu"})
_DIGITS: Final = {36: "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                  62: "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
_ID: Final = re.compile(
    r"E?([0-9A-Za-z]{6})(?:-([0-9A-Za-z]{11})-([0-9A-Za-z]{4})|-([0-9A-Za-z]{6})-([0-9A-Za-z]{2}))?(?:@.*)?\Z")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    style, base, pid, debug = "local", 62, False, False
    host_number = ""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if word in ("-u", "--unix"):
            style = "unix"
        elif word in _ZULU:
            style = "utc"
        elif word in ("-l", "--local"):
            style = "local"
        elif re.fullmatch(r"--b(?:ase)?(36|62)", word):
            base = int(word[-2:])
        elif name == "--base":
            value = value or (rest.pop(0) if rest else "")
            if value not in ("36", "62"):
                complain(HELP)
                return 1
            base = int(value)
        elif word == "--pid":
            pid = True
        elif word == "--debug":
            debug = True
        elif name == "--localhost_number":
            host_number = value or (rest.pop(0) if rest and rest[0].isdigit() else "0")
        elif name == "-c" and (value or rest):
            host_number = setting("localhost_number", ["-C", value or rest.pop(0)])
        else:
            (sys.stdout.write if word in ("-h", "--help", "--man") else complain)(HELP)
            return 0 if word in ("-h", "--help", "--man") else 1
    if not rest:
        complain(HELP)
        return 1
    good = True
    for text in rest:
        line = _describe(text.strip("<>"), _SHOW[style], base, pid=pid, numbered=bool(host_number))
        if line is None:
            good = False
            complain(f"exim_msgdate: {text}: not a message id" + (f" of base {base}\n" if debug else "\n"))
        else:
            sys.stdout.write(line + "\n")
    return 0 if good else 1


def _describe(text: str, show: Callable[[int], str], base: int, *, pid: bool, numbered: bool) -> str | None:
    """Return the line for an id; None for what is none.  The fraction of the second is left out."""
    m = _ID.match(text)
    if m is None or any(c not in _DIGITS[base] for part in m.groups() if part for c in part):
        return None
    out = show(_value(m[1], base))
    process = m[2] or m[4]
    if not pid or not process:
        return out
    out += f" {_value(process, base)}"
    if numbered:
        fraction = _value(m[3] or m[5], base)
        out += f" {fraction // (500_000 if m[3] else 200)}"
    return out


def _value(digits: str, base: int) -> int:
    value = 0
    for digit in digits:
        value = value * base + _DIGITS[base].index(digit)
    return value


_SHOW: Final[dict[str, Callable[[int], str]]] = {
    "unix": str,
    "utc": lambda second: time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(second)),
    "local": lambda second: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))}
