"""message_size_limit: a size, or text that expands to one.  What is neither stops reception."""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.numbers import integer
from pyexim.expand.scope import Scope

_SIZES: dict[str, int] = {}
"""Values of literal sizes."""


class SizeError(Exception):
    """The limit is no size; the text says what it is."""


def size_limit(source: str | None, scope: Scope) -> int:
    """Return the value of message_size_limit, 0 for no limit; raise SizeError."""
    if not source:
        return 0
    cached = _SIZES.get(source)
    if cached is not None:
        return cached
    try:
        text = expand(source, scope)
        value = integer(text)
    except ForcedFail:
        return 0
    except ExpansionError as e:
        raise SizeError(e.text) from None
    if value < 0:
        raise SizeError(f'non-negative integer expected but "{text}" found')
    if is_literal(source):
        _SIZES[source] = value
    return value
