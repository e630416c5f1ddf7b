"""What to do with a frozen message: a pure decision.

Spec: options auto_thaw, timeout_frozen_after, ignore_bounce_errors_after; switches -M, -Mg, -qff.
"""

from __future__ import annotations

from pyexim.base.record import dataclass
from pyexim.model.message import Message


@dataclass(frozen=True, slots=True)
class FrozenSettings:
    """The options that decide."""

    auto_thaw: int = 0
    timeout_frozen_after: int = 0
    ignore_bounce_errors_after: int = 10 * 7 * 86400


@dataclass(frozen=True, slots=True)
class Decision:
    """``deliver`` says whether to go on; ``log`` is the line about it; ``cancel`` bounces everything."""

    deliver: bool
    log: str = ""
    cancel: bool = False


def decide(message: Message, settings: FrozenSettings, now: float, *, forced: bool) -> Decision:
    """Decide on a message by its frozen flag; ``forced`` is -M, -qff and the like."""
    if message.frozen_since is None:
        return Decision(True)
    age = now - message.received_time
    bounce = message.sender_address == ""
    if settings.timeout_frozen_after > 0 and age >= settings.timeout_frozen_after and not forced:
        return Decision(True, "cancelled by timeout_frozen_after", cancel=True)
    if bounce and age >= settings.ignore_bounce_errors_after:
        return Decision(True, "Unfrozen by errmsg timer")
    if forced:
        return Decision(True, "Unfrozen by forced delivery")
    if bounce:
        return Decision(False)
    if settings.auto_thaw > 0 and now - message.frozen_since >= settings.auto_thaw:
        return Decision(True, "Unfrozen by auto-thaw")
    return Decision(False)
