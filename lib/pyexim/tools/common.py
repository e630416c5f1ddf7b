"""What the utilities share: calling the program, reading its listing, options of one letter, regular expressions."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from pyexim import settings
from pyexim.base.record import dataclass, field


class Usage(Exception):
    """The arguments are wrong; the text says how, and may be empty."""


def options(arguments: list[str], flags: str, valued: str) -> tuple[dict[str, str], list[str]]:
    """Read options of one letter, merged or apart, as getopt does: (letter -> value, the rest); raise Usage."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in flags:
                found[letter] = "1"
            elif letter in valued and (letters or rest):
                found[letter] = letters or rest.pop(0)
                letters = ""
            else:
                raise Usage("" if letter in valued else f"Unknown option: {letter}\n")
    return found, rest


def call_program(arguments: list[str], *, program: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program itself and catch what it says; OSError where it cannot be run."""
    return subprocess.run([program or settings.PROGRAM, *arguments], input=stdin, capture_output=True,
                          encoding="latin-1", check=False)


def setting(name: str, configuration: list[str]) -> str:
    """Return a main option's value as -bP shows it; "" when unset.  ``configuration`` are -C and -D options."""
    text = call_program([*configuration, "-bP", name]).stdout.rstrip("\n")
    return text.partition(" = ")[2]


def pattern(text: str, *, caseless: bool, literal: bool = False) -> re.Pattern[str]:
    """Compile a regular expression of the command line; raise Usage."""
    try:
        return re.compile(re.escape(text) if literal else text, re.IGNORECASE if caseless else 0)
    except re.error as e:
        raise Usage(f"wrong regular expression \"{text}\": {e}\n") from None


@dataclass(slots=True)
class Queued:
    """One message of a listing (-bp)."""

    age: str
    size: str
    message_id: str
    sender: str
    """With its angle brackets."""
    frozen: bool
    head: str
    """The first line."""
    recipients: list[str] = field(default_factory=list)
    """Those that the listing shows as undelivered."""
    shown: list[str] = field(default_factory=list)
    """All, those delivered with their mark ("D x@y")."""


_HEAD: Final = re.compile(
    r"\s*(\d+[smhdw])\s+([\d.]+[KM]?)\s+([0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}) (?:\([^)]*\) )?(<.*?>)"
    r"(\s+\*\*\* frozen \*\*\*)?\s*\Z")
_RECIPIENT: Final = re.compile(r"\s{10}(\S.*)\Z")
_DELIVERED: Final = re.compile(r"\s+(\+?D) (\S.*)\Z")


def read_listing(lines: Iterable[str], *, strict: bool = False) -> Iterator[Queued]:
    """Yield the messages of a listing; ValueError with the line for one that is not understood, if ``strict``."""
    message: Queued | None = None
    for line in (text.rstrip("\n") for text in lines):
        head = _HEAD.match(line)
        if head is not None:
            if message is not None:
                yield message
            message = Queued(head[1], head[2], head[3], head[4], head[5] is not None, line)
            continue
        delivered = _DELIVERED.match(line)
        recipient = None if delivered else _RECIPIENT.match(line)
        if message is not None and (delivered or recipient):
            message.shown.append(line.strip())
            if recipient is not None:
                message.recipients.append(recipient[1])
        elif strict and line.strip() and "***" not in line and not re.match(r"\s+[0-9A-Za-z]{6}-\S+\Z", line):
            raise ValueError(line)
    if message is not None:
        yield message


_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def age_in_seconds(text: str) -> int:
    """Return an age of a listing ("5m", "3h", "2d") in seconds."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def size_in_octets(text: str) -> int:
    """Return a size of a listing ("298", "1.5K", "12M") in octets."""
    factor = {"K": 1024, "M": 1024 * 1024}.get(text[-1], 1)
    return int(float(text.rstrip("KM")) * factor)


def complain(text: str) -> None:
    """Write to standard error."""
    sys.stderr.write(text)
