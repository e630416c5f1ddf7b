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
COPY_OF_PART = ("------ This is a copy of your message, including all the headers.\n"
                "------ No more than {} characters of the body are included.")
COPY_OF_HEADER = ("------ This is a copy of the headers that were received before the error\n"
                  "       was detected.")
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
            dot = "" if not bad[0].text.rstrip().endswith(".") else (
                "\nRecipient addresses must not end with a '.' character.\n")
            return subject, ("A message that you sent contained a recipient address that was incorrectly\n"
                             "constructed:\n\n"
                             f"{_addresses(bad, '  ')}{dot}\nThe message has not been delivered to any recipients.\n")
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


def _header(incoming: Incoming, problem: str) -> str:
    """Return the header as a report shows it: all lines, also those that were replaced."""
    if problem == "too_many":
        return ""
    lines = incoming.fields.headers
    if lines:
        # Only what an ACL has refused has our Received: line.
        return "".join(h.text for h in lines if h.type != "P" or problem == "acl")
    return "".join(incoming.collector.fields) if hasattr(incoming, "collector") else ""


def report(task: Task, incoming: Incoming, problem: str, detail: str) -> bool:
    """Send the report to the message's sender, with the message itself; tell whether it was taken."""
    services, main = task.run.services, task.run.config.main
    to = task.message.sender_address
    if services.submit is None or not to:
        return False
    subject, text = _content(task, problem, detail)
    try:
        sender = expand(main.dsn_from or DEFAULT_FROM, task.scope)
    except ExpansionError as e:
        services.log.panic(f"Failed to expand dsn_from: {e.text}")
        sender = f"Mail Delivery System <Mailer-Daemon@{main.qualify_domain}>"
    # A message of which not even the header was taken has no name yet.
    ident = task.message.message_id if problem not in ("header", "header_line", "too_many") else ""
    head = f"Auto-Submitted: auto-replied\nFrom: {sender}\nTo: {to}\n"
    if ident:
        for header in incoming.fields.headers:
            if header.type == "I":
                head += f"References:{header.text.partition(':')[2].rstrip(chr(10))}\n"
                break
    head += f"Subject: {subject}\n"
    limit = main.bounce_return_size_limit
    copy = COPY
    if problem == "size" and incoming.size_limit < limit:
        limit = incoming.size_limit
        copy = COPY_OF_PART.format(limit)
    if not main.bounce_return_message:
        data = f"{head}\n{text}".encode("latin-1", "replace")
    elif not main.bounce_return_body:
        # A wrong argument is seen before the header.
        received = _header(incoming, problem) if problem != "bad_address" else ""
        data = f"{head}\n{text}\n{COPY_OF_HEADER}\n\n{received}\n".encode("latin-1", "replace")
    else:
        data = f"{head}\n{text}\n{copy}\n\n{_header(incoming, problem)}\n".encode("latin-1", "replace")
        data += incoming.body_for_report(limit - (incoming.collector.header_size if problem == "size" else 0))
    arguments = ["-t", "-oem", "-oi", "-f", "<>", f"-E{ident}"]
    code = services.submit(arguments, data)
    if code:
        services.log.main(f"Child mail process returned status {code}", message_id=ident or None)
    return not code
