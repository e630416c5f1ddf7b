"""Bounces, success reports, and freezing: what the sender or the administrator hears of an attempt.

A message made here goes in by the front door (``services.submit``), like anybody's.  Spec: sections
"Permanent delivery failure" and "Failures to deliver bounce messages", chapter "Customizing bounce and
warning messages", options bounce_*, errors_copy, freeze_tell, ignore_bounce_errors_after.
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import strip
from pyexim.deliver import report
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.record import Record
from pyexim.expand.engine import expand
from pyexim.match.lists import match_address, split_list
from pyexim.model.address import Address
from pyexim.transports.base import Result

Failure = tuple[Address, Result | None]

_DEFAULT_FROM = "Mail Delivery System <Mailer-Daemon@{}>"


def handle_failures(record: Record, run: DeliverRun, *, cancelled: bool) -> None:
    """Bounce the failed addresses of an attempt, or freeze the message where there is nobody to tell.

    Afterwards ``record.failed`` is empty: addresses are done with, or (deferred) wait for a thaw or
    for a bounce that can be submitted.
    """
    message, main = record.message, run.config.main
    now = run.services.clock.time()
    groups: dict[str, list[Failure]] = {}
    undeliverable: list[Failure] = []
    for address, result in reversed(record.failed):
        to = message.sender_address if address.errors_address is None else address.errors_address
        if message.sender_address == "" and not to:
            if cancelled or "cancelled" in address.flags:
                record.done(address)
            elif "timed_out" in address.flags or (
                    now - message.received_time >= main.ignore_bounce_errors_after):
                record.main(f"{address.address}: error ignored")
                record.done(address)
            else:
                undeliverable.append((address, result))
        elif to == "" or "ignore_error" in address.flags:
            record.main(f"{address.address}: error ignored")
            record.done(address)
        elif to not in groups and address.dsn_flags & report.NOTIFY_ANY and (
                not address.dsn_flags & report.NOTIFY_FAILURE):
            # Once there is a report to somebody, it tells of all failures (as Exim's does).
            record.main(f"{address.address}: error ignored: RFC 3461 DSN, failure notify not requested")
            record.done(address)
        else:
            groups.setdefault(to, []).append((address, result))
    record.failed = []
    for to, failures in groups.items():
        code = submit_bounce(record, run, to, failures)
        if code == 0:
            for address, _ in failures:
                record.done(address)
        else:
            record.main(f"Process failed ({code}) when writing error message to {to}")
            record.deferred += failures
    if undeliverable:
        record.deferred += undeliverable
        freeze(record, run, " (delivery error message)", now)


def freeze(record: Record, run: DeliverRun, why: str, now: float) -> None:
    """Freeze the message, log it and tell whom freeze_tell names."""
    message = record.message
    message.frozen_since = float(int(now))
    tell = run.config.main.freeze_tell
    if tell and not message.local_error_message:
        text = f"Message {message.message_id} has been frozen{why}.\nThe sender is <{message.sender_address}>.\n"
        if record.deferred:
            text += "\nThe following address(es) have yet to be delivered:\n"
            text += "".join(f"  {a.address}: {a.message or 'no detail'}\n" for a, _ in record.deferred)
        to = ", ".join(strip(t) for t in tell.split(",") if strip(t))
        head = head_lines(record, run, to) + "Subject: Message frozen\n"
        submit(record, run, (head + "\n" + text).encode("latin-1"))
    record.main(f"Frozen{why}")
    record.note(f"*** Frozen{why}", stamp=False)


def from_line(record: Record, run: DeliverRun) -> str:
    """Return the From: field of messages made here (dsn_from)."""
    main = run.config.main
    text = _DEFAULT_FROM.format(qualify_domain(run))
    if main.dsn_from is not None:
        try:
            text = expand(main.dsn_from, record.scope)
        except ExpansionError as e:
            run.services.log.panic(f'failed to expand dsn_from "{main.dsn_from}": {e.text}')
    return f"From: {text}\n"


def qualify_domain(run: DeliverRun) -> str:
    """Return the domain of Mailer-Daemon."""
    return run.config.main.qualify_domain or run.services.primary_hostname


def head_lines(record: Record, run: DeliverRun, to: str, *, failed: list[str] | None = None) -> str:
    """Return the header fields that all messages made here have, up to References."""
    out = ""
    if failed:
        out += "X-Failed-Recipients: " + ",\n  ".join(failed) + "\n"
    if run.config.main.errors_reply_to:
        out += f"Reply-To: {run.config.main.errors_reply_to}\n"
    out += "Auto-Submitted: auto-replied\n"
    return out + from_line(record, run) + f"To: {to}\n" + report.references(record.message)


def submit(record: Record, run: DeliverRun, data: bytes) -> int:
    """Submit a message made here, from nobody; the exit code."""
    if run.services.submit is None:
        run.services.log.panic("a report cannot be submitted: this process has no way to do it",
                               message_id=record.message.message_id)
        return 1
    arguments = ["-odi", "-t", "-oem", "-oi", "-f", "<>", f"-E{record.message.message_id}"]
    auth = run.config.main.bounce_sender_authentication
    if auth:
        arguments[1:1] = ["-oMas", auth]
    return run.services.submit(arguments, data)


def return_rules(run: DeliverRun) -> report.ReturnRules:
    """Return how much of the original goes into a bounce."""
    main = run.config.main
    return report.ReturnRules(main.bounce_return_message, main.bounce_return_body, main.bounce_return_size_limit,
                              main.bounce_return_linesize_limit)


def submit_bounce(record: Record, run: DeliverRun, to: str, failures: list[Failure]) -> int:
    """Make and submit the bounce to one address; the exit code of the submission."""
    message, main, scope = record.message, run.config.main, record.scope
    message.bounce_recipient = to
    scope.vars["bounce_recipient"] = to
    scope.vars["bounce_return_size_limit"] = str(main.bounce_return_size_limit)
    scope.address = failures[0][0]
    try:
        items = read_items(main.bounce_message_file, record, run, "bounce_message_file")
        names = [report.original_address(a) for a, _ in failures if not report.hidden(a)]
        head = head_lines(record, run, to, failed=names)
        for copy in errors_copy(record, run, to):
            head += f"Bcc: {copy}\n"
        mark = report.boundary(run.services.clock.time())
        head += (f"Content-Type: multipart/report; report-type=delivery-status; boundary={mark}\n"
                 "MIME-Version: 1.0\n")
        head += items.get(0) or ("Subject: Mail delivery failed" + (
            ": returning message to sender" if to == message.sender_address else "") + "\n")
    finally:
        del scope.vars["bounce_recipient"], scope.vars["bounce_return_size_limit"]
    text = items.get(1) or _first_words(message.sender_address, to, main.bounce_message_text)
    text += "\n" + _list(failures) + _outputs(failures, items.get(2))
    rules = return_rules(run)
    original = None
    if rules.message:
        hdrs = not rules.body or message.dsn_ret == report.RET_HDRS
        original = report.returned(message, record.locked.data_fd, rules, headers_only=hdrs)
    backwards = failures[::-1]
    ordered = sorted(backwards, key=lambda failure: failure[1] is None or not failure[1].return_output)
    status = report.delivery_status(message, run.services.primary_hostname, ordered, "failed", "5.0.0")
    return submit(record, run, head.encode("latin-1") + b"\n" + report.multipart(mark, text, status, original))


def _first_words(sender: str, to: str, extra: str | None) -> str:
    out = "This message was created automatically by mail delivery software.\n" + (f"{extra}\n" if extra else "\n")
    if sender == to:
        return out + ("A message that you sent could not be delivered to one or more of its\n"
                      "recipients. This is a permanent error. The following address(es) failed:\n")
    return out + (f"A message sent by\n\n  <{sender}>\n\ncould not be delivered to one or more of its recipients. "
                  "The following\naddress(es) failed:\n")


def _list(failures: list[Failure]) -> str:
    out = ""
    for address, result in failures:
        out += report.printed(address) + "\n" + report.reason(address, result)
    return out


def _outputs(failures: list[Failure], words: str | None) -> str:
    """Return what pipes wrote that is to be returned."""
    told = [(a, r) for a, r in failures if r is not None and r.return_output and r.output]
    if not told:
        return ""
    out = "\n" + (words or f"The following text was generated during the delivery attempt{'s' * (len(told) > 1)}:\n")
    for address, result in told:
        name = report.printed(address).strip(" ").replace("\n    generated", "\n       generated")
        out += f"\n------ {name} ------\n\n{result.output}" + ("" if str(result.output).endswith("\n") else "\n")
    return out


def read_items(source: str | None, record: Record, run: DeliverRun, option: str) -> dict[int, str]:
    """Return the items of a template file, expanded; empty ones and failures are left out."""
    if source is None:
        return {}
    log = run.services.log
    try:
        path = expand(source, record.scope)
        with open(path, encoding="latin-1", newline="") as f:
            content = f.read()
    except ExpansionError as e:
        log.panic(f"Failed to expand {option} {source}: {e.text}")
        return {}
    except OSError as e:
        log.panic(f"Failed to open {path} for {option}: {e.strerror}")
        return {}
    items: dict[int, str] = {}
    number = 0
    lines: list[str] = []
    for line in [*(x + "\n" for x in content.removesuffix("\n").split("\n")), "****\n"]:
        if line.rstrip("\n") == "****":
            text = "".join(lines)
            if text.strip(" \t\n"):
                try:
                    items[number] = expand(text, record.scope)
                except ExpansionError as e:
                    log.panic(f"Failed to expand an item of {path}: {e.text}")
            number, lines = number + 1, []
        else:
            lines.append(line)
    return items


def errors_copy(record: Record, run: DeliverRun, to: str) -> list[str]:
    """Return the addresses that errors_copy sends copies of a bounce to."""
    source = run.config.main.errors_copy
    if not source:
        return []
    scope = record.scope
    local_part, _, domain = to.rpartition("@")
    scope.vars["local_part"], scope.vars["domain"] = local_part, domain
    try:
        for item in split_list(source):
            pattern, rest = _pattern(item)
            if match_address(to, pattern, scope):
                copies = expand(rest, scope)
                return [strip(c) for c in copies.split(",") if strip(c)]
    except ExpansionError as e:
        run.services.log.panic(f"failed to expand errors_copy: {e.text}")
    finally:
        del scope.vars["local_part"], scope.vars["domain"]
    return []


def _pattern(item: str) -> tuple[str, str]:
    """Return (pattern, address list) of an item of errors_copy; a pattern may be quoted."""
    if item.startswith('"'):
        pattern, _, rest = item[1:].partition('"')
        return pattern, strip(rest)
    for i, c in enumerate(item):
        if c in " \t":
            return item[:i], strip(item[i:])
    return item, ""


def report_success(record: Record, run: DeliverRun) -> None:
    """Tell the sender of redirections and deliveries that NOTIFY=SUCCESS asked to be told of."""
    message = record.message
    told, record.success_wanted = record.success_wanted, []
    if not told or message.sender_address == "":
        return
    mark = report.boundary(run.services.clock.time())
    head = (from_line(record, run) + f"Auto-Submitted: auto-generated\nTo: {message.sender_address}\n"
            "Subject: Delivery Status Notification\n" + report.references(message)
            + f"Content-Type: multipart/report; report-type=delivery-status; boundary={mark}\nMIME-Version: 1.0\n")
    text = ("This message was created automatically by mail delivery software.\n"
            " ----- The following addresses had successful delivery notifications -----\n")
    status = f"Reporting-MTA: dns; {run.services.primary_hostname}\n"
    if message.dsn_envid:
        status += f"Original-Envelope-ID: {message.dsn_envid}\n"
    status += "\n"
    for address, result in told:
        remote = result is not None and result.host_name is not None
        how = 'via non "Remote SMTP" router'
        if remote:
            how = "via non DSN router" if "dsn_lasthop" in address.flags else "to non-DSN-aware mailer"
        text += f"<{address.address}> (relayed {how})\n\n"
        if address.dsn_orcpt:
            status += f"Original-Recipient: {address.dsn_orcpt}\n"
        status += f"Action: delivered\nFinal-Recipient: rfc822;{address.address}\nStatus: 2.0.0\n"
        if result is not None and remote:
            status += f"Remote-MTA: dns; {result.host_name}\nDiagnostic-Code: smtp; 250 Ok\n\n"
        else:
            status += "Diagnostic-Code: X-Exim; relayed via non SMTP router\n\n"
    original = report.returned(message, record.locked.data_fd, return_rules(run), headers_only=True)
    text = text.removesuffix("\n")
    submit(record, run, head.encode("latin-1") + b"\n" + report.multipart(mark, text, status, original))
