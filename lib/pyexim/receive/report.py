"""The mail that tells a local sender that his message was not taken, or not for all recipients.

It goes in by the front door (``services.submit``).  Spec: -oem, -oee; the texts as observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim.base.errors import ExpansionError
from pyexim.base.record import dataclass
from pyexim.expand.engine import expand

if TYPE_CHECKING:
    from pyexim.receive.message import Incoming
    from pyexim.receive.submission import Task

COPY = "------ This is a copy of your message, including all the headers. ------"
DEFAULT_FROM = "Mail Delivery System <Mailer-Daemon@$qualify_domain>"


@dataclass(frozen=True, slots=True)
class BadAddress:
    """A recipient that is no address, and Exim's word for what is wrong."""

    text: str
    error: str


def _addresses(bad: list[BadAddress], joint: str) -> str:
    return "".join(f"  {b.text.strip()}{joint}{b.error}\n" for b in bad)


def _content(task: Task, problem: str, detail: str) -> tuple[str, str]:
    """Return (subject, text) of the report."""
    bad = task.bad
    one = len(bad) == 1
    if problem in ("bad_address", "bad_addresses", "ignored_addresses"):
        subject = "Mail failure - malformed recipient address"
        if problem == "bad_address":
            return subject, ("A message that you sent contained a recipient address that was incorrectly\n"
                             "constructed:\n\n"
                             f"{_addresses(bad, '  ')}\nThe message has not been delivered to any recipients.\n")
        text = ("A message that you sent contained one or more recipient addresses that were\n"
                f"incorrectly constructed:\n\n{_addresses(bad, ': ')}")
        which = "This address has been ignored." if one else "These addresses have been ignored."
        if problem == "bad_addresses":
            return subject, text + (f"\n{which} There were no other addresses in your\nmessage, and so no attempt at "
                                    "delivery was possible.\n")
        return subject, text + (f"\n{which} The other addresses in the message were\nsyntactically valid and have been "
                                "passed on for an attempt at delivery.\n")
    if problem == "no_recipients":
        return "Mail failure - no recipient addresses", (
            "A message that you sent contained no recipient addresses, and therefore no\n"
            "delivery could be attempted.\n")
    if problem == "suppressed":
        return "Mail failure - no recipient addresses", (
            "A message that you sent using the -t command line option contained no\naddresses that were not also on "
            "the command line, and were therefore\nsuppressed. This left no recipient addresses, and so no delivery "
            "could\n"
            "be attempted.\n")
    if problem == "too_many":
        return "Mail failure - too many recipients", (
            "A message that you sent contained more recipients than allowed on this\nsystem. It was not delivered to "
            "any recipients.\n")
    if problem == "size":
        return "Mail failure - message too big", (
            "A message that you sent was longer than the maximum size allowed on this\nsystem. It was not delivered to "
            "any recipients.\n")
    if problem in ("header", "header_line"):
        what = "section" if problem == "header" else "line"
        return f"Mail failure - overlong header {what}", (
            f"A message that you sent contained a header {what} that was excessively\nlong and could not be handled by "
            "the mail transmission software. The\nmessage has not been delivered to any recipients.\n")
    if problem == "acl":
        return "Mail failure - rejected by local scanning code", (
            "A message that you sent was rejected by the local scanning code that\nchecks incoming messages on this "
            f"system. The following error was given:\n\n  {detail}\n")
    return "Mail failure", f"A message that you sent could not be accepted:\n\n  {detail}\n"


def report(task: Task, incoming: Incoming, problem: str, detail: str) -> None:
    """Send the report to the message's sender; the message itself goes back with it."""
    services, main = task.run.services, task.run.config.main
    to = task.message.sender_address
    if services.submit is None or not to:
        return
    subject, text = _content(task, problem, detail)
    try:
        sender = expand(main.dsn_from or DEFAULT_FROM, task.scope)
    except ExpansionError as e:
        services.log.panic(f"Failed to expand dsn_from: {e.text}")
        sender = f"Mail Delivery System <Mailer-Daemon@{main.qualify_domain}>"
    ident = task.message.message_id
    head = f"Auto-Submitted: auto-replied\nFrom: {sender}\nTo: {to}\n"
    if ident:
        for header in incoming.fields.headers:
            if header.type == "I":
                head += f"References:{header.text.partition(':')[2].rstrip(chr(10))}\n"
                break
    head += f"Subject: {subject}\n"
    body = f"{text}\n"
    body += f"{COPY}\n\n"
    if not ident:
        body += "\n"
    # only what an ACL has refused has our Received: line
    left_out = "*" if problem == "acl" else "*P"
    copy = "".join(h.text for h in incoming.fields.headers if h.type not in left_out) or (
        "".join(incoming.collector.fields) if hasattr(incoming, "collector") else "")
    data = (head + "\n" + body + copy + "\n").encode("latin-1", "replace") + incoming.body_for_report(
        main.bounce_return_size_limit)
    arguments = ["-t", "-oem", "-oi", "-f", "<>", f"-E{ident}"]
    code = services.submit(arguments, data)
    if code:
        services.log.main(f"Child mail process returned status {code}", message_id=ident or None)
