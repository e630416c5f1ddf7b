"""The entrance to delivery: one attempt at one message, and who does many of them.

``deliver.process`` does an attempt: locks, routes (``deliver.plan``), runs transports
(``deliver.local_deliveries``, ``deliver.remote_deliveries``), takes what they come to (``deliver.results``), records
(``deliver.record``), bounces.  ``deliver.manager`` hands messages to persistent workers.
``deliver.starter`` is the small privileged process that forks local deliveries.
"""

from __future__ import annotations

from typing import Any

from pyexim.base.record import dataclass, field
from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Services
from pyexim.spool.api import SpoolSettings


@dataclass(slots=True)
class DeliverRun:
    """What a delivery process may use, made by a door or by the manager's worker, for many messages.

    ``services.privileged`` is the client of the starter; ``services.pool`` the live SMTP connections.
    """

    config: Configuration
    services: Services
    spool: SpoolSettings
    queue_run: bool = False
    """The attempt is part of a queue run ($queue_running, retry times are respected)."""
    force: bool = False
    """-qf, -M: ignore retry times."""
    force_frozen: bool = False
    """-qff, -M: frozen messages too."""
    first_only: bool = False
    """-qi."""
    local_only: bool = False
    """-ql."""
    routing_only: bool = False
    """The first pass of -qq: route, and remember which hosts messages wait for."""
    smtp_queue: bool = False
    """-odqs: remote deliveries of this attempt are left for a queue run."""
    give_up: bool = False
    """-Mg: bounce what cannot be delivered."""
    continued: Any = None
    """A live connection to use for the hosts it fits, and no other (-MC)."""
    recipients_selected: str | None = None
    """-R: deliver to failing or matching recipients at once."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """What an attempt came to.

    ``status``: "failed" (mua_wrapper: nothing was delivered, and the caller was told), "completed",
    "kept" (deferred or frozen), "skipped" (not due, frozen, only first...),
    "locked" (another process has it), "gone", "broken" (malformed spool files; logged).
    """

    status: str
    waiting: list[str] = field(default_factory=list)
    """Ids of messages that wait for a host to which a connection is open and parked."""
    waiting_for: tuple[str, str] = ("", "")
    """Transport and host that they wait for."""


def deliver_message(message_id: str, run: DeliverRun) -> Attempt:
    """Make one delivery attempt at a message.  Never raises; never leaves a child behind."""
    from pyexim.deliver.process import deliver  # it needs the values above

    return deliver(message_id, run)
