"""The commands mail and vacation: a message that the filter wants sent.  Spec: the filter document, "Mail commands"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import printable
from pyexim.expand.headers import reply_address
from pyexim.filters import table
from pyexim.filters.nodes import Command
from pyexim.filters.outcome import Action, FilterError, Reply

if TYPE_CHECKING:
    from pyexim.filters.evaluate import Evaluator

_LINES: Final = ("to", "cc", "bcc", "from", "reply_to", "subject")
"""Arguments that become one header line each."""
_bad_line = re.compile(r"\n(?![ \t])").search
_bad_header = re.compile(r"\n(?![ \t]|[!-9;-~]+[ \t]*:)").search
_time = re.compile(r"([0-9]+)([wdhms])", re.ASCII)
_SECONDS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def obey_mail(self: Evaluator, command: Command) -> None:
    """Set up the reply that a mail or vacation command asks for; not for a bounce message."""
    parts: dict[str, str] = dict(command.parts)
    expand_file = "expand" in command.flags
    if command.name == "vacation":
        if "file" not in parts:
            expand_file = True
        parts = {**table.VACATION, **parts}
    values: dict[str, str] = {word: self.expand(parts[word], command) for word in table.MAIL_WORDS if word in parts}
    for word in _LINES:
        if word in values and _bad_line(values[word]):
            raise FilterError(f'\\n not followed by space in "{printable(values[word])}" in {command.name} command')
    if _bad_header(values.get("extra_headers", "")):
        raise FilterError("\\n not followed by space or valid header name in "
                          f'"{printable(values["extra_headers"])}" in {command.name} command')
    for word in ("file", "log", "once"):
        if any(c != "\t" and not 32 <= ord(c) < 127 for c in values.get(word, "")):
            raise FilterError(f'non-printing character in "{printable(values[word])}" in {command.name} command')
    if self.run.say is not None:
        _tell(self, command, values, expand_file)
        return
    message = self.scope.message
    if message is not None and message.sender_address == "":
        return  # nothing is sent in answer to a bounce
    reply = Reply(to=values.get("to", reply_address(self.scope)), cc=values.get("cc", ""), bcc=values.get("bcc", ""),
                  from_=values.get("from", ""), reply_to=values.get("reply_to", ""),
                  subject=values.get("subject", ""), headers=values.get("extra_headers", ""),
                  text=values.get("text", ""), file=values.get("file", ""), log=values.get("log", ""),
                  once=values.get("once", ""), file_expand=expand_file, return_message="return" in command.flags,
                  numbers=self.numbers())
    if "once_repeat" in values:
        seconds = interval(values["once_repeat"])
        if seconds is None:
            raise FilterError(f'Bad time value for "once_repeat" in mail or vacation command: {values["once_repeat"]}')
        reply.once_repeat = seconds
    self.outcome.actions.append(Action("reply", ">" + reply.to, no_error=command.no_error, reply=reply))


def interval(text: str) -> int | None:
    """Return a time interval in seconds; None where it is none."""
    if not re.fullmatch(r"(?:[0-9]+[wdhms])+", text, re.ASCII):
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in _time.findall(text))


def _tell(self: Evaluator, command: Command, values: dict[str, str], expand_file: bool) -> None:
    """Say what would be sent, a line for each argument."""
    first = "Seen mail" if command.seen else "Mail"
    self.say(f"{first} to: {printable(values['to'], tabs=True) if 'to' in values else '<default>'}"
             + (" (vacation)" if command.name == "vacation" else "") + (" (noerror)" if command.no_error else ""))
    for word in table.MAIL_WORDS:
        if word in values and word != "to":
            note = " (expanded)" if word == "file" and expand_file else ""
            self.say(f"{word:>7}: {printable(values[word], tabs=True)}{note}")
    if "return" in command.flags:
        self.say("Return original message")
