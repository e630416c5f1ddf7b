"""The entrance to retrying: rules, what is remembered of failures, and when to try again.

Spec: chapter "Retry configuration".  Keys of the retry database are Exim's: "R:domain" or
"R:local@domain" for routing, "R:local@domain:<sender>" for a recipient that a host refused for now,
"T:host:ip[:port]" or "T:host:ip[:port]:messageid" for hosts, "T:address" for local deliveries.

``rules`` parses, ``schedule`` computes times, ``errors`` has the numbers, ``testing`` is -brt.
"""

from __future__ import annotations

from typing import Any

from pyexim.base.octets import printable
from pyexim.base.record import dataclass
from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope
from pyexim.hints.api import Hints
from pyexim.match.lists import match_address
from pyexim.retry.rules import RetryRule, parse_rule
from pyexim.retry.schedule import next_try

DATABASE = "retry"
_MAX_TEXT = 400
_MAX_TIME = float(1 << 40)


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
    domain: str | None = None
    """For hosts: the domain of the address, which is tried where the host's name matches no rule."""


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
    found = config.compiled["retry"] = [parse_rule(line.text, line.place) for line in config.retry]
    return found


def retry_rules(config: Configuration) -> list[RetryRule]:
    """Return the rules of a configuration."""
    found: list[RetryRule] | None = config.compiled.get("retry")
    if found is None:
        compile_rules(config)
        found = config.compiled["retry"]
    return found


def find_rule(subject: str, domain: str | None, number: int, detail: int, sender: str | None,
              scope: Scope) -> RetryRule | None:
    """Return the first rule for an address, domain or host name and an error.

    ``domain`` is tried at each rule that the subject does not match.  ``sender`` None (only when
    testing) matches no rule that names senders.
    """
    subjects = [subject if "@" in subject else "*@" + subject]
    if domain is not None:
        subjects.append(domain if "@" in domain else "*@" + domain)
    for rule in retry_rules(scope.config):
        if not rule.error.fits(number, detail):
            continue
        if rule.pattern != "*" and not any(match_address(s, rule.pattern, scope) for s in subjects):
            continue
        if rule.senders is not None and (sender is None or not match_address(sender, rule.senders, scope)):
            continue
        return rule
    return None


# -- records


def format_record(record: RetryRecord) -> str:
    """Return a record as it is stored."""
    text = printable(record.text)[:_MAX_TEXT]
    # Whole seconds, never rounded up: a message that came in the second of the last try is younger than it.
    return (f"{int(record.first_failed)} {int(record.last_try)} {int(record.next_try)} {record.expired:d} "
            f"{record.errno} {record.more_errno} {text}")


def parse_record(text: str) -> RetryRecord | None:
    """Return a record from its stored form; None where it is none."""
    parts = text.split(" ", 6)
    try:
        first, last, following = float(parts[0]), float(parts[1]), float(parts[2])
        if not all(0 <= when < _MAX_TIME for when in (first, last, following)):
            return None
        return RetryRecord(first, last, following, parts[3] == "1", int(parts[4]), int(parts[5]),
                           parts[6] if len(parts) > 6 else "")
    except (ValueError, IndexError):
        return None


def find_record(hints: Hints, key: str, config: Configuration, now: float) -> RetryRecord | None:
    """Return what is remembered for a key, unless it is older than retry_data_expire."""
    found = hints.get_written(DATABASE, key)
    if found is None or now - found[1] > config.main.retry_data_expire:
        return None
    return parse_record(found[0])


# -- after an attempt


def update(items: list[RetryItem], scope: Scope, *, message_age: float) -> dict[str, bool]:
    """Write all items of one delivery attempt in one transaction; {key: the retry time is exceeded}.

    True means that the rule's last cutoff has passed since the first failure (or the message is older
    than it, as the spec says), or that there is no rule, so the address is to be bounced by the caller
    (of several hosts: when it is true for all).  A key may come several times: the last item counts.
    """
    hints = scope.services.hints
    now = scope.services.clock.time()
    exceeded: dict[str, bool] = {}
    puts: dict[str, str] = {}
    deletes: list[str] = []
    for item in {item.key: item for item in items}.values():
        if item.delete:
            deletes.append(item.key)
            continue
        old = find_record(hints, item.key, scope.config, now) if hints is not None else None
        record, exceeded[item.key] = judge(item, old, scope, now, message_age)
        if record is not None:
            puts[item.key] = format_record(record)
    if hints is not None and (puts or deletes):
        hints.update(DATABASE, puts, deletes, now)
    debug = scope.services.debug
    if debug is not None and debug.selected("retry"):
        _show_update(debug, puts, deletes, exceeded, now)
    return exceeded


def _show_update(debug: Any, puts: dict[str, str], deletes: list[str], exceeded: dict[str, bool], now: float) -> None:
    """Show what -d+retry tells of an update."""
    debug("retry", "Processing retry items")
    for key in deletes:
        debug("retry", f" deleted retry information for {key}")
    for key, passed in exceeded.items():
        record = parse_record(puts[key]) if key in puts else None
        if record is None:
            why = f" no retry rule for {key}: the failure is final" if passed else f" nothing to write for {key}"
            debug("retry", why)
            continue
        debug("retry", f" Writing retry data for {key}\n"
                       f"   first failed={record.first_failed:.0f} last try={record.last_try:.0f} "
                       f"next try={record.next_try:.0f} (+{record.next_try - now:.0f}) expired={record.expired:d}\n"
                       f"   errno={record.errno} more_errno={record.more_errno:x} {record.text}"
                       + ("\n   on queue longer than maximum retry: the failure is final" if passed else ""))


def judge(item: RetryItem, old: RetryRecord | None, scope: Scope, now: float,
          message_age: float) -> tuple[RetryRecord | None, bool]:
    """Return the record to write for a failure (None: leave what there is), and whether time is up."""
    sender = scope.message.sender_address if scope.message is not None else ""
    rule = find_rule(item.pattern or subject_of(item), item.domain, item.errno, item.more_errno, sender, scope)
    if rule is None or not rule.parameters:
        return None, True
    first = old.first_failed if old is not None else now
    failing_for = now - first
    if item.kind in ("message", "address"):
        # An error of the message, not of a host: other messages may get through and reset the clock.
        failing_for = max(failing_for, message_age)
    last_interval = old.next_try - old.last_try if old is not None else 0.0
    exceeded = failing_for > rule.ultimate_cutoff
    if not exceeded and message_age > rule.ultimate_cutoff:
        # Tried because of the message's age: no new time, so that other messages are tried at once.
        return None, True
    when = next_try(rule, failing_for, last_interval, now, scope.config.main.retry_interval_max)
    return RetryRecord(first, now, when, exceeded, item.errno, item.more_errno, item.text), exceeded


def subject_of(item: RetryItem) -> str:
    """Return what the rules are searched with where an item does not say: host name, address or domain."""
    text = item.key[2:]
    if item.kind in ("host", "message"):
        return text.split(":", 1)[0]
    at = text.find(":<")
    return text[:at] if at >= 0 else text


def outlived(record: RetryRecord, subject: str, domain: str | None, scope: Scope, message_age: float) -> bool:
    """Tell whether a message is older than the last cutoff of the rule for a remembered error.

    Then a delivery is attempted although it is not yet time, and if it fails the address is bounced.
    """
    sender = scope.message.sender_address if scope.message is not None else ""
    rule = find_rule(subject, domain, record.errno, record.more_errno, sender, scope)
    return rule is None or message_age > rule.ultimate_cutoff
