"""The text of an Exim filter, taken in words and data items.

White space separates; ``#`` after white space begins a comment; in conditions round brackets separate, too.
The line number is that of the place up to which the text was read: Exim names it in its errors, and it
counts a line end that is read a second time once more (``take``); so do we.
Spec: the filter document, "Format of Exim filter files" and "Data values in filter commands".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import SPACE
from pyexim.filters.outcome import FilterError

MAX_ITEM: Final = 1024
"""Octets of a word or data item before expansion, its end included."""
_OCTAL: Final = "01234567"
_HEX: Final = "0123456789abcdefABCDEF"
_NAMED: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Lexer:
    """A place in the text of a filter."""

    def __init__(self, text: str) -> None:
        self.text = text.partition("\0")[0]
        self.at = 0
        self.line = 1
        self.skip()

    @property
    def char(self) -> str:
        """The character at the place; "" at the end."""
        return self.text[self.at:self.at + 1]

    def near(self) -> str:
        """Return how errors name the place."""
        return f"near line {self.line} of filter file"

    def skip(self) -> None:
        """Go to the next character that means something."""
        text, at = self.text, self.at
        total = len(text)
        while at < total:
            c = text[at]
            if c == "\n":
                self.line += 1
            elif c == "#":
                at = text.find("\n", at)
                if at < 0:
                    at = total
                continue
            elif c not in SPACE:
                break
            at += 1
        self.at = at

    def word(self, *, brackets: bool = False) -> str:
        """Take a word that is written without quotes; "" at the end, or at a bracket where these separate."""
        text, start = self.text, self.at
        end = start
        while end < len(text) and text[end] not in SPACE and not (brackets and text[end] in "()"):
            end += 1
        if end - start >= MAX_ITEM:
            raise self._too_long("word")
        self.at = end
        self.skip()
        return text[start:end]

    def take(self, *wanted: str) -> str:
        """Take the next word if it is one of those; "" where it is not.

        The line ends after a word that is not taken are counted, and will be once more.
        """
        start = self.at
        found = self.word()
        if found in wanted:
            return found
        self.at = start
        return ""

    def item(self, *, brackets: bool = False) -> str:
        """Take a data item, quoted or not; FilterError where it is too long or not closed."""
        if self.char == '"':
            return self._quoted()
        if brackets:
            self.refuse_bracket()
        return self.word(brackets=brackets)

    def refuse_bracket(self) -> None:
        """Raise FilterError at a bracket."""
        if self.char in ("(", ")"):
            raise FilterError(f'unexpected "{self.char}" in line {self.line} of filter file')

    def _too_long(self, what: str = "string") -> FilterError:
        return FilterError(f"{what} is too long in line {self.line} of filter file (max = {MAX_ITEM} chars)")

    def _quoted(self) -> str:
        text = self.text
        total = len(text)
        at = self.at + 1
        out: list[str] = []
        while at < total and text[at] not in '"\n':
            if len(out) >= MAX_ITEM:
                raise self._too_long()
            if text[at] != "\\":
                out.append(text[at])
                at += 1
                continue
            at = self._escape(at + 1, out)
        if at >= total or text[at] != '"':
            raise FilterError(f"quote missing at end of string in line {self.line}")
        if len(out) >= MAX_ITEM:
            raise self._too_long()
        self.at = at + 1
        self.skip()
        return "".join(out).partition("\0")[0]

    def _escape(self, at: int, out: list[str]) -> int:
        """Read what follows a backslash; where the rest begins."""
        text = self.text
        c = text[at:at + 1]
        if c == "\n":
            self.line += 1
            at += 1
            while text[at:at + 1] and text[at] in " \t":
                at += 1
            return at
        if c and c in _OCTAL:
            end = at
            while end < at + 3 and text[end:end + 1] and text[end] in _OCTAL:
                end += 1
            out.append(chr(int(text[at:end], 8) & 0xFF))
            return end
        if c == "x" and text[at + 1:at + 2] and text[at + 1] in _HEX:
            end = at + 1
            while end < at + 3 and text[end:end + 1] and text[end] in _HEX:
                end += 1
            out.append(chr(int(text[at + 1:end], 16)))
            return end
        if c:
            out.append(_NAMED.get(c, c))
        return at + 1
