"""From files to logical lines: inclusion, macros, conditions, comments, continuations.

Spec: chapter "The Exim runtime configuration file", sections 2 to 10.  What the lines mean is the
business of ``config.reader``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.config.macros import Macro, MacroTable

WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CONDITIONS: Final = {".ifdef": (True, False), ".ifndef": (False, False),
                      ".elifdef": (True, True), ".elifndef": (False, True)}


class _Level:
    """One open .ifdef: lines are wanted, one branch was, and whether an outer level skips anyway."""

    __slots__ = ("outer", "place", "taken", "wanted")

    def __init__(self, wanted: bool, outer: bool, place: Place) -> None:
        self.wanted = wanted
        self.taken = wanted
        self.outer = outer
        self.place = place


class LineReader:
    """The logical lines of a configuration file, one by one.

    After ``next_line`` has returned a line, ``start`` is where it began, ``place`` where reading has
    got to (what Exim names in errors) and ``used`` the macros of the configuration that it contained.
    """

    def __init__(self, path: str, data: bytes, macros: MacroTable) -> None:
        self.macros = macros
        self.files = [path]
        self.file = path
        self.line = 0
        self.start_file = path
        self.start_line = 0
        self.used: list[Macro] = []
        self._stack: list[tuple[str, int, Iterator[str]]] = []
        self._lines = _split(data)
        self._levels: list[_Level] = []
        self._skipping = False
        self.ended = False

    @property
    def place(self) -> Place:
        """Where reading has got to."""
        return Place(self.file, self.line)

    @property
    def start(self) -> Place:
        """Where the current logical line began."""
        return Place(self.start_file, self.start_line)

    def next_line(self) -> str | None:
        """Return the next logical line, stripped; None at the end.  Raises ConfigError."""
        if self.used:
            self.used = []
        joined = ""
        continuing = False
        while True:
            raw = next(self._lines, None)
            if raw is None:
                if self._pop():
                    continue
                self._at_end()
                return joined.rstrip(SPACE) or None
            self.line += 1
            text = raw.strip(SPACE)
            if not text:
                # An empty line ends a continued one.
                if continuing and (joined := joined.rstrip(SPACE)):
                    return joined
                continuing = False
                continue
            if text[0] == "#":
                continue
            replaced = False
            if not text.islower():
                new = self.macros.replace(text, self.used, self._skipping)
                if new is not None:
                    replaced = True
                    text = new.strip(SPACE)
                    if not text:
                        if continuing and (joined := joined.rstrip(SPACE)):
                            return joined
                        continuing = False
                        continue
                    if text[0] == "#":
                        continue
            if text[0] == "." and self._directive(text, replaced):
                continue
            if self._skipping:
                continue
            if not continuing:
                self.start_file = self.file
                self.start_line = self.line
            if text[-1] == "\\":
                joined += text[:-1]
                continuing = True
                continue
            return joined + text if continuing else text

    # -- directives

    def _directive(self, text: str, replaced: bool) -> bool:
        """Obey .include, .ifdef and so on; False where the line is none of these."""
        word = text.partition(" ")[0].partition("\t")[0]
        condition = _CONDITIONS.get(word)
        if condition is not None:
            self._condition(condition, replaced)
            return True
        if word == ".else":
            if not self._levels:
                raise ConfigError(".else without matching .ifdef", self.place)
            level = self._levels[-1]
            level.wanted = not level.taken
            level.taken = True
            self._set_skipping()
            return True
        if word == ".endif":
            if not self._levels:
                raise ConfigError(".endif without matching .ifdef", self.place)
            self._levels.pop()
            self._set_skipping()
            return True
        if word in (".include", ".include_if_exists"):
            if not self._skipping:
                self._include(text[len(word):].strip(SPACE), word == ".include_if_exists")
            return True
        return False

    def _condition(self, condition: tuple[bool, bool], replaced: bool) -> None:
        sense, is_else = condition
        if is_else:
            if not self._levels:
                word = ".elifdef" if sense else ".elifndef"
                raise ConfigError(f"{word} without matching .ifdef", self.place)
            level = self._levels[-1]
            level.wanted = not level.taken and replaced is sense
            level.taken = level.taken or level.wanted
        else:
            self._levels.append(_Level(replaced is sense, self._skipping, self.place))
        self._set_skipping()

    def _set_skipping(self) -> None:
        self._skipping = bool(self._levels) and (self._levels[-1].outer or not self._levels[-1].wanted)

    def _include(self, name: str, if_exists: bool) -> None:
        if len(name) > 1 and name[0] == '"' and name[-1] == '"':
            name = name[1:-1]
        if not name and not if_exists:
            return
        if name[:1] != "/":
            if if_exists:
                raise ConfigError(f'.include specifies a non-absolute path "{name}"', self.place)
            name = os.path.join(os.path.dirname(self.file), name)
        if "\0" in name:
            raise ConfigError("NUL in the name of an included file", self.place)
        if if_exists and not os.path.exists(name):
            return
        if len(self._stack) > 100:
            raise ConfigError(f"included files are nested too deeply at {name}", self.place)
        try:
            with open(name, "rb") as f:
                data = f.read()
        except OSError as e:
            reason = "" if e.strerror == "No such file or directory" else f": {e.strerror}"
            raise ConfigError(f"failed to open included configuration file {name}{reason}", self.place) from None
        self._stack.append((self.file, self.line, self._lines))
        self.file, self.line, self._lines = name, 0, _split(data)
        if name not in self.files:
            self.files.append(name)

    def _pop(self) -> bool:
        if not self._stack:
            return False
        self.file, self.line, self._lines = self._stack.pop()
        return True

    def _at_end(self) -> None:
        if self._levels and not self.ended:
            self.ended = True
            raise ConfigError("Unexpected end of configuration file: .endif missing", self.place,
                              note=f"(the condition that has no end begins in {self._levels[-1].place})")
        self.ended = True


def _split(data: bytes) -> Iterator[str]:
    # Not splitlines(): of the characters that it knows, only the line feed ends a line here.
    lines = data.decode("latin-1").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return iter(lines)
