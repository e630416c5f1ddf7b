"""When to try again: the algorithms of retry rules.  Pure functions.

Spec: chapter "Retry configuration", section "Retry parameters".
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.retry.rules import Parameter, RetryRule


def current_parameter(rule: RetryRule, failing_for: float) -> Parameter | None:
    """Return the first set whose cutoff has not passed, the last one past them all, None without any."""
    for parameter in rule.parameters:
        if failing_for <= parameter.cutoff:
            return parameter
    return rule.parameters[-1] if rule.parameters else None


def next_interval(parameter: Parameter, last_interval: float, maximum: float,
                  choose: Callable[[int, int], int] | None = None) -> float:
    """Return the seconds until the next try; ``last_interval`` is the one before, 0 at the first failure.

    ``choose`` gives a random number between two, both included; the standard library's if it is None.
    """
    if parameter.letter == "F":
        interval: float = parameter.interval
    elif parameter.letter == "G":
        interval = parameter.interval
        if parameter.factor > 1000:
            while interval <= last_interval:
                interval = max(interval + 1, int(interval * parameter.factor / 1000))
    elif last_interval <= 0:
        interval = parameter.interval
    else:
        longest = int(last_interval * parameter.factor / 1000)
        if choose is None:
            import random  # only rules with H need it

            choose = random.randint
        interval = choose(parameter.interval, max(parameter.interval, min(longest, int(maximum))))
    return min(interval, maximum)


def next_try(rule: RetryRule, failing_for: float, last_interval: float, now: float, maximum: float,
             choose: Callable[[int, int], int] | None = None) -> float:
    """Return when to try again, in seconds since the epoch.

    Past the rule's last cutoff its last set is used; the caller decides on bouncing.  ``maximum`` is
    retry_interval_max.
    """
    parameter = current_parameter(rule, failing_for)
    return now if parameter is None else now + next_interval(parameter, last_interval, maximum, choose)
