"""exigrep: search main logs for a pattern and show all lines of the messages that it is met in.

Spec: chapter "Exim utilities", extracting specific information from the log.
"""

from __future__ import annotations

import bz2
import calendar
import gzip
import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from pyexim.base.record import dataclass, field
from pyexim.tools.common import Usage, complain, pattern

USAGE: Final = "Usage:\n    exigrep [options] pattern [log] ...\n\n"
HELP: Final = USAGE + """\
Options:
    -l, --literal           all characters of the pattern stand for themselves
    -t, --queue-time <n>    of complete messages, only those that spent more than <n> seconds on the queue
    -I, --sensitive         upper and lower case letters differ
    -v, --invert            messages, and lines without a message, that the pattern is not met in
    -M, --related           also the messages that were made because of one that is shown
    --no-pager              do not start a pager when the output is a terminal
    -h, --help              this text

The pattern is a regular expression.  Without a log the standard input is read; logs may be compressed.
"""
_LONG: Final = {"--literal": "l", "--queue-time": "t", "--sensitive": "I", "--invert": "v", "--related": "M",
                "--help": "h", "--man": "h", "--no-pager": "p", "-m": "h"}
_ID: Final = r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{11}-[0-9A-Za-z]{4}|[0-9A-Za-z]{6}-[0-9A-Za-z]{2})"
_LINE: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?(?: ([+-]\d{{4}}))?(?: \[\d+\])?(?: ({_ID})\b)?")
_SYSLOG: Final = re.compile(r"\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \S+?(?:\[\d+\])?: (?=\d{4}-\d\d-\d\d )")
_RELATED: Final = re.compile(rf" <= .* R=({_ID})")
_OPENERS: Final[dict[str, Callable[..., Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open,
                                                  ".lzma": lzma.open}


@dataclass(slots=True)
class Story:
    """What the log has said of a message so far."""

    began: int
    lines: list[str] = field(default_factory=list)
    met: bool = False


@dataclass(slots=True)
class Search:
    """The search and what it has found."""

    expression: re.Pattern[str]
    write: Callable[[str], Any]
    invert: bool = False
    related: bool = False
    queue_time: int = -1
    stories: dict[str, Story] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    """Ids that the pattern was met in."""

    def line(self, text: str) -> None:
        """Take one line of a log."""
        text = _SYSLOG.sub("", text)
        m = _LINE.match(text)
        if m is None:
            return
        met = self.expression.search(text) is not None
        message_id = m[3]
        if message_id is None:
            if met != self.invert:
                self.write(text + "\n")
            return
        story = self.stories.get(message_id)
        if story is None:
            story = self.stories[message_id] = Story(_seconds(m))
        story.lines.append(text)
        story.met |= met
        if self.related:
            cause = _RELATED.search(text)
            story.met |= cause is not None and (cause[1] in self.shown or (
                cause[1] in self.stories and self.stories[cause[1]].met))
        if story.met:
            self.shown.add(message_id)
        if text[m.end():].startswith(" Completed"):
            del self.stories[message_id]
            if story.met != self.invert and _seconds(m) - story.began > self.queue_time:
                self.write("".join(story.lines) + "\n")

    def rest(self) -> None:
        """Show the messages that have not completed."""
        for message_id, story in sorted(self.stories.items()):
            if story.met != self.invert:
                self.write(f"+++ {message_id} has not completed +++\n" + "".join(story.lines) + "\n")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    try:
        chosen, rest = _options(arguments)
        if "h" in chosen:
            sys.stdout.write(HELP)
            return 0
        if not rest:
            raise Usage
        expression = pattern(rest[0], caseless="I" not in chosen, literal="l" in chosen)
    except Usage as e:
        complain(str(e) + USAGE)
        return 2
    with _output(pager="p" not in chosen) as out:
        search = Search(expression, out.write, "v" in chosen, "M" in chosen, int(chosen.get("t", "-1")))
        for name in rest[1:] or [""]:
            try:
                for text in _lines(name):
                    search.line(text)
            except OSError as e:
                complain(f"Unable to open {name}: {e.strerror}\n")
                return 2
        search.rest()
    return 0


def _options(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    chosen: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        letter = _LONG.get(name, name[1:2] if re.fullmatch(r"-(?:[lIvMh]|t\d*)", name) else "")
        if not letter:
            raise Usage(f"Unknown option: {word.lstrip('-')}\n")
        if letter == "t":
            value = value if equals else word[2:] if not word.startswith("--") else ""
            value = value or (rest.pop(0) if rest else "")
            if not re.fullmatch(r"\d+", value):
                raise Usage(f'Value "{value}" invalid for option t (number expected)\n')
        chosen[letter] = value
    return chosen, rest


def _seconds(m: re.Match[str]) -> int:
    moment = time.strptime(m[1], "%Y-%m-%d %H:%M:%S")
    if m[2] is None:
        return int(time.mktime(moment))
    offset = int(m[2][1:3]) * 3600 + int(m[2][3:]) * 60
    return calendar.timegm(moment) - (offset if m[2][0] == "+" else -offset)


def _lines(name: str) -> Iterator[str]:
    if name in ("", "-"):
        yield from (line.decode("latin-1") for line in sys.stdin.buffer)
        return
    opener = _OPENERS.get(os.path.splitext(name)[1], open)
    with opener(name, "rb") as f:
        yield from (line.decode("latin-1") for line in f)


class _output:
    """Standard output, through a pager where it is a terminal."""

    def __init__(self, *, pager: bool) -> None:
        self.pager: subprocess.Popen[str] | None = None
        program = shutil.which(os.environ.get("PAGER", "less"))
        if pager and sys.stdout.isatty() and program:
            self.pager = subprocess.Popen([program], stdin=subprocess.PIPE, encoding="latin-1")

    def __enter__(self) -> IO[str]:
        if self.pager is not None and self.pager.stdin is not None:
            return self.pager.stdin
        return sys.stdout

    def __exit__(self, *_: object) -> None:
        if self.pager is not None and self.pager.stdin is not None:
            self.pager.stdin.close()
            self.pager.wait()
