"""The condition ``ratelimit``: how fast a client sends, remembered in the hints.

The rate is an exponentially weighted moving average with the period as its time constant.  Keys are
"period/what is counted[/unique]/key", as Exim's; a record holds the time, the rate and, for ``unique``,
the events counted since the set was begun.  Within one connection, message or command (by the per_...
option) the same condition counts once.  Spec: sections "Rate limiting incoming messages" ff.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.modifiers import parse_time
from pyexim.acl.parser import Item
from pyexim.acl.run import DEFER, FAIL, OK, AclRun, Step
from pyexim.acl.where import NAMES
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.hints.stored import find_object, is_number

DATABASE: Final = "ratelimit"
_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([KMGkmg]?)\Z", re.ASCII)
_SCALE: Final = {"": 1.0, "K": 1024.0, "M": 1048576.0, "G": 1073741824.0}
_RCPT: Final = frozenset({"rcpt", "predata", "mime", "data", "prdr"})
_MAIL: Final = frozenset({"mail", "rcpt", "predata", "mime", "data", "prdr", "dkim", "not_smtp"})
_CONN: Final = frozenset(NAMES) - {"not_smtp", "not_smtp_start", "notquit"}
_UPDATES: Final = {"per_conn": _CONN, "per_mail": _MAIL, "per_byte": _MAIL, "per_rcpt": _RCPT,
                   "per_addr": frozenset({"rcpt"}), "per_cmd": frozenset(NAMES)}
"""Where a rate can be updated; elsewhere it can only be read."""
_COUNTED_AS: Final = {"per_byte": "per_mail", "per_addr": "per_rcpt"}


class _Wrong(Exception):
    """The arguments are wrong; the text is Exim's."""


@dataclass(slots=True)
class Parameters:
    """What the argument says."""

    limit_text: str
    limit: float
    period_text: str
    period: int
    mode: str = ""
    """leaky, strict or readonly."""
    per: str = ""
    count: float | None = None
    unique: str | None = None
    key: str | None = None


def _number(text: str) -> float:
    match = _NUMBER.match(text)
    if match is None:
        raise _Wrong(f'"{text}" is not a positive number')
    return float(match.group(1)) * _SCALE[match.group(2).upper()]


def parse_parameters(text: str) -> Parameters:
    """Read "limit / period / options / key"; _Wrong."""
    parts = [p.strip(SPACE) for p in text.replace("//", "\0").split("/")]
    parts = [p.replace("\0", "/") for p in parts]
    if parts == [""]:
        raise _Wrong("sender rate limit not set")
    limit = _number(parts[0] or "0")  # an empty one is none at all, as in Exim
    period_text = parts[1] if len(parts) > 1 and parts[1] else "NULL"
    period = parse_time(period_text)
    if not period:
        raise _Wrong(f'"{period_text}" is not a time value')
    out = Parameters(parts[0], limit, period_text, period)
    keys: list[str] = []
    noupdate = False
    for part in parts[2:]:
        if part in ("leaky", "strict", "readonly"):
            if out.mode:
                raise _Wrong("conflicting update modes")
            out.mode = part
        elif part == "noupdate":  # (an older word for readonly, which Exim takes beside any other mode)
            noupdate = True
        elif part in _UPDATES:
            if out.per:
                raise _Wrong("conflicting per_* options")
            out.per = part
        elif part.startswith("count="):
            match = _NUMBER.match(part[6:])
            if match is None:
                raise _Wrong(f'"{part}" is not a positive number')
            out.count = _number(part[6:])
        elif part.startswith("unique="):
            out.unique = part[7:]
        elif part:
            keys.append(part)
    if noupdate:
        out.mode = "readonly"
    out.key = "/".join(keys) or None
    return out


def ratelimit(item: Item, build: Build) -> Step:
    """Make the step of ``ratelimit = limit / period / options / key``."""
    def check(run: AclRun, value: str) -> int:
        try:
            parameters = parse_parameters(value)
            _settle(parameters, run)
        except _Wrong as e:
            return run.error(f'error in arguments to "ratelimit" condition: {e}')
        return _check(run, parameters)
    return with_argument(item, check)


def _settle(p: Parameters, run: AclRun) -> None:
    """Fill in what the place of the ACL decides: update mode, what is counted, by how much, the key."""
    where, scope = run.where, run.scope
    per = p.per or "per_mail"
    counted = _COUNTED_AS.get(per, per)
    if where not in _UPDATES[per]:
        if p.mode in ("leaky", "strict"):
            raise _Wrong(f'"{counted}" must not have /leaky or /strict option, or cannot be used in '
                         f"{NAMES.get(where, where)} ACL")
        p.mode = "readonly"
    p.mode = p.mode or "leaky"
    message = scope.message
    if p.count is None:
        p.count = 1.0
        if per == "per_byte":
            p.count = float(max(0, message.message_size)) if message is not None else 0.0
        elif counted == "per_rcpt" and where != "rcpt":
            p.count = float(len(message.recipients)) if message is not None else 0.0
    if per == "per_addr" and p.unique is None:
        p.unique = str(run.recipient or "").lower()
    p.per = counted
    if p.key is None:
        p.key = (scope.conn.sender_host_address or "") if scope.conn is not None else ""
    p.key = f"{p.period_text}/{counted}/{'unique/' if p.unique is not None else ''}{p.key}"


def _cache(run: AclRun, per: str) -> dict[str, float]:
    """Return the rates already computed in the connection, message or command."""
    facts = run.scope.facts
    if per == "per_conn":
        return facts.setdefault("ratelimit_conn", {})  # type: ignore[no-any-return]
    if per == "per_mail" or (per == "per_rcpt" and run.where != "rcpt"):
        return run.controls.rates
    have = facts.get("ratelimit_command")
    if have is None or have[0] is not run:
        have = facts["ratelimit_command"] = run, {}
    return have[1]


def new_rate(old: float, count: float, interval: float, period: float) -> float:
    """Return the smoothed rate after ``count`` events, ``interval`` seconds after the last update."""
    ratio = max(interval, 1e-9) / period
    fading = math.exp(-ratio)
    return (1 - fading) / ratio * count + fading * old


def _check(run: AclRun, p: Parameters) -> int:
    variables = run.scope.vars
    variables["sender_rate_limit"] = p.limit_text
    variables["sender_rate_period"] = p.period_text
    key = p.key or ""
    cache = _cache(run, p.per)
    rate = cache.get(key)
    if rate is None:
        hints = run.scope.services.hints
        if hints is None:
            run.log_msg = "ratelimit database not available"
            return DEFER
        rate = _update(hints, key, p, run.scope.services.clock.time())
        cache[key] = rate
    variables["sender_rate"] = f"{rate:.1f}"
    return FAIL if rate < p.limit else OK


def _update(hints: Any, key: str, p: Parameters, now: float) -> float:
    """Compute the rate with the event at hand, and remember it as the mode allows."""
    record = find_object(hints, DATABASE, key, "rate", "time")
    count = p.count or 0.0
    events: dict[str, float] = {}
    began = now
    if record is not None and p.unique is not None:
        known, since = record.get("events"), record.get("began")
        if isinstance(known, dict) and is_number(since) and now - float(since or 0) < p.period:
            began, events = float(since or 0), known
    if p.mode == "readonly" or (p.unique is not None and p.unique in events):
        count = 0.0
    if record is None:
        rate = count
    elif p.mode == "readonly":
        rate = new_rate(record["rate"], 0.0, now - record["time"], p.period)
        return rate
    else:
        rate = new_rate(record["rate"], count, now - record["time"], p.period)
    if p.mode == "readonly" or (p.mode == "leaky" and rate >= p.limit):
        return rate
    value: dict[str, Any] = {"time": now, "rate": rate}
    if p.unique is not None:
        events[p.unique] = now
        value["began"], value["events"] = began, events
    hints.put(DATABASE, key, json.dumps(value, separators=(",", ":")), now)
    return rate
