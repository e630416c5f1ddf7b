"""Delay warnings: when they are due, and what they say.

Spec: options delay_warning, delay_warning_condition, warn_message_file; section "Customizing warning
messages".
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError
from pyexim.deliver import bounce, report
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.record import Record
from pyexim.expand.engine import expand
from pyexim.transports.base import Result

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_times(source: str | None) -> list[int]:
    """Return the times of a delay_warning list, in seconds; an empty or zero one means none."""
    out: list[int] = []
    for item in (source or "").split(":"):
        total, digits = 0, ""
        for c in item.strip(" \t"):
            if c.isascii() and c.isdigit():
                digits += c
            elif c in _UNITS and digits:
                total += int(digits) * _UNITS[c]
                digits = ""
            else:
                return out
        total += int(digits or 0)
        out.append(total)
    return [] if out in ([], [0]) else out


def warnings_due(times: list[int], age: float) -> int:
    """Return how many warnings a message of this age should have had by now."""
    if not times:
        return 0
    count = sum(1 for t in times if age >= t)
    if count < len(times):
        return count
    last = times[-1]
    step = last - times[-2] if len(times) > 1 else last
    return count + int((age - last) // step) if step > 0 else count


def maybe_warn(record: Record, run: DeliverRun, now: float) -> None:
    """Send a delay warning when one is due and the condition allows it."""
    message, main = record.message, run.config.main
    asked = any(a.dsn_flags & report.NOTIFY_DELAY for a, _ in record.deferred)
    told = [(a, r) for a, r in record.deferred
            if not a.dsn_flags & report.NOTIFY_ANY or a.dsn_flags & report.NOTIFY_DELAY]
    if message.sender_address == "" or not told:
        return
    age = now - message.received_time
    due = warnings_due(parse_times(main.delay_warning), age)
    if due <= message.warning_count:
        return
    condition = main.delay_warning_condition
    if condition is not None and not asked:
        record.scope.address = None
        try:
            if expand(condition, record.scope) in ("", "0", "no", "false"):
                return
        except ExpansionError as e:
            run.services.log.panic(f"failed to expand delay_warning_condition: {e.text}",
                                   message_id=message.message_id)
            return
    groups: dict[str, list[tuple[object, Result | None]]] = {}
    for address, result in told:
        to = message.sender_address if address.errors_address is None else address.errors_address
        if to:
            groups.setdefault(to, []).append((address, result))
    if groups and _send(record, run, ", ".join(groups), told, age) == 0:
        message.warning_count = due


def _delay(age: float) -> str:
    minutes = int(age) // 60
    return f"{minutes // 60} hours" if minutes >= 120 else f"{minutes} minutes"


def _send(record: Record, run: DeliverRun, to: str, told: list[bounce.Failure], age: float) -> int:
    """Make and submit the warning."""
    message, scope, main = record.message, record.scope, run.config.main
    delay = _delay(age)
    told_of = {"warn_message_delay": delay, "warn_message_recipients": to,
               "warnmsg_delay": delay, "warnmsg_recipients": to}  # and their names of old
    scope.vars.update(told_of)
    try:
        items = bounce.read_items(main.warn_message_file, record, run, "warn_message_file")
    finally:
        for name in told_of:
            del scope.vars[name]
    mark = report.boundary(run.services.clock.time())
    head = bounce.head_lines(record, run, to)
    head += f"Content-Type: multipart/report; report-type=delivery-status; boundary={mark}\nMIME-Version: 1.0\n"
    head += items.get(0) or f"Subject: Warning: message {message.message_id} delayed {delay}\n"
    text = items.get(1) or _first_words(record, run, to, delay)
    text += "\n"
    for address, result in told:
        text += report.printed(address) + "\n"
        if not (result is None and address.errno <= -52):
            text += report.reason(address, result, "Delay reason: ")
    text += "\n" + (items.get(2) or (
        "No action is required on your part. Delivery attempts will continue for\n"
        "some time, and this warning may be repeated at intervals if the message\n"
        "remains undelivered. Eventually the mail delivery software will give up,\n"
        "and when that happens, the message will be returned to you.\n"))
    status = report.delivery_status(message, run.services.primary_hostname, told, "delayed", "4.0.0")
    original = report.returned(message, record.locked.data_fd, bounce.return_rules(run), headers_only=True)
    return bounce.submit(record, run, head.encode("latin-1") + b"\n"
                         + report.multipart(mark, text, status, original))


def _first_words(record: Record, run: DeliverRun, to: str, delay: str) -> str:
    message = record.message
    out = "This message was created automatically by mail delivery software.\n"
    if to == message.sender_address:
        out += "A message that you sent has not yet been delivered to one or more of its\n"
        out += f"recipients after more than {delay} on the queue on {run.services.primary_hostname}.\n"
    else:
        out += f"A message sent by\n\n  <{message.sender_address}>\n\n"
        out += "has not yet been delivered to one or more of its recipients after more than\n"
        out += f"{delay} on the queue on {run.services.primary_hostname}.\n"
    out += f"\nThe message identifier is:     {message.message_id}\n"
    subject, date = report.find_header(message, "Subject"), report.find_header(message, "Date")
    if subject is not None:
        out += f"The subject of the message is: {subject}\n"
    if date is not None:
        out += f"The date of the message is:    {date}\n"
    many = len(record.deferred) > 1
    noun, verb = ("addresses", "are") if many else ("address", "is")
    return out + f"\nThe {noun} to which the message has not yet been delivered {verb}:\n"
