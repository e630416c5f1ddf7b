"""One SMTP or LMTP session with one host, from connecting to the last reply: the shell around ``smtp.client``.

It does the I/O with its time limits, says what the options want said, and tells what became of each
recipient.  Which host, and what follows from a failure, is ``smtp_hosts``'s business.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.errors import RemoteProtocolError
from pyexim.base.octets import shown, to_bytes
from pyexim.base.record import dataclass, field
from pyexim.model.address import Address
from pyexim.model.connection import TlsFacts
from pyexim.model.host import Host
from pyexim.model.message import Message
from pyexim.net.channel import Channel
from pyexim.retry.errors import ERRNO_RCPT4XX
from pyexim.smtp.client import CLOSED, IDLE, SEND_BODY, Answer, Awaited, Awaiting, Envelope, SmtpClient, Transaction
from pyexim.transports import smtp_errors as errors
from pyexim.transports.smtp_errors import Failure
from pyexim.transports.write import Copy, WriteError, stream_smtp, to_chunking, to_smtp

if TYPE_CHECKING:
    from pyexim.auth.client import Authenticated, Conversation
    from pyexim.log.debug import Dialogue
    from pyexim.tls.channel import TlsChannel

INLINE: Final = 256 * 1024
"""A message up to this size goes by BDAT in the same group as its commands."""
GOODBYE: Final = 0.05
"""Seconds to wait for a server's answer to QUIT: enough for a near one, and nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The time limits of a session, in seconds."""

    command: float
    data: float
    final: float


@dataclass(slots=True)
class Told:
    """What the server said of one recipient: delivered, failed (permanently) or deferred."""

    status: str
    text: str = ""
    errno: int = 0
    more_errno: int = 0
    confirmation: str | None = None
    kind: str = errors.RECIPIENT


@dataclass(slots=True)
class Sent:
    """What came of a transaction: what is known of each recipient by its number, and what failed for all others."""

    told: dict[int, Told] = field(default_factory=dict)
    failure: Failure | None = None
    flags: list[str] = field(default_factory=list)
    usable: bool = False
    """The session can take another message."""
    size: int = 0
    begun: bool = False
    """The server has answered MAIL."""


class Session:
    """A session on a connected channel."""

    def __init__(self, channel: Channel, host: Host, limits: Limits, client: SmtpClient,
                 dialogue: Dialogue | None = None) -> None:
        self.channel: Channel | TlsChannel = channel
        self.host = host
        self.limits = limits
        self.client = client
        self.dialogue = dialogue
        """What shows the commands and replies under -v and -d."""
        self.on_close: Callable[[], object] | None = None
        self.authenticated = False
        self.tls: TlsFacts | None = None

    # -- the dialogue

    def run(self, limit: float) -> Failure | None:
        """Go on until nothing is awaited or the message is wanted; what went wrong, if anything did."""
        client, channel = self.client, self.channel
        while True:
            event = client.next_event()
            if event is IDLE or event is SEND_BODY:
                return None
            awaited = client.awaited()
            assert awaited is not None
            if event is CLOSED:
                return errors.closed(awaited, self.host, client.ehlo_refused)
            try:
                data = client.data_to_send()
                if data:
                    if self.dialogue is not None:
                        self.dialogue.sent(data if awaited.kind is not Awaiting.AUTH
                                           else to_bytes(f"{awaited.text}\r\n"))
                    channel.write(data, channel.monotonic() + limit)
                data = channel.read(channel.monotonic() + limit)
                if self.dialogue is not None:
                    self.dialogue.received(data)
                client.receive_data(data)
            except TimeoutError:
                return errors.timed_out(client.awaited() or awaited, self.host, channel.written)
            except RemoteProtocolError as e:
                return errors.malformed(client.awaited() or awaited, e.text, self.host)
            except OSError:
                return errors.closed(client.awaited() or awaited, self.host, client.ehlo_refused)

    def start(self, helo: str, *, extended: bool = True,
              greeted: Callable[[str], Failure | None] | None = None) -> Failure | None:
        """Read the greeting and introduce ourselves, unless ``greeted`` finds that the greeting is a reason not to."""
        client = self.client
        client.greet()
        failure = self.run(self.limits.command)
        if failure is not None:
            return failure
        if client.greeting is None or not client.greeting.positive:
            return errors.refused(Awaited(Awaiting.GREETING, "initial connection"), client.greeting or Answer(0, ""),
                                  self.host)
        if greeted is not None and (failure := greeted(client.greeting.text)) is not None:
            return failure
        return self.hello(helo, extended=extended)

    def hello(self, helo: str, *, extended: bool = True) -> Failure | None:
        """Introduce ourselves (again)."""
        client = self.client
        client.hello(helo, extended=extended)
        failure = self.run(self.limits.command)
        if failure is not None:
            return failure
        answer = client.hello_answer
        if answer is None or not answer.positive:
            verb = "LHLO" if client.lmtp else "HELO"
            return errors.refused(Awaited(Awaiting.HELLO, f"{verb} {helo}"), answer or Answer(0, ""), self.host)
        return None

    def start_tls(self) -> Answer | Failure:
        """Ask for TLS; the server's answer."""
        self.client.start_tls()
        failure = self.run(self.limits.command)
        return failure or self.client.last_answer or Answer(0, "")

    def authenticate(self, conversation: Conversation) -> Authenticated | Failure:
        """Go through a conversation about who we are."""
        try:
            line = next(conversation)
            while True:
                self.client.authenticate(line.text, line.shown)
                failure = self.run(self.limits.command)
                answer = self.client.last_answer
                if failure is not None or answer is None:
                    conversation.close()
                    return failure or errors.closed(Awaited(Awaiting.AUTH, line.shown), self.host, None)
                line = conversation.send(answer)
        except StopIteration as end:
            outcome: Authenticated = end.value
            return outcome

    def quit(self) -> None:
        """Say goodbye and close; the answer is taken if it comes at once, so that the server sees an orderly end."""
        channel = self.channel
        with contextlib.suppress(OSError):  # it may be gone already
            if self.dialogue is not None:
                self.dialogue.sent(b"QUIT\r\n")
            limit = channel.monotonic() + GOODBYE
            channel.write(b"QUIT\r\n", limit)
            channel.close_write()
            while channel.read(limit):
                continue
        self.drop()

    def drop(self) -> None:
        """Close without a word."""
        self.channel.close()
        if self.dialogue is not None:
            self.dialogue.closed()
        if self.on_close is not None:
            told, self.on_close = self.on_close, None
            told()

    def leave(self, failure: Failure | None) -> None:
        """End the session after a failure: with QUIT only where the server still talks sense."""
        if failure is not None and not failure.quit:
            self.drop()
        else:
            self.quit()

    # -- a message

    def send(self, envelope: Envelope, copy: Copy) -> Sent:
        """Make one transaction of it."""
        client, sent = self.client, Sent()
        whole: bytes | None = None
        if copy.is_small():
            try:
                text = copy.whole()
            except WriteError:
                self.quit()
                raise
            whole = to_chunking(text) if envelope.chunking else to_smtp(text) + b".\r\n"
            if envelope.chunking and len(whole) <= INLINE:
                envelope.bdat = len(whole)
        self.channel.written = 0
        tx = client.transaction(envelope)
        failure = self.run(self.limits.command)
        while failure is None and client.next_event() is SEND_BODY:
            failure = self._send_body(tx, whole, copy, sent)
            if failure is None:
                failure = self.run(self.limits.final)
        sent.begun = tx.mail is not None
        self._judge(tx, failure, sent)
        self._flags(envelope, sent)
        return sent

    def _send_body(self, tx: Transaction, whole: bytes | None, copy: Copy, sent: Sent) -> Failure | None:
        client, channel, limit = self.client, self.channel, self.limits.data
        chunking = tx.envelope.chunking
        if self.dialogue is not None:
            self.dialogue.message()
        try:
            if whole is not None:
                head = client.data_to_send()
                if chunking and tx.envelope.bdat < 0:
                    head += client.chunk(len(whole), True)
                sent.size = len(whole)
                channel.written = 0
                channel.write(head + whole if head else whole, channel.monotonic() + limit)
                channel.written = len(whole)
            elif chunking:
                self._send_chunks(stream_smtp(copy.chunks(), stuff=False), sent)
            else:
                channel.written = 0
                for piece in stream_smtp(copy.chunks()):
                    channel.write(piece, channel.monotonic() + limit)
                sent.size = channel.written
                channel.write(b".\r\n", channel.monotonic() + limit)
        except WriteError:
            self.drop()  # without its end the message does not count
            raise
        except OSError as e:
            return self._broken(e)
        if self.dialogue is not None and not chunking:
            self.dialogue.sent(b".\r\n")
        client.body_sent()
        return None

    def _send_chunks(self, pieces: Iterator[bytes], sent: Sent) -> None:
        """Send a large message by BDAT, piece by piece; stop where the server has refused one."""
        client, channel = self.client, self.channel
        held: bytes | None = None
        for piece in pieces:
            if held is not None:
                limit = channel.monotonic() + self.limits.data
                channel.write(client.chunk(len(held), False) + held, limit)
                sent.size += len(held)
                if channel.has_input():
                    client.receive_data(channel.read(limit))
            held = piece
        held = held or b""
        channel.write(client.chunk(len(held), True) + held, channel.monotonic() + self.limits.data)
        sent.size += len(held)

    def _broken(self, error: OSError) -> Failure:
        """Sending failed; perhaps the server has said why before it closed."""
        if not isinstance(error, TimeoutError):
            try:
                if self.channel.has_input():
                    self.client.receive_data(self.channel.read(self.channel.monotonic() + 1))
            except (OSError, RemoteProtocolError):
                return errors.writing_failed(error, "data", self.host)
        return errors.writing_failed(error, "data", self.host)

    # -- what came of it

    def _judge(self, tx: Transaction, failure: Failure | None, sent: Sent) -> None:
        host = self.host
        for i, answer in enumerate(tx.rcpt):
            if answer is not None and not answer.positive and tx.mail is not None and tx.mail.positive:
                sent.told[i] = self._recipient(tx.envelope, i, answer)
        for i, answer in tx.each.items():
            sent.told[i] = self._each(tx, answer)
        if failure is not None and (tx.mail is None or tx.mail.positive):
            sent.failure = failure
            return
        pipelined = self.client.pipelining and "PIPELINING" in self.client.capabilities
        if tx.mail is not None and not tx.mail.positive:
            mail = f"MAIL FROM:<{tx.envelope.sender}>{tx.envelope.mail_parameters}"
            sent.failure = errors.refused(Awaited(Awaiting.MAIL, mail, 0, pipelined), tx.mail, host)
        elif tx.envelope.whole and sent.told and not tx.body_sent:
            first = next(iter(sent.told.values()))
            sent.failure = Failure(errors.MESSAGE, first.text, 0, first.more_errno, permanent=True)
        elif not tx.accepted():
            pass  # each recipient has its own refusal
        elif tx.data is not None and not tx.body_sent:
            sent.failure = errors.refused(Awaited(Awaiting.DATA, "DATA", 0, pipelined), tx.data, host)
        elif tx.data is not None and tx.envelope.chunking:
            sent.failure = errors.refused(Awaited(Awaiting.CHUNK, "BDAT"), tx.data, host)
        else:
            self._ended(tx, sent, pipelined)
        self._can_go_on(tx, sent)

    def _ended(self, tx: Transaction, sent: Sent, pipelined: bool) -> None:
        end = tx.end
        if self.client.lmtp:
            return
        if end is None:
            sent.failure = errors.closed(Awaited(Awaiting.END, "end of data"), self.host, None)
            return
        if not end.positive:
            inline = tx.envelope.bdat >= 0 and pipelined
            sent.failure = errors.refused(Awaited(Awaiting.END, "end of data", 0, inline), end, self.host)
            sent.told = {i: t for i, t in sent.told.items() if t.status != "ok"}
            return
        for i in tx.accepted():
            told = sent.told.get(i)
            if told is None:
                sent.told[i] = Told("ok", confirmation=end.text)
            elif told.status == "ok":
                told.confirmation = f"{told.confirmation}\n{end.text}"

    def _recipient(self, envelope: Envelope, number: int, answer: Answer) -> Told:
        text = (f"SMTP error from remote mail server after RCPT TO:<{envelope.recipients[number]}>: "
                f"{shown(answer.text)}")
        if answer.code >= 500:
            return Told("fail", text)
        number = ERRNO_RCPT4XX if answer.code >= 400 else 0
        return Told("defer", text, number, errors.detail(self.host, answer.code))

    def _each(self, tx: Transaction, answer: Answer) -> Told:
        if answer.positive:
            return Told("ok", confirmation=answer.text)
        text = f"{'LMTP' if self.client.lmtp else 'PRDR'} error after DATA: {shown(answer.text)}"
        if answer.code >= 500:
            return Told("fail", text)
        return Told("defer", text, 0, errors.detail(self.host, answer.code))

    def _can_go_on(self, tx: Transaction, sent: Sent) -> None:
        """Tell whether the session is between transactions, and in good order."""
        client = self.client
        last = client.last_answer
        if client.closed or client.next_event() is not IDLE or (last is not None and last.code == 421):
            return
        sent.usable = tx.body_sent and (tx.end is not None or bool(tx.each)) and tx.data_ok()

    def _flags(self, envelope: Envelope, sent: Sent) -> None:
        client = self.client
        if client.pipelining and "PIPELINING" in client.capabilities:
            sent.flags.append("pipelining")
        if envelope.chunking:
            sent.flags.append("chunking")
        if envelope.prdr:
            sent.flags.append("prdr")
        if "DSN" in client.capabilities:
            sent.flags.append("dsn")


# -- what the options want said


def make_envelope(batch: list[Address], recipients: list[str], sender: str, message: Message, client: SmtpClient, *,
                  size_addition: int, chunking: bool, prdr: bool, ignore_quota: bool, smtputf8: bool,
                  authenticated: str | None) -> Envelope:
    """Return the envelope with the parameters that the server understands.  RFC 1870, 6152, 3461, 6531, 4954."""
    can = client.capabilities
    mail = ""
    if "SIZE" in can and size_addition >= 0:
        mail += f" SIZE={message.message_size + size_addition}"
    prdr = prdr and "PRDR" in can and len(batch) > 1 and not client.lmtp
    if prdr:
        mail += " PRDR"
    if smtputf8:
        mail += " SMTPUTF8"
    if message.body_8bit and "8BITMIME" in can:
        mail += " BODY=8BITMIME" if message.body_8bit == 8 else " BODY=7BIT"
    rcpt: list[str] | None = None
    if "DSN" in can:
        if any("dsn_lasthop" not in a.flags for a in batch):
            mail += _dsn_mail(message)
            rcpt = _dsn_rcpt(batch)
    if authenticated is not None:
        mail += f" AUTH={xtext(authenticated)}"
    if ignore_quota and "IGNOREQUOTA" in can:
        rcpt = [x + " IGNOREQUOTA" for x in rcpt] if rcpt else [" IGNOREQUOTA"] * len(batch)
    return Envelope(sender, recipients, mail, rcpt, chunking=chunking and "CHUNKING" in can, prdr=prdr)


def _dsn_mail(message: Message) -> str:
    out = {1: " RET=FULL", 2: " RET=HDRS"}.get(message.dsn_ret, "")
    if message.dsn_envid:
        out += f" ENVID={message.dsn_envid}"
    return out


_NOTIFY: Final = ((4, "SUCCESS"), (8, "FAILURE"), (16, "DELAY"))


def _dsn_rcpt(batch: list[Address]) -> list[str] | None:
    out = []
    for address in batch:
        text = ""
        if "dsn_lasthop" in address.flags:
            out.append(text)
            continue
        flags = address.dsn_flags
        if flags & 2:
            text = " NOTIFY=NEVER"
        elif words := [word for bit, word in _NOTIFY if flags & bit]:
            text = " NOTIFY=" + ",".join(words)
        if address.dsn_orcpt:
            text += f" ORCPT={address.dsn_orcpt}"
        out.append(text)
    return out if any(out) else None


def xtext(text: str) -> str:
    """Encode as RFC 3461 section 4 says."""
    return "".join(c if 33 <= ord(c) <= 126 and c not in "+=" else f"+{ord(c):02X}" for c in text)


def local_name(sock: socket.socket) -> tuple[str, int]:
    """Return our address and port on a connection."""
    try:
        name: Any = sock.getsockname()
    except OSError:
        return "", 0
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else ("", 0)
