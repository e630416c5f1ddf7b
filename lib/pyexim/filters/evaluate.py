"""Obeying the commands of an Exim filter: what they set up goes into an Outcome.

One small function for each command, in ``_OBEY``.  Under -bf every command tells what it would do.
Spec: the filter document, sections 8 to 21.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import SPACE, lower, printable
from pyexim.base.taint import is_tainted, like
from pyexim.expand.engine import expand
from pyexim.filters.base import FilterRun, WriteLog
from pyexim.filters.mail import obey_mail
from pyexim.filters.nodes import Command
from pyexim.filters.outcome import Action, FilterError, Outcome
from pyexim.filters.tests import holds, int32, integer
from pyexim.mailfmt.address import parse_address
from pyexim.mailfmt.header import kind_of
from pyexim.match.lists import split_list
from pyexim.model.message import Header

_integer: Final = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII).fullmatch
_variable: Final = re.compile(r"n[0-9]", re.ASCII).fullmatch


class _Finished(Exception):
    """Nothing after this is obeyed."""


def run_commands(commands: list[Command], run: FilterRun) -> Outcome:
    """Obey the commands of a filter from the first to the last; what came of it."""
    evaluator = Evaluator(run)
    scope = run.scope
    try:
        evaluator.block(commands)
    except _Finished:
        pass
    except FilterError as e:
        return Outcome(error=e.text)
    finally:
        scope.vars.pop("thisaddress", None)
    outcome = evaluator.outcome
    outcome.numbers = {name: str(value) for name, value in scope.vars.items() if _variable(name)}
    return outcome


class Evaluator:
    """One run."""

    def __init__(self, run: FilterRun) -> None:
        self.run = run
        self.scope = run.scope
        self.outcome = Outcome()
        self.log_file: tuple[str, int] | None = None
        """Path and mode; it is opened when there is something to write."""
        self.write_log: WriteLog | None = None
        self.headers: list[Header] = run.scope.message.headers if run.scope.message is not None else []

    def block(self, commands: list[Command]) -> None:
        """Obey commands one after the other."""
        for command in commands:
            if command.name == "if":
                self._if(command)
                continue
            if command.seen and command.name not in ("deliver", "save", "pipe"):
                self.outcome.significant = True
            _OBEY[command.name](self, command)

    def _if(self, command: Command) -> None:
        this_address = self.scope.vars.get("thisaddress")
        for condition, commands in command.branches:
            if condition is None or holds(condition, self.run, self.outcome.significant):
                self.block(commands)
                break
        if this_address is None:
            self.scope.vars.pop("thisaddress", None)
        else:
            self.scope.vars["thisaddress"] = this_address

    # -- what commands need

    def say(self, text: str) -> bool:
        """Tell what would be done, if this is a test; True then."""
        if self.run.say is None:
            return False
        self.run.say(text)
        return True

    def expand(self, source: str, command: Command) -> str:
        """Return the expansion of a data item; FilterError."""
        try:
            return expand(source, self.scope)
        except ExpansionError as e:
            raise FilterError(f'failed to expand "{source}" in {command.name} command: {e.text}') from None

    def numbers(self) -> list[str]:
        """Return the numeric variables from $0 on."""
        found: list[str] = []
        while str(len(found)) in self.scope.vars:
            found.append(self.scope.vars[str(len(found))])
        return found

    def deliver(self, command: Command, action: Action, tell: Callable[[], str]) -> None:
        """Set up a delivery; significant unless the command says unseen."""
        if command.seen is not False:
            self.outcome.significant = True
        if not self.say(("Unseen " if command.seen is False else "") + tell()):
            action.no_error = command.no_error
            self.outcome.actions.append(action)


def _add(self: Evaluator, command: Command) -> None:
    text, name = self.expand(command.text, command), self.expand(command.second or "", command)
    found = _integer(text)
    if found is None:
        raise FilterError(f'malformed number "{text}" in "add" command')
    if not _variable(name):
        raise FilterError(f'unknown variable "{name}" in "add" command')
    value = int32(integer(text[0], found[1]))
    self.scope.vars[name] = str(int32(int(self.scope.vars.get(name, "0")) + value))
    self.say(f"Add {value} to {name}")


def _deliver(self: Evaluator, command: Command) -> None:
    address = _address(self, command, self.expand(command.text, command))
    errors_to: str | None = None
    if command.second is not None:
        errors_to = _address(self, command, self.expand(command.second, command))
        own = self.scope.address
        if not self.run.rules.system and (
                own is None or lower(errors_to) != lower(f"{own.local_part}@{own.domain}")):
            raise FilterError("errors_to must point to the caller's address")
    note = noted(command) + (f" errors_to {errors_to}" if errors_to is not None else "")
    first = "Deliver" if command.seen is not False else "deliver"
    self.deliver(command, Action("address", address, errors_to), lambda: f"{first} message to: {address}{note}")


def noted(command: Command) -> str:
    """Return how -bf shows noerror."""
    return " (noerror)" if command.no_error else ""


def _address(self: Evaluator, command: Command, text: str) -> str:
    main = self.scope.config.main
    parsed = parse_address(text, allow_domain_literals=main.allow_domain_literals,
                           strip_trailing_dot=main.strip_trailing_dot)
    if parsed.error is not None or not parsed.address:
        raise FilterError(f'malformed address "{text}" in filter file: {parsed.error or "empty address"}')
    address = parsed.address
    if not parsed.domain_at:
        domain = main.qualify_recipient or main.qualify_domain or self.scope.services.primary_hostname
        address = f"{address}@{domain}"
    return like(address, text)


def _save(self: Evaluator, command: Command) -> None:
    path = self.expand(command.text, command)
    home = self.scope.vars.get("home") or (self.scope.address.home_dir if self.scope.address is not None else None)
    if self.run.rules.prepend_home and not path.startswith("/") and home:
        path = like(f"{home}/{path}", path, home)
    mode = f" {command.mode:04o}" if command.mode >= 0 else ""
    first = "Save" if command.seen is not False else "save"
    kind = "directory" if path.endswith("/") else "file"
    self.deliver(command, Action(kind, path, mode=command.mode),
                 lambda: f"{first} message to: {path}{mode}{noted(command)}")


def _pipe(self: Evaluator, command: Command) -> None:
    first = "Pipe" if command.seen is not False else "pipe"
    action = Action("pipe", command.text, numbers=self.numbers(),
                    this_address=self.scope.vars.get("thisaddress", ""))
    self.deliver(command, action, lambda: f"{first} message to: {command.text}{noted(command)}")


def _finish(self: Evaluator, command: Command) -> None:
    self.say("Seen finish" if command.seen else "Finish")
    raise _Finished


def _verdict(self: Evaluator, command: Command) -> None:
    text = self.expand(command.text, command)
    self.outcome.verdict, self.outcome.text = command.name, text
    self.say(f'{command.name.capitalize()} text "{printable(text, tabs=True)}"')
    raise _Finished


def _testprint(self: Evaluator, command: Command) -> None:
    text = self.expand(command.text, command)
    if self.run.say is not None:
        self.say(f"Testprint: {printable(text, tabs=True)}")
        return
    debug = self.scope.services.debug
    if debug is not None:
        debug("filter", f"Filter: testprint: {printable(text, tabs=True)}")


def _logfile(self: Evaluator, command: Command) -> None:
    path = self.expand(command.text, command)
    if self.say(f"{'Seen logfile' if command.seen else 'Logfile'} {path}"):
        return
    self.log_file, self.write_log = (path, command.mode if command.mode >= 0 else 0o600), None


def _logwrite(self: Evaluator, command: Command) -> None:
    text = self.expand(command.text, command)
    if not text.endswith("\n"):
        text = like(text + "\n", text)
    if self.say(f'{"Seen logwrite" if command.seen else "Logwrite"} "{printable(text, tabs=True)}"'):
        return
    if "logwrite" in self.run.rules.forbidden or self.run.open_log is None:
        raise FilterError("logwrite command forbidden")
    if self.log_file is None:
        raise FilterError('attempt to obey "logwrite" command without a previous "logfile"')
    path = self.log_file[0]
    try:
        if self.write_log is None:
            if is_tainted(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self.write_log = self.run.open_log(*self.log_file)
        self.write_log(text)
    except OSError as e:
        who = f" (euid={os.geteuid()} egid={os.getegid()})" if e.errno == errno.EACCES else ""
        raise FilterError(f'failed to open filter log file "{path}": {e.strerror}{who}') from None


def _headers(self: Evaluator, command: Command) -> None:
    source = command.second or ""
    text = self.expand(source, command)
    if command.text == "charset":
        self.scope.facts["headers_charset"] = text
    else:
        self.outcome.headers.append([command.text, text])
        change_headers(self.headers, command.text, text)
    self.say(f'Headers {command.text} "{printable(text, tabs=True)}"')


def change_headers(headers: list[Header], what: str, text: str) -> None:
    """Do what "headers add" or "headers remove" says to the header lines of a message."""
    if what == "remove":
        remove_headers(headers, text)
    elif text.lstrip(SPACE):
        add_headers(headers, like(text.lstrip(SPACE), text))


def add_headers(headers: list[Header], text: str) -> None:
    """Add header lines to those of a message: a newline that no white space follows begins another one."""
    if not text.endswith("\n"):
        text = like(text + "\n", text)
    for line in re.split(r"(?<=\n)(?![ \t])", text):
        if line.strip(SPACE):
            headers.append(Header(like(line, text), kind_of(line)))


def remove_headers(headers: list[Header], names: str) -> None:
    """Mark header lines as deleted; ``names`` is a list with colons."""
    for name in split_list(names):
        wanted = lower(name.strip(SPACE))
        for header in headers:
            if lower(header.name) == wanted:
                header.type = "*"


_OBEY: Final[dict[str, Callable[[Evaluator, Command], None]]] = {
    "add": _add, "deliver": _deliver, "save": _save, "pipe": _pipe, "mail": obey_mail, "vacation": obey_mail,
    "finish": _finish, "fail": _verdict, "freeze": _verdict, "defer": _verdict, "testprint": _testprint,
    "logfile": _logfile, "logwrite": _logwrite, "headers": _headers}
