"""From the text of an Exim filter to commands; errors in Exim's words.

The whole text is parsed before anything is obeyed.  Which commands there are is in ``table.COMMANDS``; here
is how each kind of them is read.  Spec: the filter document, "Filter commands".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.filters import table
from pyexim.filters.condition_parser import parse_condition
from pyexim.filters.lexer import Lexer
from pyexim.filters.nodes import Command
from pyexim.filters.outcome import FilterError

MAX_DEPTH: Final = 100
"""Nested if commands."""
_CLOSERS: Final = ("elif", "else", "endif")


def parse(text: str, *, system: bool = False, disabled: frozenset[str] = frozenset()) -> list[Command]:
    """Return the commands of a filter; FilterError.

    ``disabled`` names commands that may not be used here: defer, fail, freeze.
    """
    return _Parser(text, system, disabled).whole()


class _Parser:
    def __init__(self, text: str, system: bool, disabled: frozenset[str]) -> None:
        self.lexer = Lexer(text)
        self.system = system
        self.disabled = disabled
        self.depth = 0
        self.readers: dict[str, Callable[[Command], None]] = {
            "add": self._add, "one": self._one, "deliver": self._deliver, "file": self._file, "mail": self._mail,
            "verdict": self._verdict, "headers": self._headers, "none": lambda command: None, "if": self._if}

    def whole(self) -> list[Command]:
        """Read everything."""
        commands, closer = self._block()
        if closer:
            raise FilterError(f'unexpected "{closer}" command {self.lexer.near()}')
        return commands

    def _block(self) -> tuple[list[Command], str]:
        """Read commands up to elif, else or endif; what ended them, "" for the end of the text."""
        commands: list[Command] = []
        while self.lexer.char:
            command = self._command()
            if command.name in _CLOSERS:
                return commands, command.name
            commands.append(command)
        return commands, ""

    def _command(self) -> Command:
        lexer = self.lexer
        seen, no_error, name = self._prefixes()
        row = table.COMMANDS.get(name)
        if row is None:
            raise FilterError(f'unknown filtering command "{name}" {lexer.near()}')
        if name in self.disabled:
            raise FilterError(f'filtering command "{name}" is disabled: {lexer.near()}')
        command = Command(name, lexer.line, seen=seen, no_error=no_error)
        if name in _CLOSERS:
            if self.depth and (seen is not None or no_error):
                raise FilterError(f'"seen", "unseen", or "noerror" near line {lexer.line} is not followed by a command')
        elif name != "if":
            self._refuse_prefixes(command, row.flagged)
        self.readers[row.reader](command)
        return command

    def _prefixes(self) -> tuple[bool | None, bool, str]:
        """Read what may stand before a command, and its name."""
        lexer = self.lexer
        seen: bool | None = None
        no_error = False
        while (name := lexer.word()) in ("seen", "unseen", "noerror"):
            what = '"noerror"' if name == "noerror" else '"seen" or "unseen"'
            if not lexer.char:
                raise FilterError(f"{what} near line {lexer.line} is not followed by a command")
            if name == "noerror":
                no_error = True
                continue
            if seen is not None:
                raise FilterError(f'"seen" or "unseen" repeated near line {lexer.line}')
            seen = name == "seen"
        return seen, no_error, name

    def _refuse_prefixes(self, command: Command, allowed: bool) -> None:
        if not allowed and (command.seen is not None or command.no_error):
            raise FilterError(f'"seen", "unseen", or "noerror" found before an "{command.name}" command '
                              f"near line {self.lexer.line}")

    # -- the kinds of commands

    def _argument(self, command: Command) -> str:
        text = self.lexer.item()
        if not text:
            raise FilterError(f'"{command.name}" requires an argument {self.lexer.near()}')
        return text

    def _one(self, command: Command) -> None:
        command.text = self._argument(command)

    def _add(self, command: Command) -> None:
        command.text = self._argument(command)
        if self.lexer.word() != "to":
            raise FilterError(f'"to" expected in "add" command {self.lexer.near()}')
        command.second = self.lexer.item()
        if not command.second:
            raise FilterError(f'value missing after "to" {self.lexer.near()}')

    def _deliver(self, command: Command) -> None:
        command.text = self._argument(command)
        if self.lexer.take("errors_to"):
            command.second = self.lexer.word()

    def _file(self, command: Command) -> None:
        """Read a file name, perhaps with a mode."""
        command.text = self._argument(command)
        if self.lexer.char.isascii() and self.lexer.char.isdigit():
            command.mode = octal(self.lexer.word())

    def _mail(self, command: Command) -> None:
        lexer = self.lexer
        while word := lexer.take(*table.MAIL_WORDS):
            if word == "return":
                if lexer.word() != "message":
                    raise FilterError(f'"return" not followed by "message"  {lexer.near()}')
                command.flags.add("return")
                continue
            if word == "expand":
                if lexer.word() != "file":
                    raise FilterError(f'"expand" not followed by "file"  {lexer.near()}')
                command.flags.add("expand")
                word = "file"
            command.parts[word] = lexer.item()

    def _verdict(self, command: Command) -> None:
        """Read the text of fail, freeze or defer: after the word text, or in quotes without it."""
        lexer = self.lexer
        if lexer.char == '"' or lexer.take("text"):
            command.text = lexer.item()

    def _headers(self, command: Command) -> None:
        lexer = self.lexer
        what = lexer.item()
        if not what:
            raise FilterError(f'"headers" requires an argument {lexer.near()}')
        if what != "charset" and not self.system:
            raise FilterError("header addition and removal is available only in system filters: " + lexer.near())
        if what not in table.HEADERS_WORDS:
            raise FilterError(f'"add", "remove", or "charset" expected after "headers" {lexer.near()}')
        command.text = what
        command.second = lexer.item()
        if not command.second:
            raise FilterError(f'value missing after "add", "remove", or "charset" {lexer.near()}')

    def _if(self, command: Command) -> None:
        lexer = self.lexer
        if self.depth >= MAX_DEPTH:
            raise FilterError(f"if commands are nested too deeply {lexer.near()}")
        self.depth += 1
        closer = "elif"
        while closer == "elif":
            if not lexer.char:
                raise FilterError('"then" missing at end of filter file')
            self._refuse_prefixes(command, False)
            condition = parse_condition(lexer)
            commands, closer = self._block()
            command.branches.append((condition, commands))
        if closer == "else":
            commands, closer = self._block()
            command.branches.append((None, commands))
            if closer and closer != "endif":
                raise FilterError(f'"endif" missing {lexer.near()}')
        if not closer:
            raise FilterError('"endif" missing at end of filter file')
        self.depth -= 1


def octal(text: str) -> int:
    """Return the octal number at the start of a text, 0 where there is none."""
    value = 0
    for c in text:
        if c not in "01234567":
            break
        value = value * 8 + int(c)
    return value & 0xFFFFFFFF
