"""The entrance to string expansion: text with ``$`` in, octets out."""

from __future__ import annotations

from pyexim.expand.scope import Scope


def expand(source: str, scope: Scope) -> str:
    """Return the expansion of a string; Tainted if anything in the result came from outside.

    Parsed once per source string and cached; a string without ``$`` and ``\\`` is returned as it is.
    Raises ExpansionError with Exim's text, ForcedFail for a "fail" in the string, ExpansionDefer
    where a lookup or the like could not answer.  A tainted ``source`` that contains ``$`` is refused.
    """
    raise NotImplementedError


def expand_bool(source: str, scope: Scope, what: str, *, forced_fail: bool = False) -> bool:
    """Expand an option that may be a boolean; "yes"/"true"/non-zero... as the spec's ``more`` option.

    ``what`` names the option for the error text; ``forced_fail`` is the value a forced failure
    gives.  Raises ExpansionError where the result is no boolean.
    """
    raise NotImplementedError


def is_literal(source: str) -> bool:
    """Tell whether expanding the string returns it unchanged."""
    return "$" not in source and "\\" not in source
