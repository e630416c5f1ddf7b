"""The text of a Sieve script: white space, comments, words, strings, numbers.  Spec: RFC 5228 section 8.1."""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.octets import lower

_blank = re.compile(r"[ \t\n\r]+").match
_word = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII).match
_digits = re.compile(r"[0-9]+", re.ASCII).match
_encoded = re.compile(r"\$\{(hex|unicode):([0-9A-Fa-f \t\r\n]*)\}", re.ASCII | re.IGNORECASE)
_FACTORS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
MAX_UNICODE: Final = 0x10FFFF


class SieveError(Exception):
    """A script is wrong; the text says how, the lexer's line says where."""


class Lexer:
    """A place in a script."""

    def __init__(self, text: str) -> None:
        self.text = text.partition("\0")[0]
        self.at = 0
        self.line = 1
        self.encoded = False
        """The extension encoded-character is on."""

    def _advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def skip(self) -> None:
        """Go past white space and comments; SieveError."""
        text = self.text
        while True:
            m = _blank(text, self.at)
            if m is not None:
                self._advance(m.end())
            elif text.startswith("#", self.at):
                end = text.find("\n", self.at)
                self._advance(len(text) if end < 0 else end + 1)
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    raise SieveError("missing end of comment")
                self._advance(end + 2)
            else:
                return

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self.at >= len(self.text)

    def take(self, mark: str) -> bool:
        """Take a punctuation mark, if it comes next."""
        self.skip()
        if not self.text.startswith(mark, self.at):
            return False
        self._advance(self.at + len(mark))
        return True

    def word(self, *wanted: str) -> str:
        """Take the next word if it is one of those (in any case of letters); "" where it is not."""
        self.skip()
        m = _word(self.text, self.at)
        if m is None or (found := lower(m[0])) not in wanted:
            return ""
        self._advance(m.end())
        return found

    def tag(self, *wanted: str) -> str:
        """Take the next tag (":name") if it is one of those, without its colon."""
        self.skip()
        if not self.text.startswith(":", self.at):
            return ""
        m = _word(self.text, self.at + 1)
        if m is None or (found := lower(m[0])) not in wanted:
            return ""
        self._advance(m.end())
        return found

    def number(self) -> int | None:
        """Take a number."""
        self.skip()
        m = _digits(self.text, self.at)
        if m is None:
            return None
        end = m.end()
        value = int(m[0][:18])
        factor = _FACTORS.get(self.text[end:end + 1])
        self._advance(end + (factor is not None))
        return value * (factor or 1)

    def string(self) -> str | None:
        """Take a string; None where there is none.  SieveError for one without end."""
        self.skip()
        text = self.text
        if text.startswith('"', self.at):
            return self._characters(self._quoted())
        m = re.compile(r"text:[ \t]*(#[^\n]*)?\r?\n", re.IGNORECASE).match(text, self.at)
        if m is not None:
            return self._characters(self._lines(m.end()))
        return None

    def _quoted(self) -> str:
        text = self.text
        out: list[str] = []
        at = self.at + 1
        while at < len(text) and text[at] != '"':
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
                out.append("\0" if text[at] == "0" else text[at])
            else:
                out.append(text[at])
            at += 1
        if at >= len(text):
            self._advance(len(text))
            raise SieveError("missing end of string")
        self._advance(at + 1)
        return "".join(out)

    def _lines(self, start: int) -> str:
        """Read lines up to one with a dot alone."""
        out: list[str] = []
        at = start
        while True:
            end = self.text.find("\n", at)
            if end < 0:
                self._advance(len(self.text))
                raise SieveError("missing end of string")
            line = self.text[at:end + 1]
            at = end + 1
            if line.rstrip("\r\n") == ".":
                self._advance(at)
                return "".join(out)
            out.append(line[1:] if line.startswith("..") else line)

    def _characters(self, text: str) -> str:
        """Replace ${hex:...} and ${unicode:...}, where that extension is on."""
        return _encoded.sub(_character, text) if self.encoded and "${" in text else text

    def strings(self) -> list[str] | None:
        """Take a string list, or a string as a list of one; None where there is none."""
        one = self.string()
        if one is not None:
            return [one]
        if not self.take("["):
            return None
        found: list[str] = []
        if self.take("]"):
            return found
        while True:
            item = self.string()
            if item is None:
                raise SieveError("missing string list")
            found.append(item)
            if self.take("]"):
                return found
            if not self.take(","):
                raise SieveError("missing string list")


def _character(match: re.Match[str]) -> str:
    """Return what an encoded character stands for; as it is where it is malformed."""
    codes = match[2].split()
    try:
        if lower(match[1]) == "hex":
            return "".join([chr(int(c, 16)) for c in codes]) if codes and all(len(c) <= 2 for c in codes) else match[0]
        values = [int(c, 16) for c in codes]
    except ValueError:
        return match[0]
    if any(v > MAX_UNICODE or 0xD800 <= v <= 0xDFFF for v in values):
        raise SieveError("unicode character out of range")
    return "".join([chr(v) for v in values]).encode().decode("latin-1") if values else match[0]
