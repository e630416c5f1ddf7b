"""Finding syntax errors in strings before they are expanded, for the check of a configuration."""

from __future__ import annotations

from pyexim.expand.base import Fault, Part
from pyexim.expand.parser import _OUTER, Parser, deep_stack


def find_mistake(source: str) -> str | None:
    """Return why a string cannot be parsed, None if it can.

    An unknown variable counts; whether values fit is not known before the evaluation.
    """
    parts: list[Part] = []
    try:
        with deep_stack():
            Parser(source)._read(parts, _OUTER)
    except Fault as fault:
        return fault.text
    return None
