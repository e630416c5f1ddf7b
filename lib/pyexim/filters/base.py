"""What a filter is run with.

Spec: the filter document; chapter "System-wide message filtering".  A filter does nothing itself: it asks the
scope for values and the FilterRun for services, and returns what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope

WriteLog = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SieveRules:
    """What a redirect router tells Sieve: its options sieve_..., expanded."""

    inbox: str = "inbox"
    subaddress: str | None = None
    useraddress: str | None = None
    vacation_directory: str | None = None
    enotify_owner: str | None = None


@dataclass(frozen=True, slots=True)
class FilterRules:
    """What a filter may do."""

    system: bool = False
    disabled: frozenset[str] = frozenset()
    """Commands that are refused when the filter is read: defer, fail, freeze."""
    forbidden: frozenset[str] = frozenset()
    """Refused when it is run: logwrite; and words of ``Scope.expand_forbidden``."""
    prepend_home: bool = False
    """Relative paths of save are below $home."""
    sieve: SieveRules = field(default_factory=SieveRules)


@dataclass(slots=True)
class FilterRun:
    """One run of a filter."""

    scope: Scope
    rules: FilterRules
    say: Callable[[str], None] | None = None
    """-bf: every action is told, with a line, rather than done; logging included."""
    open_log: Callable[[str, int], WriteLog] | None = None
    """Open a log file of the filter (path, mode), as the user; OSError.  None where logging is not possible."""
    facts: dict[str, Any] = field(default_factory=dict)
