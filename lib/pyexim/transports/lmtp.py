"""The lmtp transport: LMTP over a Unix socket, or over the standard input and output of a command.

LMTP over TCP/IP is the smtp transport's ``protocol = lmtp``; the protocol is the same core.

Spec: chapter "The lmtp transport"; RFC 2033.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.taint import is_tainted
from pyexim.config.option import BOOL, INT, STRING, TIME, option, options
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.net.channel import Channel
from pyexim.net.connect import connect_unix
from pyexim.retry.errors import ERRNO_DATA4XX, ERRNO_MISC, ERRNO_SMTPCLOSED
from pyexim.smtp.client import Envelope, SmtpClient
from pyexim.transports import write
from pyexim.transports.base import DEFER, FAIL, OK, Result, Transport, TransportRun
from pyexim.transports.command import CommandError, Running, make_arguments, start
from pyexim.transports.options import TransportOptions
from pyexim.transports.smtp_errors import Failure
from pyexim.transports.smtp_session import Limits, Sent, Session, make_envelope


@options
class LmtpOptions(TransportOptions):
    """The options of its section."""

    batch_id: str | None = option(STRING, None, expanded=True, spec="28",
        doc="Only addresses for which this expands to the same are delivered together.")
    batch_max: int = option(INT, 1, spec="28",
        doc="How many addresses one run may deliver for.")
    command: str | None = option(STRING, None, expanded=True, spec="28",
        doc="Command that speaks LMTP on its standard input and output.")
    ignore_quota: bool = option(BOOL, False, spec="28",
        doc="Ask the server to ignore quotas (IGNOREQUOTA), where it knows that.")
    socket: str | None = option(STRING, None, expanded=True, spec="28",
        doc="Unix socket on which a server speaks LMTP.")
    timeout: int = option(TIME, 300, spec="28",
        doc="How long to wait for each answer.")


class Lmtp(Transport):
    """Deliver by LMTP to something on this host."""

    Options = LmtpOptions
    options: LmtpOptions

    def check(self) -> None:
        o = self.options
        if (o.command is None) == (o.socket is None):
            raise self.wrong(f"one (and only one) of command or socket must be set for the {self.name} transport",
                             "socket", named=False)
        if o.timeout <= 0:
            raise self.wrong("timeout value is zero", "timeout")

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        running: Running | None = None
        try:
            copy = write.prepare(batch, run, self.options)
            if self.options.socket is not None:
                channel = self._connect(run)
            else:
                running = self._start(batch, run)
                channel = Channel(read_fd=running.stdout, write_fd=running.stdin)
        except CommandError as e:
            return [Result(a, FAIL if e.permanent else DEFER, e.text) for a in batch]
        except write.WriteError as e:
            return [Result(a, DEFER, e.text, e.errno) for a in batch]
        try:
            return self._converse(channel, batch, run, copy)
        except write.WriteError as e:
            return [Result(a, DEFER, e.text, e.errno) for a in batch]
        finally:
            channel.close()
            if running is not None:
                running.kill()
                running.wait()

    def _connect(self, run: TransportRun) -> Channel:
        source = self.options.socket or ""
        try:
            path = expand(source, run.scope)
        except ExpansionError as e:
            raise CommandError(f'Expansion of "{source}" (socket setting for {self.name} transport) failed: '
                               f"{e.text}") from None
        if is_tainted(path):
            raise CommandError(f"Tainted '{path}' (socket for {self.name} transport) not permitted")
        try:
            return Channel(connect_unix(path, self.options.timeout))
        except OSError as e:
            raise write.WriteError(f"Failed to connect to socket {path} for {self.name} transport: {e.strerror}",
                                   -1) from None

    def _start(self, batch: list[Address], run: TransportRun) -> Running:
        argv = make_arguments(self.options.command or "", run.scope, batch, expanded=True,
                              what=f"{self.name} transport")
        try:
            return start(argv, dict(os.environ), core=False, stderr_too=False)
        except OSError as e:
            raise write.WriteError(f"Failed to create child process for {self.name} transport: {e.strerror}",
                                   e.errno or errno.EAGAIN) from None

    def _converse(self, channel: Channel, batch: list[Address], run: TransportRun, copy: write.Copy) -> list[Result]:
        o, services = self.options, run.scope.services
        limit = o.timeout
        session = Session(channel, Host("localhost", None), Limits(limit, limit, limit), SmtpClient(lmtp=True))
        failure = session.start(services.primary_hostname)
        if failure is not None:
            return [self._failed(a, failure) for a in batch]
        affixes = o.rcpt_include_affixes
        envelope = make_envelope(
            batch, [write.envelope_recipient(a, affixes=affixes) for a in batch], run.return_path, run.message,
            session.client, size_addition=-1, chunking=False, prdr=False, ignore_quota=o.ignore_quota,
            smtputf8=run.message.smtputf8 and "SMTPUTF8" in session.client.capabilities, authenticated=None)
        sent = session.send(envelope, copy)
        taken = [batch[number] for number, told in sent.told.items() if told.status == "ok"]
        if taken:
            run.delivered(*taken)
        results = [self._result(i, a, sent, envelope) for i, a in enumerate(batch)]
        session.quit()
        return results

    def _result(self, number: int, address: Address, sent: Sent, envelope: Envelope) -> Result:
        told = sent.told.get(number)
        if told is None:
            return self._failed(address, sent.failure)
        status = {"ok": OK, "fail": FAIL, "defer": DEFER}[told.status]
        code = told.errno
        if status == DEFER and code == 0:
            code = ERRNO_DATA4XX if told.more_errno >> 8 else ERRNO_MISC
        text = in_words_of_lmtp(told.text)
        if envelope.rcpt_parameters:
            # The whole command is quoted.
            text = text.replace(f"RCPT TO:<{envelope.recipients[number]}>: ",
                                f"RCPT TO:<{envelope.recipients[number]}>{envelope.rcpt_parameters[number]}: ", 1)
        return Result(address, status, text, code, _without_host(told.more_errno),
                      confirmation=told.confirmation, size=sent.size, told=True)

    def _failed(self, address: Address, failure: Failure | None) -> Result:
        if failure is None:
            return Result(address, DEFER, "the LMTP server gave no answer for this recipient")
        text = in_words_of_lmtp(failure.text)
        if failure.permanent:
            return Result(address, FAIL, text)
        number = failure.errno
        if number == ERRNO_SMTPCLOSED or number >= 0 or "after end of data: " in text:
            number = ERRNO_MISC
        return Result(address, DEFER, text, number, _without_host(failure.more_errno))


def _without_host(more_errno: int) -> int:
    """Return what is known of an error besides its number: there is no host, only a reply's code."""
    return more_errno & ~0xFF


_WORDS: Final = (
    ("SMTP error from remote mail server after ", "LMTP error after "),
    ("LMTP error after DATA: ", "LMTP error after end of data: "),
    ("Remote host closed connection in response to ", "LMTP connection closed after "),
    ("SMTP timeout after ", "LMTP timeout after "),
    ("Malformed SMTP reply in response to ", "Malformed LMTP response after "))


def in_words_of_lmtp(text: str) -> str:
    """Return an error of the SMTP client as this transport words it, which does not tell of pipelining."""
    for smtp, lmtp in _WORDS:
        if text.startswith(smtp):
            return lmtp + text[len(smtp):].removeprefix("pipelined ")
    return text
