"""Running a filter for -bf: every action is told, and at the end what it means for delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.expand.scope import Scope
from pyexim.filters.api import run_filter
from pyexim.filters.base import FilterRules, FilterRun
from pyexim.filters.outcome import Outcome

_NOT_FOR_USERS: Final = frozenset({"defer", "fail", "freeze"})


def test_filter(text: str, kind: str, scope: Scope, write: Callable[[str], None], *,
                system: bool = False) -> tuple[str, bool]:
    """Run a filter and tell what it does; the last words, and whether it is a good one."""
    rules = FilterRules(system=system, disabled=frozenset() if system else _NOT_FOR_USERS)
    outcome = run_filter(text, kind, FilterRun(scope, rules, say=lambda line: write(line + "\n")))
    if kind == "Sieve":
        return _of_sieve(outcome), True
    if outcome.error is not None:
        return f"Filter error: {outcome.error}\n", False
    if outcome.verdict:
        return f'Filtering ended by "{outcome.verdict}".\n', True
    if outcome.significant:
        return ("Filtering set up at least one significant delivery or other action.\n"
                "No other deliveries will occur.\n"), True
    return "Filtering did not set up a significant delivery.\nNormal delivery will occur.\n", True


def _of_sieve(outcome: Outcome) -> str:
    if outcome.keep_error is not None:
        return f"Sieve error: {outcome.keep_error}\n"
    return "No implicit keep\n" if outcome.significant else "Implicit keep\n"
