"""Admission: may this connection be served?  One pure function of counts, peer, load and settings.

Spec: section "Control of incoming connections" of "How Exim receives and delivers mail", and the
options smtp_accept_max, smtp_accept_max_per_host, smtp_accept_reserve, smtp_reserve_hosts,
smtp_load_reserve, smtp_accept_queue of "Main configuration".
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.base.record import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits; loads are in thousandths, None where unset."""

    accept_max: int = 20
    accept_queue: int = 0
    reserve: int = 0
    load_reserve: int | None = None
    has_reserve_hosts: bool = False
    queue_only_load: int | None = None
    hostname: str = ""
    """smtp_active_hostname, for the texts of refusals."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Connections being served now, without the one to be decided."""

    total: int
    from_host: int


@dataclass(frozen=True, slots=True)
class Admit:
    """Serve it; with ``queue_only`` its messages are put on the queue and not delivered at once."""

    queue_only: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send this reply (without line end) and close; ``log`` is the line for the main log."""

    reply: str
    log: str


def decide(settings: Settings, counts: Counts, peer: str, *, max_per_host: int,
           is_reserved: Callable[[], bool], load: Callable[[], int]) -> Admit | Refuse:
    """Decide on one connection.

    ``peer`` is the host as logs show it, ``max_per_host`` the expanded smtp_accept_max_per_host (0 is
    no limit).  ``is_reserved`` (is the host in smtp_reserve_hosts?) and ``load`` are only called
    when the answer depends on them.
    """
    if settings.accept_max > 0 and counts.total >= settings.accept_max:
        return Refuse("421 Too many concurrent SMTP connections; please try again later.",
                      f"Connection from {peer} refused: too many connections")
    if max_per_host > 0 and counts.from_host >= max_per_host:
        return Refuse("421 Too many concurrent SMTP connections from this IP address; please try again later.",
                      f"Connection from {peer} refused: too many connections from that IP address")
    few_left = settings.accept_max > 0 and counts.total + 1 > settings.accept_max - settings.reserve
    loaded = settings.load_reserve is not None and load() > settings.load_reserve
    if (few_left and settings.reserve > 0) or loaded:
        if not (settings.has_reserve_hosts and is_reserved()):
            return _refuse_unreserved(settings, counts, peer, few_left and settings.reserve > 0, load)
    return Admit(queue_only=0 < settings.accept_queue < counts.total + 1)


def _refuse_unreserved(settings: Settings, counts: Counts, peer: str, few_left: bool,
                       load: Callable[[], int]) -> Refuse:
    """Refuse a host that may not use the reserve, saying which limit it met."""
    if few_left:
        return Refuse(f"421 {settings.hostname}: Too many concurrent SMTP connections; please try again later",
                      f"temporarily refused connection from {peer}: not in reserve list: "
                      f"connected={counts.total} max={settings.accept_max} reserve={settings.reserve}")
    if not settings.has_reserve_hosts:
        return Refuse("421 Too much load; please try again later.",
                      f"Connection from {peer} refused: load average = {load() / 1000:.2f}")
    return Refuse(f"421 {settings.hostname}: Too much load; please try again later",
                  f"temporarily refused connection from {peer}: not in reserve list and "
                  f"load average = {load() / 1000:.2f}")
