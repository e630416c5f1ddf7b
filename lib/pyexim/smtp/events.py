"""What the SMTP server core tells the session, and the limits that it is given."""

from __future__ import annotations

from typing import Final

from pyexim.base.record import dataclass

MAX_COMMAND: Final = 16384


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do before it is cut off."""

    max_unknown: int = 3
    max_synprot: int = 3
    max_nonmail: int = 10
    max_command: int = MAX_COMMAND
    """Octets of a command line; a longer one is thrown away and answered as unrecognised."""


class Command:
    """A command in order, to be answered with ``reply()``.  ``size`` and ``last`` belong to BDAT."""

    __slots__ = ("argument", "last", "line", "size", "verb")

    def __init__(self, verb: str, argument: str, line: str, size: int = 0, last: bool = False) -> None:
        self.verb = verb
        self.argument = argument
        self.line = line
        self.size = size
        self.last = last

    def __repr__(self) -> str:
        return f"Command({self.verb!r}, {self.argument!r})"


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """What the client says to a challenge of AUTH, undecoded; to be answered as the command was."""

    line: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was refused by the core, which has answered it.

    ``kind`` is "syntax" or "protocol"; ``text`` is for the log.  ``counted`` False: a client that
    pipelines could not know better.
    """

    kind: str
    line: str
    text: str
    verb: str = ""
    counted: bool = True


@dataclass(frozen=True, slots=True)
class TooMany:
    """The client made too many commands of a kind; the answer has been given, the connection is to be closed.

    ``kind`` is "unrecognized commands", "syntax or protocol errors" or "nonmail commands".
    """

    kind: str
    line: str


@dataclass(frozen=True, slots=True)
class SyncError:
    """The client went on without waiting where it must wait; it has been told, the connection is to be closed."""

    line: str
    input: bytes
    """The beginning of what it sent too soon."""


class BodyData:
    """Octets of the message, CRLF line ends as sent, dots unstuffed."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The message (or, by BDAT, the chunk) is complete; to be answered with ``reply()``."""

    chunked: bool = False
    last: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """The client is gone.  ``phase`` is "command" or "data"."""

    phase: str


class _Signal:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NEED_DATA: Final = _Signal("NEED_DATA")
CLOSED: Final = _Signal("CLOSED")

Event = Command | AuthAnswer | Refused | TooMany | SyncError | BodyData | BodyEnd | EndOfInput | _Signal
