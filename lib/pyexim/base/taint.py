"""Taint: text that came from outside, marked as such by its type.

A value read from the network, from a message or from the command line of an ordinary user is
``Tainted``.  Operations of ``str`` do not keep the mark; whoever derives a value from others says so
with :func:`like`.  The spec's section "Security considerations" and the chapter on string expansions
tell where a tainted value is refused.
"""

from __future__ import annotations


class Tainted(str):
    """A string that came from outside and must not name files, commands or be expanded."""

    __slots__ = ()


def taint(text: str) -> Tainted:
    """Return the text marked as coming from outside."""
    return text if type(text) is Tainted else Tainted(text)


def is_tainted(text: str) -> bool:
    """Tell whether a text came from outside."""
    return type(text) is Tainted


def untaint(text: str) -> str:
    """Return the text without the mark; only for a value that a trusted source confirmed."""
    return str(text) if type(text) is Tainted else text


def like(text: str, *sources: str) -> str:
    """Return the text, marked as tainted if any of the values it was derived from is."""
    for source in sources:
        if type(source) is Tainted:
            return Tainted(text)
    return text
