"""The entrance to retrying: rules, what is remembered of failures, and when to try again.

Spec: chapter "Retry configuration".  Keys of the retry database are Exim's: "R:domain" or
"R:local@domain" for routing, "T:host:ip[:port]" or "T:host:ip:messageid" for hosts, "T:address" for
local deliveries and recipients.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope
from pyexim.hints.api import Hints


@dataclass(slots=True)
class RetryItem:
    """Something to remember, or with ``delete`` to forget, once the message's delivery attempt is over.

    ``pattern`` is what the rules are searched with when that is not the key itself; ``errno`` and
    ``more_errno`` say what happened (``retry.errors``); ``text`` goes into the record.
    """

    key: str
    errno: int = 0
    more_errno: int = 0
    text: str = ""
    delete: bool = False
    pattern: str | None = None
    kind: str = "host"
    """host, message (host with message id), address or routing."""


@dataclass(slots=True)
class RetryRecord:
    """What the retry database holds for one key; times since the epoch."""

    first_failed: float
    last_try: float
    next_try: float
    expired: bool
    errno: int
    more_errno: int
    text: str


def compile_rules(config: Configuration) -> object:
    """Parse the retry section; raise ConfigError.  The result is kept in ``config.compiled["retry"]``."""
    raise NotImplementedError


def find_record(hints: Hints, key: str, config: Configuration, now: float) -> RetryRecord | None:
    """Return what is remembered for a key, unless it is older than retry_data_expire."""
    raise NotImplementedError


def update(items: list[RetryItem], scope: Scope, *, message_age: float) -> dict[str, bool]:
    """Write all items of one delivery attempt in one transaction; {key: the retry time is exceeded}.

    True means that the rule's last cutoff has passed since the first failure (or the message is older
    than it, as the spec says), so the address is to be bounced by the caller.
    """
    raise NotImplementedError
