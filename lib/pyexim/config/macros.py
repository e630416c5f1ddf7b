"""Macros: those of the configuration, those of -D, and the builtin ones.

Spec: chapter "The Exim runtime configuration file", sections 4 to 9.  Substitution goes by substring,
macro after macro in the order of definition, the builtin ones first; a definition is scanned only
after its equals sign.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.config import builtin_macros

UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

NAME_MAX: Final = 63
"""The longest name of a macro, an ACL, a driver instance."""


class Macro:
    """One macro; ``place`` is where it got its value, None for those of -D."""

    __slots__ = ("command_line", "name", "place", "value")

    def __init__(self, name: str, value: str, place: Place | None, command_line: bool = False) -> None:
        self.name = name
        self.value = value
        self.place = place
        self.command_line = command_line


def word_end(text: str) -> int:
    """Return the length of the run of letters, digits and underscores at the start."""
    for i, c in enumerate(text):
        if c not in WORD:
            return i
    return len(text)


def name_end(text: str) -> int:
    """Return the length of the name at the start: letters, digits and underscores after a letter; 0 for none."""
    return word_end(text) if text[:1].isalpha() and text[0].isascii() else 0


def is_definition(text: str) -> bool:
    """Tell whether a stripped line has the form of a macro definition."""
    return text[0] in UPPER and text[word_end(text):].lstrip(SPACE)[:1] == "="


class MacroTable:
    """The macros known at one point of reading, in order of definition."""

    def __init__(self, command_line: dict[str, str] | None = None) -> None:
        self.by_name: dict[str, Macro] = {}
        self._scan: list[tuple[str, Macro]] = []
        for name, value in (command_line or {}).items():
            self._add(Macro(name, value, None, command_line=True))

    def _add(self, macro: Macro) -> None:
        self.by_name[macro.name] = macro
        self._scan.append((macro.name, macro))

    def values(self) -> dict[str, str]:
        """Return the macros with their values, in order of definition, without the builtin ones."""
        return {name: macro.value for name, macro in self.by_name.items()}

    def define(self, text: str, place: Place) -> None:
        """Obey a definition, ``NAME = text`` or ``NAME == text``; raise ConfigError."""
        end = word_end(text)
        name = text[:end]
        rest = text[end:].lstrip(SPACE)
        if rest[:1] != "=":
            raise ConfigError("malformed macro definition", place)
        if end > NAME_MAX:
            raise ConfigError(f"macro name too long (maximum is {NAME_MAX} characters)", place)
        redefine = rest[1:2] == "="
        value = rest[2 if redefine else 1:].strip(SPACE)
        old = self.by_name.get(name)
        if old is not None:
            if old.command_line:
                return
            if not redefine:
                raise ConfigError(f'macro "{name}" is already defined (use "==" if you want to redefine it)', place)
            old.value = value
            old.place = place
            return
        if redefine:
            raise ConfigError(f'can\'t redefine an undefined macro "{name}"', place)
        inner = builtin_macros.contained(name)
        for other, _ in self._scan:
            if inner is None and other in name:
                inner = other
        if inner is not None:
            raise ConfigError(f'"{name}" cannot be defined as a macro because previously defined macro '
                              f'"{inner}" is a substring', place)
        self._add(Macro(name, value, place))

    def replace(self, text: str, used: list[Macro], skipping: bool = False) -> str | None:
        """Return a stripped physical line with its macros replaced, None if it contains none.

        The macros that took part are added to ``used``, the builtin ones not.
        """
        head = ""
        if text[0] in UPPER:
            end = word_end(text)
            after = text[end:].lstrip(SPACE)
            if after[:1] == "=":
                head = text[:len(text) - len(after) + 1]
                text = after[1:]
        changed = False
        if "_" in text:
            new = builtin_macros.replace(text)
            if new is not None:
                text = new
                changed = True
        for name, macro in self._scan:
            if name in text:
                text = text.replace(name, macro.value)
                changed = True
                if not skipping:
                    used.append(macro)
        return head + text if changed else None
