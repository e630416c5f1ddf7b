"""What a filter comes to: values, made by the evaluators, obeyed by routers and by the delivery process.

Nothing here delivers anything.  A delivery that a filter sets up is an Action; the last word is the verdict.
Everything can be turned into plain values and back, because a filter is run in a process of its user.
Spec: the filter document, "Significant deliveries"; chapter "System-wide message filtering".
"""

from __future__ import annotations

import json
from typing import Any

from pyexim.base.plain import pack, unpack
from pyexim.base.record import dataclass, field


class FilterError(Exception):
    """A filter cannot be read or run; ``text`` is Exim's message, with the line where there is one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(slots=True)
class Reply:
    """The message that a mail or vacation command asks for; field names are those of the autoreply transport."""

    to: str = ""
    cc: str = ""
    bcc: str = ""
    from_: str = ""
    reply_to: str = ""
    subject: str = ""
    headers: str = ""
    text: str = ""
    file: str = ""
    log: str = ""
    once: str = ""
    once_repeat: int = 0
    """Seconds."""
    file_expand: bool = False
    return_message: bool = False
    make_directory: bool = False
    """The directory of ``once`` is made if need be."""
    numbers: list[str] = field(default_factory=list)
    """$0, $1, ... as they were, for the expansion of the file."""


@dataclass(slots=True)
class Action:
    """One delivery that a filter sets up."""

    kind: str
    """address, file, directory, pipe, reply, or notify (a message to be sent at once)."""
    text: str = ""
    """The address, path or command."""
    errors_to: str | None = None
    no_error: bool = False
    mode: int = -1
    numbers: list[str] = field(default_factory=list)
    """$0, $1, ... as they were when a pipe was set up: its command is expanded later."""
    this_address: str = ""
    reply: Reply | None = None


@dataclass(slots=True)
class Outcome:
    """What running a filter has come to."""

    actions: list[Action] = field(default_factory=list)
    significant: bool = False
    """Delivery is taken care of; normal delivery does not happen."""
    verdict: str = ""
    """fail, freeze or defer, with ``text``."""
    text: str = ""
    error: str | None = None
    """The filter is wrong: nothing of the rest counts."""
    syntax: bool = False
    """The error was found when the filter was read, before anything of it was obeyed."""
    keep_error: str | None = None
    """An error in a Sieve script: the message is kept all the same, and this is for the log."""
    numbers: dict[str, str] = field(default_factory=dict)
    """The values of $n0 to $n9 at the end."""
    headers: list[list[str]] = field(default_factory=list)
    """What a system filter did to the header, in order: ["add" or "remove", text]."""


def encode(outcome: Outcome) -> bytes:
    """Return an outcome as octets for another process."""
    return json.dumps(_plain(outcome), separators=(",", ":")).encode("ascii")


def _plain(value: Any) -> Any:
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return pack(value)


def decode(data: bytes) -> Outcome | None:
    """Return the outcome that ``encode`` was given; None where it is not whole (the process died)."""
    try:
        values = unpack(json.loads(data))
        outcome = Outcome(**values)
        outcome.actions = [Action(**action) for action in values["actions"]]
        for action in outcome.actions:
            if action.reply is not None:
                action.reply = Reply(**action.reply)  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError):
        return None
    return outcome
