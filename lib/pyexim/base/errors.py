"""The exceptions that cross rooms.  Expected outcomes are values, not exceptions (STYLE, section 8)."""

from __future__ import annotations

from typing import Any

from pyexim.base.record import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the configuration something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line} of {self.file}"


class PyeximError(Exception):
    """Base of the exceptions that the program raises on purpose."""


class ConfigError(PyeximError):
    """The configuration is wrong.

    ``text`` is the message without the place; ``place`` is where the operator must edit, through
    includes and macros; ``option`` the name of the option at fault where there is one.  ``str()``
    is Exim's form: the text, preceded by "Exim configuration error in line N of FILE:\\n  ", with "for
    NAME router" where ``about`` says so.  ``note`` is a further line that helps to find the cause.
    """

    def __init__(self, text: str, place: Place | None = None, option: str | None = None, *,
                 about: str = "", note: str = "", bare: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.place = place
        self.option = option
        self.about = about
        self.note = note
        self.bare = bare
        """The text stands alone (there is no configuration that it could be about)."""
        self.partial: Any = None
        """The configuration as far as it was understood: where its logs are may be known."""

    def __str__(self) -> str:
        if self.bare:
            return self.text
        about = f" for {self.about}" if self.about else ""
        place = f" in {self.place}" if self.place is not None else ""
        note = f"\n  {self.note}" if self.note else ""
        return f"Exim configuration error{about}{place}:\n  {self.text}{note}"


class ExpansionError(PyeximError):
    """A string could not be expanded; ``text`` is Exim's message for it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ForcedFail(ExpansionError):
    """The string itself asked for failure with the word "fail"."""


class ExpansionDefer(ExpansionError):
    """A lookup (or verification, or socket) could not answer now; try again later."""


class LocalProtocolError(PyeximError):
    """A protocol object was misused: a bug of ours."""


class RemoteProtocolError(PyeximError):
    """The other side broke the protocol; ``reply`` is what to tell it, where it can be told."""

    def __init__(self, text: str, reply: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.reply = reply


class SpoolError(PyeximError):
    """A spool file cannot be used; ``text`` says which and why.  ``file`` is its name, where it is known."""

    def __init__(self, text: str, errno: int | None = None, file: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno
        self.file = file
