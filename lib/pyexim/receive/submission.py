"""Messages from standard input as sendmail takes them (-bm, -t).

Recipients come from the command line or (-t) from the header; errors are reported by mail, on standard
error or by the exit code, as -oe says.  Spec: chapter "The Exim command line"; sections "The UUCP From
line", "Resent- header lines", "The Bcc: header line" of "Message processing".
"""

from __future__ import annotations

import os
import sys

from pyexim.acl import api as acl
from pyexim.acl.controls import controls_of
from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits, lower
from pyexim.base.record import dataclass, field
from pyexim.base.taint import taint
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import items, parse_address
from pyexim.model.connection import Connection
from pyexim.model.message import Message, Recipient
from pyexim.receive import arrival, caller, fixups
from pyexim.receive.api import ReceiveRun, Submission
from pyexim.receive.channel import Channel, InputTimeout
from pyexim.receive.collect import FROM_LINE, TOO_BIG
from pyexim.receive.fixups import Origin
from pyexim.receive.message import Envelope, Incoming, Outcome
from pyexim.receive.report import BadAddress, report
from pyexim.receive.sizes import SizeError, size_limit
from pyexim.smtp.data import FileData


@dataclass(slots=True)
class Task:
    """One submission at work."""

    submission: Submission
    conn: Connection
    run: ReceiveRun
    scope: Scope
    message: Message
    origin: Origin
    envelope: Envelope
    bad: list[BadAddress] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)
    """Addresses that are not to have the message, with -t."""
    size_limit: int = 0


def take(fd: int, submission: Submission, conn: Connection, run: ReceiveRun) -> int:
    """Take one message; the exit code."""
    task = make_task(submission, conn, run)
    try:
        task.size_limit = size_limit(run.config.main.message_size_limit, task.scope)
    except SizeError as e:
        run.services.log.panic(f"invalid value for message_size_limit: {e}")
        return 1
    channel = Channel(fd, -1)
    channel.set_timeout(run.config.main.receive_timeout)
    problem = _recipients_of_arguments(task)
    if problem:
        return _failed(task, channel, None, problem)
    if run.config.main.acl_not_smtp_start is not None:
        acl.run_acl("not_smtp_start", run.config.main.acl_not_smtp_start, task.scope)
    incoming = Extracting(task)
    try:
        incoming.open(lf_is_space=False, strip_from=uucp_matcher(task))
        _read(channel, incoming, submission)
    except OSError as e:
        outcome = incoming.spool_failed(e)
        return _failed(task, channel, incoming, outcome.problem, outcome)
    except InputTimeout:
        incoming.abort()
        run.services.log.main("timed out while reading - message abandoned")
        sys.stderr.write("exim: timed out while reading - message abandoned\n")
        return 1
    if channel.error is not None:
        outcome = incoming.input_failed(channel.error)
        return _failed(task, channel, incoming, outcome.problem, outcome)
    uucp_sender(task, incoming)
    outcome = incoming.complete()
    if not outcome.accepted:
        return _failed(task, channel, incoming, outcome.problem, outcome)
    failed = _deliver(task, incoming)
    if failed and run.config.main.mua_wrapper:
        return failed
    # A message of which nothing is left has no id; the caller is told that it was not taken.
    return 1 if incoming.discarded else 0


def make_task(submission: Submission, conn: Connection, run: ReceiveRun) -> Task:
    """Return what there is before the first octet: scope, message with its sender, origin."""
    services, main = run.services, run.config.main
    conn.received_protocol = conn.received_protocol or "local"
    scope = Scope(run.config, services, conn=conn)
    message = Message(conn=conn)
    scope.message = message
    login, name = caller.names(services, run.config, caller.login_name(services) or conn.sender_ident or "")
    if submission.sender_name is not None:
        name = submission.sender_name
    local = conn.sender_host_address is None
    message.originator_login, message.originator_uid, message.originator_gid = (
        caller.login_name(services) or login, services.caller_uid, services.caller_gid)
    message.originator_name = name
    message.deliver_firsttime = True
    message.dont_deliver = submission.dont_deliver
    message.local_error_message = submission.local_error_message
    if not submission.no_qualify:
        message.flags.update(("allow_unqualified_sender", "allow_unqualified_recipient"))
    own = f"{login}@{main.qualify_domain}"
    sender_is_caller = submission.sender is None
    message.sender_local = local and not conn.submitter_trusted
    if submission.sender is not None:
        message.sender_address = submission.sender
        message.sender_set_untrusted = not conn.submitter_trusted
    else:
        message.sender_address = own
        message.sender_local = True
    if message.sender_local:
        # -oMai and -oMas of a trusted caller stand above these.
        conn.authenticated_id = conn.authenticated_id or login
        conn.authenticated_sender = conn.authenticated_sender or own
    envelope = Envelope(raw_sender=message.sender_address, reference=services.message_reference)
    controls = controls_of(scope)
    if submission.suppress_local_fixups:
        controls.suppress_local_fixups = True
    origin = Origin(local=local, trusted=conn.submitter_trusted, smtp=False, login=login, name=name,
                    name_given=submission.sender_name is not None, sender_is_caller=sender_is_caller)
    return Task(submission, conn, run, scope, message, origin, envelope)


def _parse(task: Task, text: str) -> tuple[str, str | None]:
    """Return (qualified address, None) or ("", error) of one recipient."""
    main = task.run.config.main
    parsed = parse_address(
        text, allow_domain_literals=main.allow_domain_literals, strip_trailing_dot=main.strip_trailing_dot,
        strip_excess_angle_brackets=main.strip_excess_angle_brackets, allow_utf8_domains=main.allow_utf8_domains)
    if parsed.error is not None:
        return "", parsed.error
    if parsed.domain_at:
        return parsed.address, None
    return f"{parsed.address}@{main.qualify_recipient}", None


def _add_recipient(task: Task, address: str) -> None:
    task.envelope.raw_recipients.append(address)
    task.message.recipients.append(Recipient(taint(address)))


def _too_many(task: Task) -> bool:
    """Tell whether there are more recipients than recipients_max."""
    option = task.run.config.main.recipients_max
    if not isinstance(option, int):
        try:
            text = expand(option, task.scope).strip(" \t\n")
        except ExpansionError as e:
            task.run.services.log.panic(f"Expansion of recipients_max failed: {e.text}")
            return False
        option = int(text) if is_digits(text) else 50000
    return 0 < option < len(task.message.recipients) + len(task.bad)


def _recipients_of_arguments(task: Task) -> str:
    """Take the recipients of the command line; the word for what is wrong with them, or "".

    With -t they are recipients only where extract_addresses_remove_arguments is off; else they are to be left out.
    """
    extracting = task.submission.extract_recipients
    adding = not extracting or not task.run.config.main.extract_addresses_remove_arguments
    for argument in task.submission.recipients:
        for start, end in items(argument):
            address, error = _parse(task, argument[start:end])
            if error is not None:
                task.bad.append(BadAddress(argument[start:], error))
                return "bad_address"
            if adding:
                _add_recipient(task, address)
            else:
                task.excluded.add(_folded(address))
    return "too_many" if not extracting and _too_many(task) else ""


# -- reading

def _read(channel: Channel, incoming: Incoming, submission: Submission) -> None:
    data = FileData(submission.dot_ends, stuffed=False, crlf_aware=False)
    while not data.finished:
        block = channel.read()
        piece = data.feed(block, final=not block)
        if piece:
            incoming.feed(piece)
        if not block:
            return


def uucp_matcher(task: Task) -> FROM_LINE | None:
    """Return what recognizes a "From " line; None where none is to be."""
    pattern = task.run.config.main.uucp_from_pattern
    if not pattern:
        return None

    def matches(line: str) -> bool:
        from pyexim.expand import regex

        groups = regex.compile(pattern).search(line)
        if groups is None:
            return False
        task.scope.facts["uucp"] = groups
        return True
    return matches


def uucp_sender(task: Task, incoming: Incoming) -> None:
    """Use the sender of a "From " line, where the caller may give it and has not given one with -f."""
    groups = task.scope.facts.pop("uucp", None)
    if groups is None or task.submission.sender is not None:
        return
    variables = task.scope.vars
    saved = {str(i): variables.get(str(i)) for i in range(len(groups))}
    for i, value in enumerate(groups):
        variables[str(i)] = value
    try:
        text = expand(task.run.config.main.uucp_from_sender or "$1", task.scope)
    except ExpansionError as e:
        task.run.services.log.panic(f"expansion of \"{task.run.config.main.uucp_from_sender}\" failed after matching "
                                    f'"From " line: {e.text}')
        return
    finally:
        for name, old in saved.items():
            if old is None:
                variables.pop(name, None)
            else:
                variables[name] = old
    parsed = parse_address(text, allow_empty=True)
    if parsed.error is not None:
        return
    sender = parsed.address
    if sender and not parsed.domain_at:
        sender = f"{sender}@{task.run.config.main.qualify_domain}"
    message = task.message
    if task.conn.submitter_trusted:
        message.sender_local = False
        task.conn.authenticated_sender = None
    elif not caller.may_set_sender(taint(sender), task.scope):
        return
    message.sender_address = taint(sender)
    task.origin.sender_is_caller = False


class Extracting(Incoming):
    """A message whose recipients may have to be taken from its header."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        super().__init__(task.run, task.scope, task.origin, task.envelope, smtp=False,
                         size_limit=task.size_limit)
        self.task = task

    def read_header(self) -> None:
        """Make Headers, and the recipients of them with -t."""
        super().read_header()
        if self.task.submission.extract_recipients and self.collector.problem in (None, TOO_BIG):
            self._extract()

    def _process(self) -> Outcome | None:
        strict = self.task.bad and self.task.submission.error_mode in ("p", "q")
        excluded = self.message.nonrecipients
        if self.task.submission.extract_recipients and _too_many(self.task):
            return Outcome(552, "too many recipients", problem="too_many", detail="too many recipients")
        if self.task.submission.extract_recipients and (
                strict or all(r.address in excluded for r in self.message.recipients)):
            fixups.fix(self.fields, self.message, self.scope, self.controls, self.origin)
            bad = bool(self.task.bad)
            text = "bad addresses found in headers" if bad else "no recipients found in headers"
            self._extraction_failed(text)
            problem = "bad_addresses" if bad else "suppressed" if self.message.recipients else "no_recipients"
            return Outcome(550, text, problem=problem, detail=text)
        if self.task.bad:
            self._extraction_failed("bad addresses found in headers")
        return super()._process()

    def store(self, said: Outcome | None) -> Outcome:
        """Commit the message; addresses that had to be left out are reported first."""
        if self.task.bad:
            report(self.task, self, "ignored_addresses", "")
        return super().store(said)

    def _extraction_failed(self, text: str) -> None:
        ident = self.message.message_id
        self.scope.services.log.panic(f"{ident} {text}", message_id=ident)

    def _extract(self) -> None:
        task, fields = self.task, self.fields
        seen: set[str] = set()
        for header in fields.headers:
            if header.type not in "TCB" or header.text[:7].lower().startswith("resent-") != fields.resent:
                continue
            body = header.text.partition(":")[2]
            for start, end in items(body):
                address, error = _parse(task, body[start:end].replace("\n", " "))
                if error is not None:
                    # What is shown is the rest of the line, as one.
                    task.bad.append(BadAddress(body[start:].removesuffix("\n").replace("\n", "\\n"), error))
                elif address not in seen:
                    seen.add(address)
                    # One that is excluded is listed, too, and counts as done.
                    _add_recipient(task, address)
        self.message.nonrecipients.update(task.excluded)
        fixups.remove_bcc(fields)


def _folded(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{lower(domain)}"


# -- afterwards

def _deliver(task: Task, incoming: Incoming) -> int | None:
    run, message, log = task.run, task.message, task.run.services.log
    stored = incoming.stored
    incoming.release()
    if stored and run.config.main.mua_wrapper:
        return run.start_delivery(message.message_id, message.queue_name)
    if not stored or incoming.controls.queue_only or incoming.controls.freeze:
        return None
    if arrival.wants_queue_only(run, smtp=False):
        return None
    reason = arrival.load_too_high(run)
    if reason:
        if log.selected("delay_delivery"):
            log.main(f"no immediate delivery: {reason}", message_id=message.message_id)
        return None
    return run.start_delivery(message.message_id, message.queue_name)


def _failed(task: Task, channel: Channel, incoming: Incoming | None, problem: str,
            outcome: Outcome | None = None) -> int:
    """Report a message that was not taken, in the way that -oe asks for; the exit code."""
    mode = task.submission.error_mode
    detail = outcome.detail if outcome is not None else ""
    sender_known = bool(task.message.sender_address) and not task.message.local_error_message
    nobody = problem in ("no_recipients", "suppressed")
    if not sender_known and (mode not in ("p", "q") or task.message.local_error_message):
        _log_no_sender(task, problem, detail)
        return 2 if nobody and not task.message.local_error_message else 1
    if mode in ("m", "w", "e"):
        if incoming is None:
            incoming = Extracting(task)
            incoming.collect_for_report(channel.read)
        sent = report(task, incoming, problem, detail)
        if mode == "e" and sent:
            return 0
        return 2 if nobody and not sent else 1
    if mode in ("p", "q"):
        _tell(task, problem, detail)
    if incoming is not None:
        incoming.abort()
    return 1


def _log_no_sender(task: Task, problem: str, detail: str) -> None:
    """Log what nobody can be told."""
    text = {"size": f"message too big (limit set to {detail})",
            "acl": f"rejected by non-SMTP ACL: {detail}",
            "no_recipients": "no recipient addresses",
            "suppressed": "no recipient addresses"}.get(problem, detail or problem)
    if task.bad:
        text = f"at least one malformed recipient address: {task.bad[0].text.strip()} - {task.bad[0].error}"
    reference = f" (R={task.envelope.reference})" if task.envelope.reference else ""
    ident = task.message.message_id or None
    task.run.services.log.main(f"Error while reading message with no usable sender address{reference}: {text}",
                               message_id=ident)


def _tell(task: Task, problem: str, detail: str) -> None:
    main = task.run.config.main
    if problem in ("bad_address", "bad_addresses"):
        if problem == "bad_address":
            text = "".join(f'exim: bad recipient address "{b.text}": {b.error}\n' for b in task.bad)
        else:
            several = len(task.bad) > 1
            text = "exim: invalid address" + ("es:\n" if several else ": ") + "".join(
                f"{'  ' if several else ' '}{b.text}: {b.error}\n" for b in task.bad)
    elif problem == "too_many":
        text = "exim: too many recipients\n" if not task.submission.extract_recipients else (
            "exim: message rejected: too many recipients\n")
    elif problem in ("no_recipients", "suppressed"):
        text = "exim: no recipients in message\n"
    elif problem == "size":
        text = f"exim: message rejected: message too big (max={detail})\n"
    elif problem == "header":
        text = f"exim: message header longer than {main.header_maxsize} characters received: message not accepted\n"
    elif problem == "header_line":
        text = (f"exim: message header line longer than {main.header_line_maxsize} characters received: "
                "message not accepted\n")
    elif problem == "acl":
        text = f"exim: message rejected by non-SMTP ACL: {detail}\n"
    else:
        text = f"exim: {detail or problem}\n"
    try:
        os.write(2, text.encode("latin-1", "replace"))
    except OSError:
        return
