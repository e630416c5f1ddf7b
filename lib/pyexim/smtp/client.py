"""The client's side of SMTP and LMTP, without any I/O: octets in, events and octets out.

    client.greet()                          # or hello(), authenticate(), transaction(), reset(), quit()
    while (event := client.next_event()) is not IDLE:
        if event is SEND_BODY:              # the peer waits for the message
            channel.write(client.data_to_send()); write the message; client.body_sent()
        else:                               # NEED_DATA
            channel.write(client.data_to_send())
            client.receive_data(channel.read(deadline))     # b"" is end of stream

Theory of operation.  Every command that has been put out adds an :class:`Awaited` to a queue, and every
reply takes the first one off; so the core always knows what a reply, a silence or a loss of the
connection is in response to, also in a pipelined group.  A transaction is MAIL, RCPT..., DATA (or
BDAT); with PIPELINING one group of writes (in slices, so that neither side's buffers fill up while both
write), without it one step at a time.  Nothing is judged here: a :class:`Transaction` holds the replies
as they came, and its caller tells host, message and recipient errors apart.

Limits: one reply of MAX_REPLY octets, MAX_LINE a line.  A reply may end its lines in a bare LF.  RFC 5321,
2033 (LMTP), 2920 (PIPELINING), 3030 (CHUNKING), 1870 (SIZE).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, NamedTuple

from pyexim.base.errors import LocalProtocolError, RemoteProtocolError
from pyexim.base.record import dataclass, field

MAX_REPLY: Final = 65536
MAX_LINE: Final = 16384
GROUP: Final = 100
"""RCPT commands in flight at once: their replies must fit into the buffers between the two hosts."""


class Event(Enum):
    """What next_event() says."""

    NEED_DATA = "need data"
    SEND_BODY = "send body"
    IDLE = "idle"
    CLOSED = "closed"


NEED_DATA, SEND_BODY, IDLE, CLOSED = Event.NEED_DATA, Event.SEND_BODY, Event.IDLE, Event.CLOSED


class Awaiting(Enum):
    """What kind of step a reply answers."""

    GREETING = "initial connection"
    HELLO = "hello"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CHUNK = "chunk"
    END = "end of data"
    PRDR = "prdr"
    VOID = "void"
    """The end of an empty message that nobody wanted."""
    RESET = "reset"
    QUIT = "quit"


class Awaited(NamedTuple):
    """A step that has been sent and is not yet answered."""

    kind: Awaiting
    text: str
    """The command, for log texts (with stars for what may be secret); "end of data" and "initial connection" where
    there is none."""
    number: int = 0
    """Number of the recipient, where the reply belongs to one."""
    pipelined: bool = False


class Answer(NamedTuple):
    """A reply: its code, and its lines as received, joined by newlines, codes included."""

    code: int
    text: str

    @property
    def positive(self) -> bool:
        """A 2xx reply."""
        return 200 <= self.code < 300


@dataclass(slots=True)
class Envelope:
    """What a transaction is to say.

    ``mail_parameters`` and ``rcpt_parameters`` are ready to be put behind the paths, each with its
    leading space.  ``bdat`` is the exact size of the message where it is to go by one BDAT in the same
    group as the commands; -1 for DATA or, with ``chunking``, BDATs of the caller's choice after the
    recipients are known.
    """

    sender: str
    recipients: list[str]
    mail_parameters: str = ""
    rcpt_parameters: list[str] | None = None
    chunking: bool = False
    bdat: int = -1
    prdr: bool = False
    whole: bool = False
    """All recipients or none: the message is sent only when the server has taken every one."""


@dataclass(slots=True)
class Transaction:
    """The replies to one transaction, as far as they have come."""

    envelope: Envelope
    mail: Answer | None = None
    rcpt: list[Answer | None] = field(default_factory=list)
    data: Answer | None = None
    """The reply to DATA, or the first reply to a BDAT that was not 2xx."""
    end: Answer | None = None
    """The reply to the end of the data; for LMTP None."""
    each: dict[int, Answer] = field(default_factory=dict)
    """LMTP and PRDR: the replies after the data by number of the recipient."""
    body_sent: bool = False

    def data_ok(self) -> bool:
        """Tell whether the data phase went as it should, up to the end of the message."""
        return self.data is None or 200 <= self.data.code < 400

    def accepted(self) -> list[int]:
        """Return the numbers of the recipients that were accepted."""
        return [i for i, answer in enumerate(self.rcpt) if answer is not None and answer.positive]


class SmtpClient:
    """One session.  ``capabilities`` is given where the session is a continued one."""

    def __init__(self, *, lmtp: bool = False, capabilities: dict[str, str] | None = None) -> None:
        self.lmtp = lmtp
        self.capabilities: dict[str, str] = capabilities if capabilities is not None else {}
        self.greeting: Answer | None = None
        self.hello_answer: Answer | None = None
        self.ehlo_refused: Answer | None = None
        """The answer to EHLO where HELO had to be tried."""
        self.tx: Transaction | None = None
        self.pipelining = True
        """May be set to False: the peer is not to be trusted with it (hosts_avoid_pipelining)."""
        self.closed = False
        self.last_answer: Answer | None = None
        self._out: list[str] = []
        self._awaited: deque[Awaited] = deque()
        self._buffer = b""
        self._lines: list[str] = []
        self._size = 0
        self._helo_name = ""
        self._next_rcpt = 0
        self._data_asked = False
        self._body_due = False
        self._body_pending = False

    # -- what the caller asks for

    def greet(self) -> None:
        """Wait for the server's greeting."""
        self._awaited.append(Awaited(Awaiting.GREETING, "initial connection"))

    def hello(self, name: str, *, extended: bool = True) -> None:
        """Introduce ourselves: LHLO, or EHLO (falling back to HELO), or HELO."""
        self._helo_name = name
        self.capabilities = {}
        self.ehlo_refused = None
        self._command(Awaiting.HELLO, f"{'LHLO' if self.lmtp else 'EHLO' if extended else 'HELO'} {name}")

    def start_tls(self) -> None:
        """Ask for TLS."""
        self._command(Awaiting.STARTTLS, "STARTTLS")

    def tls_started(self) -> None:
        """The channel is encrypted: nothing holds that was said before.  Raises RemoteProtocolError for what came in
        clear behind the answer, which somebody may have put there to be taken for what the server says."""
        self.capabilities = {}
        if self._buffer or self._lines or self.closed:
            last = self.last_answer.text if self.last_answer is not None else ""
            raise RemoteProtocolError((self._buffer.decode("latin-1") or (self._lines or [last])[0])[:200])

    def authenticate(self, line: str, shown: str) -> None:
        """Send a line of an authentication, AUTH or an answer; logs have it as ``shown``."""
        self._out.append(line + "\r\n")
        self._awaited.append(Awaited(Awaiting.AUTH, shown))

    def transaction(self, envelope: Envelope) -> Transaction:
        """Begin a transaction; the replies are collected in the object returned."""
        if self._awaited or not envelope.recipients:
            raise LocalProtocolError("a transaction begins between others, with a recipient")
        self.tx = tx = Transaction(envelope, rcpt=[None] * len(envelope.recipients))
        self._next_rcpt = 0
        self._data_asked = self._body_due = self._body_pending = False
        mail = f"MAIL FROM:<{envelope.sender}>{envelope.mail_parameters}"
        if "\n" in mail or "\r" in mail:
            raise LocalProtocolError("line end in an envelope sender")
        pipelined = self.pipelining and "PIPELINING" in self.capabilities
        self._command(Awaiting.MAIL, mail, pipelined=pipelined)
        if pipelined:
            self._put_recipients(pipelined=True)
        return tx

    def reset(self) -> None:
        """Abandon a transaction."""
        self._command(Awaiting.RESET, "RSET")

    def quit(self) -> None:
        """Say goodbye."""
        self._command(Awaiting.QUIT, "QUIT")

    def body_sent(self) -> None:
        """The whole message has been written (after DATA: with its final dot)."""
        tx = self._transaction()
        if not self._body_due:
            raise LocalProtocolError("no message was asked for")
        self._body_due = self._body_pending = False
        tx.body_sent = True
        if not tx.envelope.chunking:
            self._await_end(pipelined=False)

    def chunk(self, size: int, last: bool) -> bytes:
        """Return the BDAT command before a chunk of the message; its reply is waited for in turn."""
        tx = self._transaction()
        if last:
            self._await_end(pipelined=False)
            return b"BDAT %d LAST\r\n" % size
        self._awaited.append(Awaited(Awaiting.CHUNK, f"BDAT {size}", pipelined=False))
        if not tx.envelope.chunking:
            raise LocalProtocolError("BDAT in a DATA transaction")
        return b"BDAT %d\r\n" % size

    # -- the shell's side

    def data_to_send(self) -> bytes:
        """Return what is to be written now."""
        if not self._out:
            return b""
        data = "".join(self._out).encode("latin-1")
        self._out.clear()
        return data

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, b"" for the end of the stream.  Raises RemoteProtocolError for what is no reply."""
        if not data:
            self.closed = True
            return
        data = self._buffer + data if self._buffer else data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._line(data[start:end].decode("latin-1"))
            start = end + 1
        self._buffer = data[start:]
        if len(self._buffer) > MAX_LINE:
            raise RemoteProtocolError(self._buffer[:200].decode("latin-1"))

    def next_event(self) -> Event:
        """Return what is to be done next.  CLOSED: the end of the stream came while a reply was awaited."""
        if self._body_due and self._body_pending:
            return SEND_BODY
        if self._awaited:
            return CLOSED if self.closed else NEED_DATA
        return IDLE

    def awaited(self) -> Awaited | None:
        """Return the step whose reply is the next to come."""
        return self._awaited[0] if self._awaited else None

    def pending(self) -> str:
        """Return what has arrived and is no whole reply yet, for log texts."""
        return "\n".join(self._lines)

    def has_capability(self, name: str) -> bool:
        """Tell whether the server announced an extension."""
        return name in self.capabilities

    # -- inside

    def _transaction(self) -> Transaction:
        if self.tx is None:
            raise LocalProtocolError("no transaction")
        return self.tx

    def _command(self, kind: Awaiting, text: str, index: int = 0, pipelined: bool = False) -> None:
        self._out.append(text + "\r\n")
        self._awaited.append(Awaited(kind, text, index, pipelined))

    def _await_end(self, pipelined: bool) -> None:
        """Expect what comes after the data: one reply, or with LMTP one for each accepted recipient."""
        tx = self._transaction()
        if self.lmtp:
            self._awaited.extend(Awaited(Awaiting.END, "end of data", i, pipelined) for i in tx.accepted())
        else:
            self._awaited.append(Awaited(Awaiting.END, "end of data", 0, pipelined))

    def _put_recipients(self, pipelined: bool) -> None:
        """Put out the next recipients, one or a slice, and after the last one DATA or BDAT."""
        tx = self._transaction()
        envelope = tx.envelope
        total = len(envelope.recipients)
        first = self._next_rcpt
        last = min(first + (GROUP if pipelined else 1), total)
        parameters = envelope.rcpt_parameters
        for i in range(first, last):
            recipient = envelope.recipients[i]
            if "\n" in recipient or "\r" in recipient:
                raise LocalProtocolError("line end in a recipient")
            text = f"RCPT TO:<{recipient}>{parameters[i] if parameters else ''}"
            self._out.append(text + "\r\n")
            self._awaited.append(Awaited(Awaiting.RCPT, text, i, pipelined))
        self._next_rcpt = last
        if pipelined and last == total and not envelope.whole:
            self._put_data(pipelined=True)

    def _put_data(self, pipelined: bool) -> None:
        tx = self._transaction()
        envelope = tx.envelope
        inline = envelope.bdat >= 0 and not self.lmtp
        if envelope.chunking and pipelined and not inline:
            return  # once it is known that somebody will have it
        self._data_asked = True
        if not envelope.chunking:
            self._command(Awaiting.DATA, "DATA", pipelined=pipelined)
        elif inline:
            # The message goes out behind its command, together with the group.
            self._out.append(f"BDAT {envelope.bdat} LAST\r\n")
            self._body_due = self._body_pending = True
            self._await_end(pipelined)
        else:
            self._body_due = self._body_pending = True

    def _line(self, line: str) -> None:
        line = line.removesuffix("\r")
        code = line[:3]
        more = line[3:4]
        if not (len(code) == 3 and code.isascii() and code.isdigit() and more in ("", " ", "-")):
            self._lines.append(line)
            raise RemoteProtocolError("\n".join(self._lines))
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > MAX_REPLY or len(line) > MAX_LINE:
            raise RemoteProtocolError(self._lines[0][:200])
        if more == "-":
            return
        text = self._lines[0] if len(self._lines) == 1 else "\n".join(self._lines)
        answer = Answer(int(self._lines[0][:3]), text)
        self._lines = []
        self._size = 0
        if not self._awaited:
            # Said without being asked: a server that goes away (421), or one that breaks the protocol.
            self.last_answer = answer
            self.closed = True
            return
        self._answered(self._awaited.popleft(), answer)

    def _answered(self, what: Awaited, answer: Answer) -> None:
        self.last_answer = answer
        kind = what.kind
        tx = self.tx
        if kind is Awaiting.RCPT and tx is not None:
            tx.rcpt[what.number] = answer
            if not self._awaited:
                self._continue(what.pipelined)
        elif kind is Awaiting.MAIL and tx is not None:
            tx.mail = answer
            if not self._awaited and answer.positive:
                self._put_recipients(pipelined=False)
        elif kind is Awaiting.DATA and tx is not None:
            tx.data = answer
            self._data_answered(tx, answer)
        elif kind is Awaiting.CHUNK and tx is not None:
            if not answer.positive and tx.data is None:
                tx.data = answer
        elif kind is Awaiting.END and tx is not None:
            self._ended(tx, what, answer)
        elif kind is Awaiting.PRDR and tx is not None:
            tx.each[what.number] = answer
        elif kind is Awaiting.HELLO:
            self._hello_answered(what, answer)
        elif kind is Awaiting.GREETING:
            self.greeting = answer

    def _continue(self, pipelined: bool) -> None:
        """All that was sent is answered, the last one a recipient: what comes next?"""
        tx = self._transaction()
        if tx.mail is None or not tx.mail.positive:
            return
        if self._next_rcpt < len(tx.envelope.recipients):
            self._put_recipients(pipelined)
        elif not self._data_asked and (all(tx.rcpt) and all(a.positive for a in tx.rcpt if a is not None)
                                       if tx.envelope.whole else tx.accepted()):
            self._put_data(pipelined=False)

    def _data_answered(self, tx: Transaction, answer: Answer) -> None:
        if answer.code // 100 != 3:
            return
        if tx.mail is not None and tx.mail.positive and tx.accepted():
            self._body_due = self._body_pending = True
        else:
            # RFC 2920: a server that says 354 although nobody is to get the message wants its dot.
            self._out.append(".\r\n")
            self._awaited.append(Awaited(Awaiting.VOID, "end of data"))

    def _ended(self, tx: Transaction, what: Awaited, answer: Answer) -> None:
        if self.lmtp:
            tx.each[what.number] = answer
            return
        if answer.code == 353 and tx.envelope.prdr and not tx.each:
            self._awaited.extend(Awaited(Awaiting.PRDR, "end of data", i) for i in tx.accepted())
            self._awaited.append(Awaited(Awaiting.END, "end of data"))
            return
        tx.end = answer

    def _hello_answered(self, what: Awaited, answer: Answer) -> None:
        if not answer.positive and what.text.startswith("EHLO "):
            self.ehlo_refused = answer
            self._command(Awaiting.HELLO, f"HELO {self._helo_name}")
            return
        self.hello_answer = answer
        if answer.positive and not what.text.startswith("HELO "):
            self.capabilities = parse_capabilities(answer.text)


def parse_capabilities(text: str) -> dict[str, str]:
    """Return {KEYWORD: parameters} of a reply to EHLO or LHLO; its first line names the host only."""
    found = {}
    for line in text.split("\n")[1:]:
        keyword, _, parameters = line[4:].replace("\t", " ").strip(" ").partition(" ")
        if keyword.isascii() and keyword:
            found[keyword.upper()] = parameters.strip(" ")
    return found
