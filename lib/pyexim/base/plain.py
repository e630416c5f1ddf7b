"""Values as JSON carries them between processes; every text keeps its mark of taint ("t" or "u" before it)."""

from __future__ import annotations

from typing import Any

from pyexim.base.taint import Tainted


def pack(value: Any) -> Any:
    """Return a value as JSON can carry it, texts with their mark of taint."""
    if isinstance(value, str):
        return ("t" if isinstance(value, Tainted) else "u") + value
    if isinstance(value, (list, tuple)):
        return [pack(v) for v in value]
    if isinstance(value, dict):
        return {str(k): pack(v) for k, v in value.items()}
    return value


def unpack(value: Any) -> Any:
    """Return the value that :func:`pack` was given."""
    if isinstance(value, str):
        return Tainted(value[1:]) if value[:1] == "t" else value[1:]
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if isinstance(value, dict):
        return {k: unpack(v) for k, v in value.items()}
    return value
