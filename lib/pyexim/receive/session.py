"""One SMTP session: drives the protocol core (``smtp.server``) over a channel and applies the policy.

``Session.run`` is the loop: octets from the channel into the core, events from the core to the handlers
here and in ``receive.commands``, answers back.  Nothing of a session outlives it.

Spec: chapter "SMTP processing"; log lines as in "Log files".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim.acl import api as acl
from pyexim.acl.controls import AclControls, controls_of
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import is_digits
from pyexim.config.configuration import Configuration
from pyexim.config.pace import parse_pace
from pyexim.expand.engine import expand
from pyexim.expand.event import fire
from pyexim.expand.scope import Scope, Services
from pyexim.match.lists import Match, match_host
from pyexim.model.connection import Connection
from pyexim.model.message import Message
from pyexim.receive import arrival, closing, opening
from pyexim.receive.api import ReceiveRun
from pyexim.receive.authentication import Authentication
from pyexim.receive.caller import login_of, names
from pyexim.receive.channel import Channel, InputTimeout
from pyexim.receive.commands import HANDLERS
from pyexim.receive.encryption import Encryption
from pyexim.receive.fixups import Origin
from pyexim.receive.message import PROHIBITED, TEMPORARY, Envelope, Incoming, Outcome
from pyexim.receive.rejection import write_rejection
from pyexim.receive.sizes import SizeError, size_limit
from pyexim.receive.texts import connection_info, fold_reply, host_and_ident, sender_text, shown, tls_text
from pyexim.smtp.server import (
    CLOSED,
    NEED_DATA,
    AuthAnswer,
    BodyData,
    BodyEnd,
    Command,
    EndOfInput,
    Limits,
    Refused,
    Server,
    SyncError,
    TooMany,
)

if TYPE_CHECKING:
    from pyexim.receive.debugging import SessionDebug
    from pyexim.verify.cutthrough import Cutthrough

_UNQUALIFIED = ("allow_unqualified_sender", "allow_unqualified_recipient")


class Session:
    """One conversation.  ``conn`` says with whom; ``run_session`` of this module serves it."""

    def __init__(self, channel: Channel, conn: Connection, run: ReceiveRun, *, inetd: bool = False) -> None:
        self.channel = channel
        self.conn = conn
        self.run = run
        self.config = run.config
        self.main = run.config.main
        self.services = run.services
        self.log = run.services.log
        self.clock = run.services.clock
        self.inetd = inetd
        self.scope = Scope(run.config, run.services, conn=conn)
        self.scope.message = Message(conn=conn)
        self.session_debug: SessionDebug | None = None
        self.scope.facts["debug_control"] = self.control_debug
        self.local = conn.sender_host_address is None
        self.controls: AclControls = controls_of(self.scope)
        main = self.main
        self.core = Server(
            Limits(main.smtp_max_unknown_commands, main.smtp_max_synprot_errors, main.smtp_accept_max_nonmail),
            self._nonmail_applies)
        self.envelope = Envelope()
        self.incoming: Incoming | None = None
        self.cutthrough: Cutthrough | None = None
        """The connection that is held for the message at hand; one that is no longer active opens no other."""
        self.messages = 0
        self.mails = 0
        """MAIL commands, accepted or not."""
        self.commands_total = 0
        self.size_limit = 0
        self.rcpt_count = self.rcpt_failed = self.rcpt_deferred = 0
        self.mail_discarded = False
        self.pipe_connect = False
        self.offered_pipe_connect = False
        self.offered_pipelining = False
        self.welcomed = False
        """The client has been greeted: the session has begun, and its end is worth a word."""
        self.quit_seen = False
        self.notquit_reason = ""
        self.logged_connection = False
        self.exit_code = 0
        self.dropped_id: str | None = None
        """The message after which the verb drop ended the session."""
        self.unqualified: dict[str, bool] = {}
        self.shown_lists: dict[str, bool] = {}
        """With -d and -bh: the host lists that have been shown, and what they said."""
        self.load_latch = ""
        """Why an earlier message of the session was only queued; with queue_only_load_latch it stays so."""
        self.offered_dsn = self.offered_prdr = self.offered_smtputf8 = False
        self.banner: acl.AclResult | None = None
        """What the connect ACL said when it accepted."""
        self.auth = Authentication(run.config)
        self.encryption = Encryption()
        self._fresh = False
        """Nothing has touched the message since it was made."""
        self.too_many_recipients = False
        self._origin: Origin | None = None
        self._originator = ("", -1, -1)
        self.active_hostname = run.config.main.primary_hostname or ""

    def control_debug(self, options: str) -> object:
        """Do what ``control = debug`` with these options says; the output, where it is on."""
        if self.session_debug is None:
            from pyexim.receive.debugging import SessionDebug  # rarely asked for

            self.session_debug = SessionDebug(self)
        return self.session_debug(options)

    # -- what handlers use

    def matches(self, source: str | None, name: str) -> bool:
        """Tell whether the client is in a host list of the configuration."""
        debug = self.scope.services.debug
        if debug is not None and debug.selected("lists"):
            return self._matches_shown(source, name)
        if not source:
            return False
        if source == "*":
            return True
        found: Match = match_host(self.conn, source, self.scope, name=name)
        return bool(found)

    def _matches_shown(self, source: str | None, name: str) -> bool:
        """The same with -d or -bh: the list is shown, once in a session."""
        if name not in self.shown_lists:
            if source is None:
                self.scope.services.debug("lists", f"host in {name}? no (option unset)")
            self.shown_lists[name] = source is not None and bool(match_host(self.conn, source, self.scope, name=name))
        return self.shown_lists[name]

    def show_lists(self, *names: str) -> None:
        """With -d or -bh: show what host lists say of the client, in this order."""
        debug = self.scope.services.debug
        if debug is not None and debug.selected("lists") and not self.local:
            for name in names:
                self.matches(getattr(self.main, name), name)

    def who(self) -> str:
        """Return the client as log lines name it."""
        return host_and_ident(self.conn, self.log)

    def who_untagged(self) -> str:
        """Return the client without tags: the host, or the login of a local one."""
        return host_and_ident(self.conn, self.log, use_h=False)

    def takes_unqualified(self, kind: str) -> bool:
        """Tell whether unqualified "sender" or "recipient" addresses are taken from this client."""
        known = self.unqualified.get(kind)
        if known is None:
            option = f"{kind}_unqualified_hosts"
            known = self.unqualified[kind] = self.matches(getattr(self.main, option), option)
        return known

    def value_of(self, option: int | str, name: str, default: int) -> int:
        """Return the value of a numeric option that may be expanded."""
        if isinstance(option, int):
            return option
        try:
            text = expand(option, self.scope).strip(" \t\n")
        except ExpansionError as e:
            if not isinstance(e, ForcedFail):
                self.log.panic(f"Expansion of {name} failed: {e.text}")
            return default
        if is_digits(text):
            return int(text)
        self.log.panic(f'bad value for {name}: "{text}"')
        return default

    def reply_acl(self, result: acl.AclResult, default_code: int, default_text: str, *, final: bool = False) -> None:
        """Answer the command at hand with what an ACL said."""
        code = result.code or default_code
        text = fold_reply(result.user_text or default_text)
        if result.extended:
            text = result.extended + " " + text.replace("\n", f"\n{result.extended} ")
        quoted = text  # by a later DATA, without the details
        if result.sender_verify_failed:
            text = f"{result.sender_verify_failed}\n{text}"
        self.core.reply(code, text, final=final, rejected_text=quoted if code >= 400 else None)

    def refuse(self, result: acl.AclResult, what: str, *, fail_code: int = 550) -> None:
        """Log and answer the refusal of a command by its ACL; "drop" ends the session."""
        if result.sender_verify_log and self.log.selected("sender_verify_fail"):
            self.log.reject(f"{self.who()} {result.sender_verify_log}")
        deferred = result.status == acl.DEFER
        sender = ""
        message = self.scope.message
        if self.core.state in ("sender", "ready") and message is not None and what.startswith("RCPT"):
            sender = sender_text(message) + " "
        text = (f"{self.who()}{tls_text(self.conn, self.log)} {sender}"
                f"{'temporarily ' if deferred else ''}rejected {what}")
        if result.log_text:
            text += f": {result.log_text}"
        write_rejection(self.log, text, result)
        drop = result.status == acl.DROP
        if drop:
            self.notquit_reason = "acl-drop"
        self.reply_acl(result, 451 if deferred else fail_code, TEMPORARY if deferred else PROHIBITED, final=drop)

    def syntax_error(self, kind: str, code: int, text: str, log_text: str | None = None) -> None:
        """Refuse the command at hand as wrong, and log that where it is selected."""
        self.on_refused(self.core.error(kind, code, text, log_text))

    def new_message(self) -> Message:
        """Begin a transaction: nothing of the one before stays."""
        scope = self.scope
        if self._fresh and scope.message is not None:
            self.controls.reset_message()
            scope.message.acl_m.clear()
            return scope.message
        self._fresh = True
        self._end_cutthrough()
        scope.vars.pop("prdr_requested", None)
        message = Message(conn=self.conn, deliver_firsttime=True)
        message.originator_login, message.originator_uid, message.originator_gid = self._originator
        if self.local:
            message.flags.update(_UNQUALIFIED)
        scope.message = message
        scope.address = None
        self.controls.reset_message()
        if scope.headers_added:
            scope.headers_added.clear()
        self.envelope = Envelope()
        self.rcpt_count = self.rcpt_failed = self.rcpt_deferred = 0
        self.mail_discarded = self.too_many_recipients = False
        return message

    def local_start(self) -> None:
        """Prepare for messages without a session's beginning (-bS)."""
        self.unqualified = {"sender": True, "recipient": True}
        self.note_originator()
        self.new_message()
        if self.log.wants("smtp_connection"):
            self.log.main(connection_info(self.conn, self.log, inetd=self.inetd), selector="smtp_connection")

    def message_size_limit(self) -> int:
        """Return the limit for this client, 0 for none; one that has become wrong stays as it was."""
        try:
            return size_limit(self.main.message_size_limit, self.scope)
        except SizeError as e:
            self.log.panic(f"invalid message_size_limit: {e}")
            return self.size_limit

    def note_originator(self) -> None:
        """Find out whose process this is: every message of the session says so."""
        services = self.services
        uid, gid = services.caller_uid, services.caller_gid
        if self.conn.kind == "tcp" and not self.inetd and services.exim_uid >= 0:
            uid, gid = services.exim_uid, services.exim_gid
        self._originator = (login_of(uid) or str(uid), uid, gid)

    def origin(self) -> Origin:
        """Return who the session's messages come from."""
        if self._origin is None:
            self._origin = session_origin(self.conn, self.services, self.config)
        return self._origin

    def count_rcpt(self, how: str) -> None:
        """Count a recipient that was refused, for $rcpt_fail_count and $rcpt_defer_count."""
        if how == "defer":
            self.rcpt_deferred += 1
            self.scope.vars["rcpt_defer_count"] = str(self.rcpt_deferred)
        else:
            self.rcpt_failed += 1
            self.scope.vars["rcpt_fail_count"] = str(self.rcpt_failed)

    def slow_down(self, option: str, count: int) -> None:
        """Delay a MAIL or RCPT command as smtp_ratelimit_mail or smtp_ratelimit_rcpt says."""
        main = self.main
        text = getattr(main, option)
        if not text or not main.smtp_ratelimit_hosts or self.conn.host_checking:
            return
        pace = parse_pace(text)
        seconds = pace.delay(count) if pace is not None else 0.0
        if seconds > 0 and self.matches(main.smtp_ratelimit_hosts, "smtp_ratelimit_hosts"):
            self.flush()
            self.clock.sleep(seconds)

    def pipe_connect_over(self) -> None:
        """The first message is being sent: early pipelining is no longer an excuse."""
        if self.pipe_connect:
            self.enforce_sync()

    def log_closed_by_quit(self) -> None:
        """Log the end of a connection, where its beginning was logged."""
        self.log.main(f"{connection_info(self.conn, self.log, inetd=self.inetd)} closed by QUIT",
                      selector="smtp_connection")

    def incomplete(self, how: str) -> None:
        """Log a transaction that comes to nothing, where that is selected; and end it."""
        message = self.scope.message
        if message is not None and self.core.state in ("sender", "ready", "chunking", "chunk_broken"):
            if self.log.wants("smtp_incomplete_transaction"):
                names = "".join(f" {x}" for x in self.envelope.raw_recipients[:50])
                self.log.main(f"{self.who()} incomplete transaction ({how}) from <{self.envelope.raw_sender}>"
                              f"{names and ' for'}{names}", message_id=self.open_id(),
                              selector="smtp_incomplete_transaction")
        self.drop_incoming()

    def open_id(self) -> str | None:
        """Return the id of the message that is coming in by BDAT, for the lines that are logged meanwhile."""
        return self.incoming.message.message_id if self.incoming is not None else None

    def drop_incoming(self) -> None:
        """Forget a message that is not complete."""
        self._end_cutthrough()
        if self.incoming is not None:
            self.incoming.abort()
            self.incoming.message.message_id = ""
            self.incoming = None

    def _end_cutthrough(self) -> None:
        if self.cutthrough is not None:
            self.cutthrough.end()
            self.cutthrough = None

    def left_to_another(self) -> None:
        """Let go of what belongs to the session: a process forked from this one goes on with it."""
        if self.incoming is not None:
            self.incoming.left_to_another()
        if self.cutthrough is not None:
            self.cutthrough.left_to_another()

    def _nonmail_applies(self) -> bool:
        return self.matches(self.main.smtp_accept_max_nonmail_hosts, "smtp_accept_max_nonmail_hosts")

    # -- the session

    def serve(self) -> int:
        """Serve the session from the banner to the end, waiting for the client; a command's exit code."""
        going = self.begin()
        while going:
            try:
                self.read()
            except InputTimeout:
                self.end_by_timeout()
                break
            going = self.advance()
        return self.exit_code

    def begin(self) -> bool:
        """Check the client and greet it; like ``advance`` then."""
        if not opening.begin(self) or (not self.encryption.on_connect(self) and not opening.welcome(self)):
            self.flush()
            return False
        return self.advance()

    def open_encrypted(self) -> bool:
        """Greet a client whose connection began with TLS, which is complete now; False when it is refused."""
        return opening.welcome(self)

    def forget_client(self, *, keep_esmtp: bool) -> None:
        """Forget what the client has said of itself, and what it was offered."""
        conn = self.conn
        if not keep_esmtp:
            conn.sender_helo_name = conn.sender_helo_verified = None
            conn.esmtp = conn.helo_verify_failed = False
        conn.sender_host_authenticated = conn.sender_host_auth_pubname = conn.authenticated_id = None
        conn.authenticated_sender = conn.authenticated_fail_id = None
        conn.authentication_failed = False
        self.auth.advertised.clear()
        self.offered_pipelining = self.offered_dsn = self.offered_prdr = self.offered_smtputf8 = False

    def read(self) -> None:
        """Take what the client has sent, waiting for it; raises InputTimeout."""
        if self.encryption.pending:
            self.encryption.go_on(self)
            return
        data = self.channel.read()
        if not data and self.channel.tls_failed:
            self.encryption.broken(self, self.channel.tls_failed)
        self.core.receive_data(data)

    def advance(self) -> bool:
        """Do all that what was read asks for: True when it is the client's turn, False when the session is over."""
        core = self.core
        while (event := core.next_event()) is not CLOSED:
            if event is NEED_DATA:
                self.flush()
                return True
            if isinstance(event, BodyData):
                self.on_data(event.data)
            elif isinstance(event, Command):
                self.on_command(event)
            elif isinstance(event, BodyEnd):
                self.on_body_end(event)
            elif isinstance(event, AuthAnswer):
                self.auth.answer(self, event.line)
            elif isinstance(event, Refused):
                self.note(event.verb, event.line)
                self.mails += event.verb == "MAIL"
                self.on_refused(event)
            elif isinstance(event, EndOfInput):
                closing.lost(self, event.phase)
            elif isinstance(event, TooMany):
                closing.too_many(self, event)
            elif isinstance(event, SyncError):
                closing.unsynchronised(self, event)
        self.flush()
        closing.end(self)
        return False

    def end_by_timeout(self) -> None:
        """End a session whose client was silent for too long."""
        if self.encryption.pending:
            self.encryption.timed_out(self)
            self.advance()
            return
        if self.core.in_auth:
            self.core.receive_data(b"")  # an empty answer, and then the end, as in Exim
            self.advance()
            return
        closing.timed_out(self)
        self.flush()
        closing.end(self)

    def flush(self) -> None:
        """Send what is to be sent."""
        data = self.core.data_to_send()
        if data:
            self.channel.write(data)

    def note(self, verb: str, line: str) -> None:
        """Keep a command for $smtp_command and the history."""
        conn = self.conn
        conn.smtp_command = line
        if verb:
            self.commands_total += 1
            history = conn.smtp_command_history
            history.append(verb)
            if len(history) > closing.HISTORY:
                del history[0]

    def begin_message(self) -> Message:
        """Return the message of a MAIL command, which is about to be touched."""
        message = self.new_message()
        self._fresh = False
        return message

    def on_command(self, command: Command) -> None:
        """Handle a command that is in order."""
        if self.core.refuse_code != 554:  # after a failure of security Exim's history ends
            self.note(command.verb, command.line)
        self.conn.smtp_command_argument = command.argument
        HANDLERS[command.verb](self, command)

    def on_refused(self, event: Refused) -> None:
        """Log a command that was wrong."""
        if event.verb == "DATA":
            self.pipe_connect_over()
        selector = f"smtp_{event.kind}_error"
        if not event.counted:
            return
        if self.main.event_action is not None:
            fire(self.main.event_action, self.scope, f"smtp:fail:{event.kind}", event.text)
        if not self.log.wants(selector):
            return
        self.log.main(f'SMTP {event.kind} error in "{shown(event.line)}" {self.who()} {event.text}',
                      message_id=self.open_id(), selector=selector)

    def on_data(self, data: bytes) -> None:
        """Take octets of the message."""
        incoming = self.incoming
        if incoming is None:
            return
        try:
            incoming.feed(data)
        except OSError as e:
            self.core.discard_message()
            incoming.failed = e

    def on_body_end(self, event: BodyEnd) -> None:
        """The message (or a chunk that is not its last) is complete."""
        incoming = self.incoming
        assert incoming is not None
        if event.chunked and not event.last and incoming.collector.problem is None:
            self.core.reply(250, f"{event.size} byte chunk received")
            return
        if incoming.failed is None:
            outcome = incoming.complete()
        else:
            outcome = incoming.spool_failed(incoming.failed)
        plain = outcome.accepted and outcome.code == 250 and outcome.extended is None and not outcome.before
        if event.chunked and plain:
            collector = incoming.collector
            total = collector.size + collector.body_lines + collector.header_lines
            if collector.header_ended or not total:
                total += 2
            outcome.text = f" {event.size} byte chunk, total {total}\n{outcome.text}"
        if outcome.drop:
            self.dropped_id = incoming.message.message_id
        self.answer(outcome)
        stored = outcome.accepted and incoming.stored
        self.incoming = None
        self.messages += outcome.accepted
        if stored:
            self.after_storing(incoming)
        else:
            incoming.release()
        self.new_message()

    def answer(self, outcome: Outcome) -> None:
        """Answer the end of a message."""
        for reply in outcome.before:
            self.core.send(reply)
        text = outcome.text if "chunk, total" in outcome.text[:60] else fold_reply(outcome.text)
        if outcome.extended:
            text = outcome.extended + " " + text.replace("\n", f"\n{outcome.extended} ")
        if outcome.details:
            text = f"{outcome.details}\n{text}"
        if outcome.drop:
            self.notquit_reason = "acl-drop"
            self.exit_code = 1
        self.core.reply(outcome.code, text, final=outcome.drop)
        if self.conn.host_checking and outcome.accepted:
            self.core.send_raw(b"\r\n**** SMTP testing: that is not a real message id!\r\n\r\n")

    def after_storing(self, incoming: Incoming) -> None:
        """A message is safe on the spool: tell the client, let the message go, have it delivered."""
        self.flush()
        message, controls = incoming.message, incoming.controls
        incoming.release()
        if controls.queue_only and self.log.wants("delay_delivery"):
            where = f" in {message.queue_name}" if message.queue_name else ""
            self.log.main(f"no immediate delivery: queued{where} by ACL", message_id=message.message_id,
                          selector="delay_delivery")
        if controls.queue_only or controls.freeze or incoming.delivery_can_wait:
            return
        reason = self._queue_reason()
        if reason is None:
            return
        if reason:
            if self.log.wants("delay_delivery"):
                self.log.main(f"no immediate delivery: {reason}", message_id=message.message_id,
                              selector="delay_delivery")
            return
        self.run.start_delivery(message.message_id, message.queue_name)

    def _queue_reason(self) -> str | None:
        """Return why a message is only queued: None without a word, "" when it is to be delivered."""
        run, main = self.run, self.main
        if arrival.wants_queue_only(run, smtp=True):
            return None
        if self.conn.only_queue:
            return self.conn.only_queue
        limit = main.smtp_accept_queue_per_connection
        if limit > 0 and self.messages > limit and not self.local:
            return f"more than {limit} messages received in one connection"
        if self.load_latch:
            return self.load_latch
        reason = arrival.load_too_high(run)
        if reason and main.queue_only_load_latch:
            self.load_latch = reason
        return reason


    def look_up_host(self) -> None:
        """Find the host's name by a reverse lookup, if that has not been tried."""
        conn = self.conn
        if conn.sender_host_name is None and not conn.host_lookup_failed and conn.sender_host_address is not None:
            from pyexim.dns.hosts import look_up_name  # needs the DNS

            look_up_name(conn, self.scope)

    def enforce_sync(self) -> None:
        """From now on the client must wait for answers where the protocol says so."""
        self.pipe_connect = False
        enforce = self.controls.enforce_sync
        if (enforce if enforce is not None else self.main.smtp_enforce_sync) and self.conn.kind == "tcp":
            self.core.more_input = self.channel.has_input



def session_origin(conn: Connection, services: Services, config: Configuration) -> Origin:
    """Return who the messages of a connection come from, for the fix-ups of headers."""
    if conn.sender_host_address is not None:
        return Origin(local=False, trusted=conn.submitter_trusted, smtp=True)
    login, name = names(services, config, conn.sender_ident or "")
    return Origin(local=True, trusted=conn.submitter_trusted, smtp=True, login=login, name=name)


def run_session(channel: Channel, conn: Connection, run: ReceiveRun, *, inetd: bool = False) -> int:
    """Serve one session; the exit code."""
    return Session(channel, conn, run, inetd=inetd).serve()
