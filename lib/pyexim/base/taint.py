"""Taint: text that came from outside, marked as such by its type.

A value read from the network, from a message or from the command line of an ordinary user is
``Tainted``.  Operations of ``str`` do not keep the mark; whoever derives a value from others says so
with :func:`like`.  The spec's section "Security considerations" and the chapter on string expansions
tell where a tainted value is refused.
"""

from __future__ import annotations

from collections.abc import Iterable


class Tainted(str):
    """A string that came from outside and must not name files, commands or be expanded."""

    __slots__ = ()


class Quoted(Tainted):
    """A tainted string that has been quoted for queries of one kind of lookup, and is safe only there."""

    __slots__ = ("quoter",)

    quoter: str

    def __new__(cls, text: str, quoter: str) -> Quoted:
        self = super().__new__(cls, text)
        self.quoter = quoter
        return self


def taint(text: str) -> Tainted:
    """Return the text marked as coming from outside."""
    return text if isinstance(text, Tainted) else Tainted(text)


def is_tainted(text: str) -> bool:
    """Tell whether a text came from outside."""
    return isinstance(text, Tainted)


def untaint(text: str) -> str:
    """Return the text without the mark; only for a value that a trusted source confirmed."""
    return str(text) if isinstance(text, Tainted) else text


def combined(text: str, sources: Iterable[str]) -> str:
    """Return the text that pieces were put together to: tainted if one of them is.

    It is Quoted when all tainted pieces were quoted for the same kind of lookup.
    """
    quoter = ""
    for source in sources:
        if source.__class__ is str:
            continue
        if source.__class__ is not Quoted:
            return Tainted(text)
        if quoter and quoter != source.quoter:
            return Tainted(text)
        quoter = source.quoter
    return Quoted(text, quoter) if quoter else text


def like(text: str, *sources: str) -> str:
    """Return the text, marked as tainted if any of the values it was derived from is."""
    for source in sources:
        if source.__class__ is not str:
            return combined(text, sources)
    return text
