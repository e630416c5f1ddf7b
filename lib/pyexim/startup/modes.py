"""Which action a command line asks for when its switches name more than one, and which do not go together.

Exim looks for one action after the other in a fixed order and does the first that was asked for; only some
combinations are refused.  Order and refusals were observed with Exim 4.96, pair by pair.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

ORDER: Final = (
    "help", "check_config", "pid_file", "bV", "log", "bi", "list", "count", "daemon", "bP", "action", "M", "MC", "bt",
    "bv", "bvs", "brt", "queue", "brw", "bem", "be", "bh", "bf", "batch", "smtp", "receive",
    "info")
"""The actions; the first of those that were asked for is done."""

_NO_INPUT: Final = frozenset({"bi", "bP", "action", "M", "bt", "bv", "bvs", "brt", "brw", "bem"})
_CONFLICTS: Final[dict[str, frozenset[str]]] = {
    "daemon": frozenset({"bV", "bi", "bP", "list", "action", "M", "MC", "bt", "bv", "bvs", "brt", "brw", "be", "bem",
                         "bh", "batch", "smtp", "receive"}),
    "queue": frozenset({"bP", "bt", "bv", "bvs", "be", "smtp", "batch", "receive"}),
    "smtp": _NO_INPUT,
    "batch": _NO_INPUT,
    "bh": frozenset({"bP", "action", "M", "be"}),
    "bt": frozenset({"bv", "bvs"}),
    "bf": frozenset({"bP", "be", "bem", "bt", "bv", "bvs", "daemon", "smtp", "batch"}),
    "bP": frozenset({"bem"}),
    "bem": frozenset({"action", "M"}),
}
"""The actions that are refused together with another, before any order counts."""

WITHOUT_T: Final = frozenset({"daemon", "queue", "smtp", "batch", "bi", "bP", "bt", "bv", "bvs", "brt", "brw", "action",
                              "M", "bf"})
"""The actions that -t does not go with."""


def choose(asked: Collection[str]) -> str | None:
    """Return the action to be done, "" when none was asked for, None when some of them do not go together."""
    for mode, others in _CONFLICTS.items():
        if mode in asked and not others.isdisjoint(asked):
            return None
    return next((mode for mode in ORDER if mode in asked), "")


_MAIN_SECTION: Final = frozenset({"list", "count", "bi", "log"})
"""The actions that look at nothing but main options: an error further below is no obstacle."""
_NEED_ALL: Final = frozenset({"Mg", "Mrm"})
"""Of the actions on messages these need the rest."""


def reads_all(mode: str, action: str) -> bool:
    """Tell whether an action needs more of the configuration than its main section."""
    return action in _NEED_ALL if mode == "action" else mode not in _MAIN_SECTION
