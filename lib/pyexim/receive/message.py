"""One message being received, whatever way it comes: from the first octet to the promise that it is safe.

``Incoming`` collects the octets (``receive.collect``), fixes the header (``receive.fixups``), runs the ACL
for the end of the data, has the spool commit it, writes the arrival line, and tells what is to be answered.
Whoever drives it (a session, a batch, a submission) sends the answer and then calls ``release``, which
gives up the lock and asks for the delivery.

Spec: "Handling an incoming message", chapters "Message processing" and "Log files".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.acl.controls import FAKE_TEXT, AclControls, controls_of, take_headers
from pyexim.base.errors import ExpansionError, SpoolError
from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope
from pyexim.mailfmt import dates
from pyexim.model.message import Header, Message
from pyexim.model.reply import Reply
from pyexim.receive import arrival, caller, collect, fixups
from pyexim.receive.api import ReceiveRun
from pyexim.receive.collect import FROM_LINE, Collector
from pyexim.receive.received import received_text
from pyexim.receive.rejection import rejected_header, write_rejection
from pyexim.receive.texts import host_and_ident, sender_text, tls_text
from pyexim.spool import api as spool

if TYPE_CHECKING:
    from pyexim.verify.cutthrough import Cutthrough

TEMPORARY: Final = "Temporary local problem - please try later"
PROHIBITED: Final = "Administrative prohibition"


@dataclass(slots=True)
class Outcome:
    """What became of a message.

    ``code`` and ``text`` are the SMTP answer; ``extended`` stands before every line of it.  ``problem`` is
    the word for a local submission's error report ("" when it was accepted); ``detail`` its text.
    """

    code: int
    text: str
    extended: str | None = None
    accepted: bool = False
    problem: str = ""
    detail: str = ""
    drop: bool = False
    details: str | None = None
    """What is said before the text about a sender that could not be verified."""
    before: list[Reply] = field(default_factory=list)
    """Replies that come first: those for single recipients, with PRDR."""


@dataclass(slots=True)
class Envelope:
    """What the log line says of the envelope as it was given, and what has been asked for beside it."""

    raw_sender: str = ""
    raw_recipients: list[str] = field(default_factory=list)
    discarded_by: str = ""
    """MAIL, RCPT, DATA or non-SMTP: the ACL that has thrown recipients away."""
    discard_text: str = ""
    reference: str | None = None
    """The message that a bounce made here is about (-oMm)."""


class Incoming:
    """A message on its way in.  ``open`` it, ``feed`` it, ``complete`` or ``abort`` it."""

    __slots__ = (
        "_before_data_acl",
        "_kept",
        "_new",
        "chunked",
        "collector",
        "controls",
        "cutthrough",
        "delivery_can_wait",
        "discarded",
        "envelope",
        "failed",
        "fields",
        "message",
        "origin",
        "pipelining",
        "replies",
        "run",
        "scope",
        "size_limit",
        "smtp",
        "some_refused",
        "started",
    )

    def __init__(self, run: ReceiveRun, scope: Scope, origin: fixups.Origin, envelope: Envelope, *,
                 smtp: bool = True, size_limit: int = 0) -> None:
        self.run = run
        self.scope = scope
        message = scope.message
        assert message is not None
        self.message: Message = message
        self.controls: AclControls = controls_of(scope)
        self.origin = origin
        self.envelope = envelope
        self.smtp = smtp
        self.size_limit = size_limit
        self.fields = fixups.Fields([])
        self._new: spool.NewMessage | None = None
        self._kept = b""
        self._before_data_acl: tuple[list[Header], bool] = [], False
        """For cutthrough delivery: the header as it was then, and whether the ACL has changed it."""
        self.started = 0.0
        self.discarded = False
        self.cutthrough: Cutthrough | None = None
        """The connection down which the message goes once it is here."""
        self.delivery_can_wait = False
        """The message is stored because delivery has just been tried."""
        self.chunked = False
        self.failed: OSError | None = None
        """Why the spool did not take the body."""
        self.pipelining: str | None = None
        """What follows "L" in the log line; None where pipelining was not offered."""
        self.replies: list[Reply] = []
        """With PRDR: what is answered for single recipients."""
        self.some_refused = False
        self.collector: Collector

    # -- taking it in

    def open(self, *, lf_is_space: bool = True, chunked: bool = False, strip_from: FROM_LINE | None = None) -> None:
        """Give the message its id and its data file; OSError."""
        now = self.started = self.scope.services.clock.time()
        message, main = self.message, self.scope.config.main
        message.received_time = now
        message.message_id = self.run.ids.next(now)
        message.queue_name = message.queue_name or self.run.spool.queue_name
        self._new = spool.create(self._spool_settings(), message.message_id)
        self.collector = Collector(
            self._new.write, header_maxsize=main.header_maxsize, header_line_maxsize=main.header_line_maxsize,
            size_limit=self.size_limit, lf_is_space=lf_is_space, check_crlf=chunked, strip_from=strip_from)

    def settle_sender(self) -> None:
        """See to it that an untrusted caller of -bs or -bS has a sender that he may have; before ``open``."""
        if self.origin.local and not self.origin.trusted:
            caller.own_sender(self.message, self.origin.login, self.scope)
            self.envelope.raw_sender = self.message.sender_address

    def _spool_settings(self) -> spool.SpoolSettings:
        settings = self.run.spool
        name = self.message.queue_name
        if name == settings.queue_name:
            return settings
        from pyexim.base.record import replace  # only for a message that an ACL puts into a queue of its own

        return replace(settings, queue_name=name)

    def feed(self, data: bytes) -> None:
        """Take octets of the message; OSError where the spool fails."""
        self.collector.feed(data)

    def abort(self) -> None:
        """Forget the message: nothing of it stays on the spool."""
        if self._new is not None:
            self._new.abort()
            self._new = None

    def release(self) -> None:
        """Give up the lock; from now on the message may be delivered."""
        if self._new is not None:
            self._new.close()
            self._new = None

    def left_to_another(self) -> None:
        """Forget the message here: a process forked from this one goes on with it."""
        if self._new is not None:
            self._new.left_to_another()
            self._new = None

    def taken_over(self) -> None:
        """Go on with a message that the process this one was forked from began; OSError where it cannot be locked."""
        if self._new is not None:
            self._new.taken_over()

    # -- the end of it

    def complete(self) -> Outcome:
        """The message is there: check it, fix it, store it.  Never raises for what can go wrong with it."""
        try:
            self.collector.finish()
            refusal = self._too_much()
            if refusal is None:
                self.read_header()
                refusal = self._process()
        except (OSError, SpoolError) as e:
            refusal = self._spool_failed(e)
        except ExpansionError as e:
            self.log_panic(e.text)
            refusal = Outcome(451, TEMPORARY, problem="spool", detail=e.text)
        if refusal is not None and not refusal.accepted:
            refusal.before = self.replies
            if not self.smtp:
                self._kept = self.body_for_report(self.scope.config.main.bounce_return_size_limit)
            self.abort()
            return refusal
        if self.cutthrough is not None:
            from pyexim.receive import cutthrough  # rarely asked for

            sent = cutthrough.deliver(self, *self._before_data_acl)
            if sent is not None:
                if not sent.accepted:
                    self.abort()
                return sent
        outcome = self.store(refusal)
        outcome.before = self.replies
        return outcome

    def complete_header(self) -> None:
        """Take the counts of the collector over into the message (before anything looks at them)."""
        c, message = self.collector, self.message
        message.body_linecount = c.body_lines
        message.body_zerocount = c.body_zeros
        message.body_size = c.body_size
        message.max_received_linelength = c.longest
        message.message_linecount = c.body_lines + c.header_lines + (1 if c.body_size else 0)

    def read_header(self) -> None:
        """Make Headers of the fields that came in."""
        self.complete_header()
        self.fields = fixups.classify(self.collector.fields)
        self.message.headers = self.fields.headers
        self.message.received_count = self.fields.received_count

    def _too_much(self) -> Outcome | None:
        problem = self.collector.problem
        if problem is None:
            return None
        log = self.scope.services.log
        main = self.scope.config.main
        who = host_and_ident(self.message.conn, log, use_h=False)
        sender = self.message.sender_address
        if problem == collect.TOO_BIG:
            return self._too_big()
        if problem == collect.HEADER_TOO_LONG:
            log.main(f"ridiculously long message header received from {who} (more than {main.header_maxsize} "
                     "characters): message abandoned")
            return Outcome(552, "Message header is ridiculously long", problem="header",
                           detail=f"{main.header_maxsize}")
        if problem == collect.LINE_TOO_LONG:
            log.main(f"overlong message header line received from {who} (more than {main.header_line_maxsize} "
                     "characters): message abandoned")
            return Outcome(552, "A message header line is too long", problem="header_line",
                           detail=f"{main.header_line_maxsize}")
        self.read_header()
        who = host_and_ident(self.message.conn, log, interface=False)
        log.reject(f"rejected from <{sender}> {who}: Non-CRLF-terminated header, "
                   "under CHUNKING: message abandoned", headers=self.reject_headers())
        return Outcome(552, "Message header not CRLF terminated", problem="spool")

    def _too_big(self) -> Outcome:
        self.read_header()
        fixups.fix(self.fields, self.message, self.scope, self.controls, self.origin)
        log = self.scope.services.log
        message = self.message
        # A session is read to its end, other input only until it is too much.
        c = self.collector
        read = c.size + (1 if c.header_size else 0) if self.smtp else self.size_limit + 1
        if self.chunked:
            read += c.body_lines
        who = host_and_ident(message.conn, log, interface=False)
        text = f"rejected from <{message.sender_address}> {who}: message too big: read={read} max={self.size_limit}"
        log.reject(text, message_id=message.message_id, headers=self.reject_headers(),
                   also_main=log.selected("size_reject"))
        return Outcome(552, "Message size exceeds maximum permitted", problem="size", detail=f"{self.size_limit}")

    def spool_failed(self, error: OSError) -> Outcome:
        """The spool has not taken the message: report that and forget it."""
        outcome = self._spool_failed(error)
        self.abort()
        return outcome

    def input_failed(self, error: OSError) -> Outcome:
        """The input could not be read to its end: what has come is not the message."""
        log = self.scope.services.log
        text = f"Input read error ({os.strerror(error.errno or 0)})"
        log.main(f"Message abandoned: {text} while receiving message from {self.message.conn.sender_ident or ''}",
                 message_id=self.message.message_id)
        self.abort()
        return Outcome(421, text, problem="spool", detail=text)

    def _spool_failed(self, error: OSError | SpoolError) -> Outcome:
        number = error.errno
        reason = os.strerror(number) if isinstance(error, OSError) and number else str(error)
        text = f"Error while writing spool file: {reason}"
        self.scope.services.log.main(
            f"{host_and_ident(self.message.conn, self.scope.services.log)} {text}: message abandoned",
            message_id=self.message.message_id)
        self.log_panic(f"{text} ({self.message.message_id})")
        return Outcome(452, "Error while writing spool file", problem="spool", detail=text)

    def log_panic(self, text: str) -> None:
        """Write to the panic log, with the message's id."""
        self.scope.services.log.panic(text, message_id=self.message.message_id or None)

    def _process(self) -> Outcome | None:
        """Fix the header, run the ACL; None when the message is to be stored."""
        scope, message, fields = self.scope, self.message, self.fields
        self._measure()  # what the ACL sees is the size as received
        fixups.remove_delivery_lines(fields, scope)
        fixups.fix(fields, message, scope, self.controls, self.origin)
        added, removed = take_headers(scope)
        if removed:
            fixups.apply_acl_changes(fields.headers, [], removed)
        if len(message.recipients) == 1:
            message.received_for = message.recipients[0].address
        received = received_text(scope, message)
        message.received_for = None
        if received:
            fields.headers.insert(0, Header(f"{received};\n\t{dates.rfc5322(self.started)}\n", "P"))
        else:
            fields.headers.insert(0, Header(f"Received: ; {dates.rfc5322(self.started)}\n", "*"))
        if added:
            fixups.apply_acl_changes(fields.headers, added, [])
        if len(message.recipients) > 1 and "prdr_requested" in scope.vars:
            from pyexim.receive import prdr  # rarely agreed on

            self.show_body()
            asked = len(message.recipients)
            self.replies = prdr.ask(scope, message)
            self.some_refused = len(message.recipients) < asked
        if self.cutthrough is not None:
            self._before_data_acl = [Header(h.text, h.type) for h in fields.headers], False
        refusal = self._run_acl() if message.recipients or not self.replies else None
        if refusal is not None and not refusal.accepted:
            return refusal
        added, removed = take_headers(scope)
        if added or removed:
            fixups.apply_acl_changes(fields.headers, added, removed)
            self._before_data_acl = self._before_data_acl[0], True
        message.received_time_complete = now = scope.services.clock.time()
        if received:
            for h in fields.headers:
                if h.type == "P":
                    h.text = f"{received};\n\t{dates.rfc5322(now)}\n"
                    break
        self._measure()
        return refusal

    def use_headers(self, headers: list[Header]) -> None:
        """Go back to the header as it was before the DATA ACL."""
        self.fields.headers[:] = headers
        self._measure()

    def _measure(self) -> None:
        size = 0
        for h in self.fields.headers:
            if h.type != "*":
                length = len(h.text)
                # As Exim has it: a length of more than three digits counts with the digits beyond.
                size += length if length < 1000 else length + len(str(length)) - 3
        self.message.message_size = size + 1 + self.message.body_size

    def show_body(self) -> spool.NewMessage:
        """Let ACLs use $message_body: what has come is written to the data file; the message on the spool."""
        new = self._new
        assert new is not None
        new.flush()
        self.message.data_path, self.message.data_start = new.data_path, new.data_start
        return new

    def _run_acl(self) -> Outcome | None:
        """Run the ACL for the whole message; a refusal, or None."""
        main = self.scope.config.main
        if self.smtp and not self.message.conn.batched:
            source, where = main.acl_smtp_data, "data"
        else:
            source, where = main.acl_not_smtp, "not_smtp"
        if source is None:
            return None
        self.show_body()
        result = acl.run_acl(where, source, self.scope)
        if result.status == acl.OK:
            if result.user_text and self.smtp:
                return Outcome(result.code or 250, result.user_text, result.extended, accepted=True)
            return None
        if result.status == acl.DISCARD:
            self.message.recipients.clear()
            self.discarded = True
            kind = "DATA" if self.smtp else "non-SMTP"
            self.envelope.discarded_by = kind
            self.envelope.discard_text = result.log_text
            return None
        return self._acl_refused(result)

    def _acl_refused(self, result: acl.AclResult) -> Outcome:
        scope, message = self.scope, self.message
        log = scope.services.log
        deferred = result.status == acl.DEFER
        if self.smtp and not message.conn.batched:
            text = f"{host_and_ident(message.conn, log)}{tls_text(message.conn, log)} {sender_text(message)} " \
                   f"{'temporarily ' if deferred else ''}rejected after DATA"
            default_text = TEMPORARY if deferred else PROHIBITED
            detail = result.log_text or default_text
        else:
            # nobody is there to try again: a deferral is a rejection
            text = f"F=<{message.sender_address}> rejected by non-SMTP ACL"
            default_text = PROHIBITED
            detail = "local configuration problem" if result.error else result.log_text or default_text
        if result.log_text:
            text += f": {result.log_text}"
        if self.smtp and not message.conn.batched:
            added, removed = take_headers(scope)
            fixups.apply_acl_changes(self.fields.headers, added, removed)
        headers = self.reject_headers()
        if result.sender_verify_log and log.selected("sender_verify_fail"):
            log.reject(f"{host_and_ident(message.conn, log)} {result.sender_verify_log}",
                       message_id=message.message_id, headers=headers)
        write_rejection(log, text, result, message.message_id, headers)
        user = result.user_text or default_text
        return Outcome(result.code or (451 if deferred else 550), user, result.extended, problem="acl",
                       detail=result.user_text or detail, drop=result.status == acl.DROP,
                       details=result.sender_verify_failed)

    def reject_headers(self) -> str:
        """Return the header lines as the reject log shows them."""
        return rejected_header(self.message, self.envelope.raw_recipients, self.scope.services.log)

    # -- storing it

    def store(self, said: Outcome | None) -> Outcome:
        """Commit the message and log its arrival; the answer."""
        message, controls = self.message, self.controls
        if controls.freeze:
            message.frozen_since = message.received_time_complete
        if not message.recipients:
            if self.replies:
                self.abort()  # every recipient was refused, and the client knows
                return self._answer(said)
            return self._to_nowhere(said)
        message.data_path = None
        if message.conn.host_checking:
            self.scope.services.log.main(arrival.line(self), message_id=message.message_id)
            self.abort()  # -bh: nothing is for real
            return self._answer(said)
        new = self._new
        assert new is not None
        try:
            new.commit(message)
        except (OSError, SpoolError) as e:
            outcome = self._spool_failed(e)
            self.abort()
            return outcome
        line = arrival.line(self)
        log = self.scope.services.log
        log.main(line, message_id=message.message_id)
        frozen = "frozen by ACL" if controls.freeze else ""
        if frozen:
            log.main(frozen, message_id=message.message_id)
        if self.run.spool.message_logs:
            arrival.message_log(self, line, frozen)
        return self._answer(said)

    def _to_nowhere(self, said: Outcome | None) -> Outcome:
        """All recipients were discarded: the message is taken, and goes nowhere."""
        log = self.scope.services.log
        ident = self.message.message_id
        log.main(arrival.line(self), message_id=ident)
        self.abort()
        by = self.envelope.discarded_by
        text = f": {self.envelope.discard_text}" if self.envelope.discard_text else ""
        log.main(f"=> blackhole ({by} ACL discarded recipients){text}", message_id=ident)
        log.main("Completed", message_id=ident)
        return self._answer(said)

    def _answer(self, said: Outcome | None) -> Outcome:
        controls = self.controls
        if self.replies and said is None:
            some = " for some recipients" if self.some_refused else ""
            said = Outcome(250, f"id={self.message.message_id} message accepted{some}", accepted=True)
        if controls.fake_code is not None and self.smtp:
            return Outcome(controls.fake_code, controls.fake_text or FAKE_TEXT, accepted=True)
        if said is not None:
            return said
        return Outcome(250, f"OK id={self.message.message_id}", accepted=True)

    def write_message_log(self, text: str) -> None:
        """Begin the message's own log; OSError."""
        if self._new is not None:
            self._new.write_message_log(text)

    def collect_for_report(self, read: Callable[[], bytes]) -> None:
        """Read a message that will not be taken, for the report that quotes it."""
        pieces: list[bytes] = []
        while data := read():
            pieces.append(data)
        self._kept = b"".join(pieces)

    def body_for_report(self, limit: int) -> bytes:
        """Return the beginning of the body, for a report that quotes it."""
        new = self._new
        if new is None:
            return self._kept[:limit]
        new.flush()
        return os.pread(new.data_fd, limit, new.data_start)

    @property
    def stored(self) -> bool:
        """Tell whether the message is on the spool and may be delivered."""
        return self._new is not None
