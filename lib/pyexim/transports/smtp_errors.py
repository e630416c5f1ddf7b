"""What can go wrong with an outgoing SMTP delivery, and to whom it is put down.

Three kinds, as the specification has them: a *host* error concerns every message for the host (retry data
for the host, the message waits for it); a *message* error this message at this host (retry data for host
and message id); a *recipient* error one recipient (routing retry data for the address).

Spec: chapter "SMTP processing", section "Errors in outgoing SMTP".
"""

from __future__ import annotations

import errno
import os
from typing import Final

from pyexim.base.octets import shown
from pyexim.base.record import dataclass
from pyexim.model.host import Host
from pyexim.retry.errors import (
    ERRNO_DATA4XX,
    ERRNO_MAIL4XX,
    ERRNO_SMTPCLOSED,
    host_detail,
)
from pyexim.smtp.client import Answer, Awaited, Awaiting

ERRNO_SMTPFORMAT: Final = -19

ERRNO_EVENT: Final = -58
_OWN_WORDS: Final = {ERRNO_EVENT: "Event requests alternate response"}

HOST, MESSAGE, RECIPIENT = "host", "message", "recipient"


@dataclass(slots=True)
class Failure:
    """An error that ends the work with a host, or (recipient) with one address.

    ``text`` is the log's text without host and without the system's words for a positive ``errno``;
    ``with_host`` tells whether H= goes on the address's line.
    """

    kind: str
    text: str
    errno: int = 0
    more_errno: int = 0
    permanent: bool = False
    with_host: bool = True
    recipient: int = -1
    """Number of the recipient of a recipient error that ends the session (a timeout)."""
    answered: bool = True
    """False where the connection was lost before the server said anything at all."""
    quit: bool = True
    """The session is still to be ended by QUIT."""

    def record(self, host: Host) -> str:
        """Return the text for the retry database."""
        if self.errno > 0:
            return os.strerror(self.errno)
        return f"H={host.name} [{host.address}]: {self.text}" if self.with_host else self.text

    def line(self, host: Host, port: int | None) -> str:
        """Return the line about the host in the main log."""
        where = f"H={host.name} [{host.address}]" + (f":{port}" if port is not None else "")
        if not self.text:
            return f"{where} {_OWN_WORDS.get(self.errno) or os.strerror(self.errno)}"
        return f"{where}: {self.text}" + (f": {os.strerror(self.errno)}" if self.errno > 0 else "")


def detail(host: Host, code: int = 0, *, connecting: bool = False) -> int:
    """Return more_errno for a host."""
    return host_detail(host.mx >= 0, code, connecting=connecting)


def connect_failed(error: OSError, host: Host) -> Failure:
    """The connection could not be made."""
    number = error.errno or errno.EIO
    return Failure(HOST, "", number, detail(host, connecting=number == errno.ETIMEDOUT), with_host=False)


def step_text(what: Awaited, ehlo_refused: Answer | None = None) -> str:
    """Return how the log names the step that failed."""
    text = what.text
    if what.kind is Awaiting.HELLO and ehlo_refused is not None:
        return f"{text} (EHLO response was: {shown(ehlo_refused.text)})"
    if what.pipelined and what.kind in (Awaiting.MAIL, Awaiting.DATA, Awaiting.END, Awaiting.CHUNK):
        return "pipelined " + text
    return text


def _with_rcpt(what: Awaited, ehlo_refused: Answer | None = None) -> str:
    """Return the step as errors of the protocol name it: they tell of pipelining at RCPT too."""
    if what.kind is Awaiting.RCPT and what.pipelined:
        return "pipelined " + what.text
    return step_text(what, ehlo_refused)


def refused(what: Awaited, answer: Answer, host: Host) -> Failure:
    """The server answered a step with something else than it should."""
    text = f"SMTP error from remote mail server after {step_text(what)}: {shown(answer.text)}"
    permanent = answer.code >= 500
    temporary = 400 <= answer.code < 500
    more = detail(host, answer.code)
    if what.kind in (Awaiting.AUTH, Awaiting.STARTTLS):
        return Failure(HOST, text, 0, detail(host))
    if what.kind in (Awaiting.GREETING, Awaiting.HELLO):
        return Failure(HOST, text, 0, detail(host), permanent)
    number = 0
    if temporary:
        number = ERRNO_MAIL4XX if what.kind is Awaiting.MAIL else ERRNO_DATA4XX
    return Failure(MESSAGE, text, number, more, permanent)


def timed_out(what: Awaited, host: Host, written: int) -> Failure:
    """No answer came in time."""
    step = step_text(what)
    kind = HOST
    if what.kind in (Awaiting.MAIL, Awaiting.END, Awaiting.PRDR, Awaiting.CHUNK):
        kind = MESSAGE
    if what.kind in (Awaiting.END, Awaiting.PRDR):
        step += f" ({written} bytes written)"
    failure = Failure(kind, f"SMTP timeout after {step}", errno.ETIMEDOUT, detail(host), quit=False)
    if what.kind is Awaiting.RCPT:
        failure.kind, failure.recipient = RECIPIENT, what.number
    return failure


def closed(what: Awaited, host: Host, ehlo_refused: Answer | None) -> Failure:
    """The connection was lost while an answer was awaited."""
    step = _with_rcpt(what, ehlo_refused)
    kind = MESSAGE if what.kind in (Awaiting.END, Awaiting.PRDR) else HOST
    return Failure(kind, f"Remote host closed connection in response to {step}", ERRNO_SMTPCLOSED, detail(host),
                   answered=False, quit=False)


def malformed(what: Awaited, text: str, host: Host) -> Failure:
    """What came is no SMTP reply."""
    return Failure(HOST, f"Malformed SMTP reply in response to {_with_rcpt(what)}: {shown(text)}", ERRNO_SMTPFORMAT,
                   detail(host), quit=what.kind is Awaiting.END)


def writing_failed(error: OSError, what: str, host: Host) -> Failure:
    """Sending failed: the connection is gone, or stuck."""
    number = error.errno or errno.EIO
    if isinstance(error, TimeoutError):
        number = errno.ETIMEDOUT
    return Failure(HOST, f"Send() to {host.name} [{host.address}] failed" if what == "command" else
                   "error while sending the message", number, detail(host), answered=False,
                   quit=number != errno.ETIMEDOUT)
