"""The entrance to filters: text in, Outcome out.

A filter delivers nothing and sends nothing: it asks the scope for values and the FilterRun for services, and returns
what is to be done.  Who runs it must be the user whose filter it is: its expansions can read files and run commands.
"""

from __future__ import annotations

from pyexim.filters.base import FilterRun
from pyexim.filters.evaluate import run_commands
from pyexim.filters.outcome import FilterError, Outcome
from pyexim.filters.parser import parse
from pyexim.filters.sieve.script import run_sieve


def run_filter(text: str, kind: str, run: FilterRun) -> Outcome:
    """Run a filter of kind "Exim" or "Sieve"; never raises for what its author can do wrong."""
    scope = run.scope
    saved = scope.expand_forbidden
    scope.expand_forbidden = saved | run.rules.forbidden
    try:
        if kind == "Sieve":
            return run_sieve(text, run)
        try:
            commands = parse(text, system=run.rules.system, disabled=run.rules.disabled)
        except FilterError as e:
            return Outcome(error=e.text, syntax=True)
        return run_commands(commands, run)
    finally:
        scope.expand_forbidden = saved
