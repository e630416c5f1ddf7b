"""Hints that are JSON objects, read with suspicion: what a file holds may be anything, and must stop nothing."""

from __future__ import annotations

import json
from typing import Any

from pyexim.hints.api import Hints

_ENOUGH = 1e300


def is_number(value: object) -> bool:
    """Tell whether a stored value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _ENOUGH


def find_object(hints: Hints, database: str, key: str, *numbers: str) -> dict[str, Any] | None:
    """Return the object that is stored for a key if these fields of it are finite numbers; else None."""
    text = hints.get(database, key)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(is_number(found.get(name)) for name in numbers):
        return None
    return found
