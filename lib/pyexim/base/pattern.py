"""Regular expressions of our own that are compiled when they are used first.

``re.compile`` costs a tenth of a millisecond; a command that imports a hundred modules and uses a few of their
patterns need not pay for all.  A process that forks many others compiles them before (``compile_patterns``).
Patterns of the configuration are another matter: ``expand.regex``.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, Final, cast

_METHODS: Final = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")

_uncompiled: list[_Pattern] = []


class _Pattern:
    """Has the methods of a compiled pattern once one of them has been asked for."""

    __slots__ = (*_METHODS, "_flags", "_source")

    def __init__(self, source: str | bytes, flags: int) -> None:
        self._source = source
        self._flags = flags
        _uncompiled.append(self)

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            raise AttributeError(name)
        self.compile()
        return getattr(self, name)

    def compile(self) -> None:
        compiled = re.compile(self._source, self._flags)
        for name in _METHODS:
            setattr(self, name, getattr(compiled, name))


def lazy_pattern(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a pattern with the methods that search, match and replace; a mistake in it shows on first use."""
    return cast("re.Pattern[AnyStr]", _Pattern(source, flags))


def compile_patterns() -> None:
    """Compile all patterns that there are by now."""
    for found in _uncompiled:
        found.compile()
    _uncompiled.clear()
