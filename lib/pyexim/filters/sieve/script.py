"""A Sieve script, read and obeyed from the first command to the last.

An error anywhere in it means that the message is kept, and nothing else: what was set up before is dropped.
Spec: RFC 5228; the filter document, chapter "Sieve filter files".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import lower
from pyexim.expand import headers
from pyexim.filters.base import FilterRun
from pyexim.filters.outcome import Action, Outcome
from pyexim.filters.sieve.lexer import Lexer, SieveError
from pyexim.filters.sieve.notify import read_notify
from pyexim.filters.sieve.table import EXTENSIONS
from pyexim.filters.sieve.tests import read_test
from pyexim.filters.sieve.vacation import read_vacation
from pyexim.model.message import Message

MAX_DEPTH: Final = 50
"""Nested blocks."""
_BUILT_IN: Final = ("comparator-i;octet", "comparator-i;ascii-casemap", "comparator-en;ascii-casemap")
"""What may be asked for, too, and is there anyway."""
_COMMANDS: Final = ("if", "stop", "keep", "discard", "redirect", "fileinto", "notify", "vacation")


class _Stop(Exception):
    """The command stop."""


def run_sieve(text: str, run: FilterRun) -> Outcome:
    """Run a script; an error in it is in ``keep_error``."""
    script = Script(text, run)
    outcome = Outcome()
    try:
        script.whole()
    except SieveError as e:
        script.actions, script.keep = [], True
        outcome.keep_error = f"{e} in line {script.lexer.line}"
    outcome.significant = not script.keep
    if script.keep and run.say is None:
        script.file(run.rules.sieve.inbox)
        outcome.significant = True
    outcome.actions = script.actions
    return outcome


class Script:
    """One run of a script."""

    def __init__(self, text: str, run: FilterRun) -> None:
        self.lexer = Lexer(text)
        self.run = run
        self.required: set[str] = set()
        self.actions: list[Action] = []
        self.keep = True
        """Nothing has taken the place of keeping the message."""
        self.vacation_done = False
        self.message = run.scope.message if run.scope.message is not None else Message()

    def whole(self) -> None:
        """Read and obey everything; SieveError."""
        while self.lexer.word("require"):
            self._require()
        try:
            self._commands(0, obeyed=True)
        except _Stop:
            return
        self.lexer.skip()
        if not self.lexer.at_end():
            raise SieveError("syntax error")

    def _require(self) -> None:
        names = self.lexer.strings()
        if names is None:
            raise SieveError("capability string list expected")
        for name in names:
            if name not in EXTENSIONS and name not in _BUILT_IN:
                raise SieveError("unknown capability")
            self.required.add(name)
        self.lexer.encoded = "encoded-character" in self.required
        self.end()

    def require(self, name: str) -> None:
        """Refuse what belongs to an extension that the script has not asked for."""
        if name not in self.required:
            raise SieveError(f'missing previous require "{name}";')

    def require_enotify(self) -> None:
        """Refuse notifications where the script has not asked for them, or the router has no owner for them."""
        self.require("enotify")
        if self.run.rules.sieve.enotify_owner is None:
            raise SieveError("enotify disabled")

    def end(self) -> None:
        """Read the semicolon after a command."""
        if not self.lexer.take(";"):
            raise SieveError("missing semicolon")

    # -- what tests and actions ask

    def header(self, name: str) -> str:
        """Return the header lines of a name as one text, in UTF-8."""
        facts = self.run.scope.facts
        saved = facts.get("headers_charset")
        facts["headers_charset"] = "UTF-8"
        try:
            return headers.insert(self.run.scope, lower(name), "")
        finally:
            facts["headers_charset"] = saved

    def recipient(self) -> str:
        """Return the envelope recipient as it was: with prefix and suffix."""
        address = self.run.scope.address
        if address is None:
            return ""
        top = address.top()
        if top is not address:
            return str(top.address)
        return f"{address.prefix}{address.local_part}{address.suffix}@{address.domain}"

    # -- commands

    def _commands(self, depth: int, *, obeyed: bool) -> None:
        while name := self.lexer.word(*_COMMANDS):
            if name == "if":
                self._if(depth, obeyed)
            elif name == "stop":
                self.end()
                if obeyed:
                    raise _Stop
            else:
                _ACTIONS[name](self, obeyed)

    def _if(self, depth: int, obeyed: bool) -> None:
        if depth >= MAX_DEPTH:
            raise SieveError("blocks are nested too deeply")
        open_ = obeyed
        word = "if"
        while word:
            if word == "else":
                value = True
            else:
                tested = read_test(self)
                if tested is None:
                    raise SieveError("missing test")
                value = tested
            self._block(depth, obeyed=open_ and value)
            open_ = open_ and not value
            word = "" if word == "else" else self.lexer.word("elsif", "else")

    def _block(self, depth: int, *, obeyed: bool) -> None:
        if not self.lexer.take("{"):
            raise SieveError("missing block")
        self._commands(depth + 1, obeyed=obeyed)
        if not self.lexer.take("}"):
            raise SieveError("expecting command or closing brace")

    def file(self, folder: str) -> None:
        """Set up a delivery to a folder."""
        self._add(Action("directory" if folder.endswith("/") else "file", folder))

    def _add(self, action: Action) -> None:
        if all((a.kind, a.text) != (action.kind, action.text) for a in self.actions):
            self.actions.append(action)

    def _keep(self, obeyed: bool) -> None:
        self.end()
        if obeyed:
            self.file(self.run.rules.sieve.inbox)
            self.keep = False

    def _discard(self, obeyed: bool) -> None:
        self.end()
        if obeyed:
            self.keep = False

    def _copy(self) -> bool:
        if not self.lexer.tag("copy"):
            return False
        self.require("copy")
        return True

    def _redirect(self, obeyed: bool) -> None:
        copy = self._copy()
        address = self.lexer.string()
        if address is None:
            raise SieveError("missing redirect recipient string")
        if "@" not in address:
            raise SieveError("unqualified recipient address")
        self.end()
        if obeyed:
            self._add(Action("address", address))
            self.keep = self.keep and copy

    def _fileinto(self, obeyed: bool) -> None:
        self.require("fileinto")
        copy = self._copy()
        folder = self.lexer.string()
        if folder is None:
            raise SieveError("missing fileinto folder string")
        if not folder or ".." in folder or "\0" in folder:
            raise SieveError("invalid folder")
        self.end()
        if obeyed:
            self.file(folder)
            self.keep = self.keep and copy

    def _vacation(self, obeyed: bool) -> None:
        self.require("vacation")
        action = read_vacation(self, obeyed)
        if action is not None:
            self.actions.append(action)

    def _notify(self, obeyed: bool) -> None:
        self.require_enotify()
        action = read_notify(self)
        if obeyed:
            self._add(action)


_ACTIONS: Final = {"keep": Script._keep, "discard": Script._discard, "redirect": Script._redirect,
                   "fileinto": Script._fileinto, "vacation": Script._vacation, "notify": Script._notify}
