"""Batched SMTP (-bS): messages from a file in the form of SMTP commands, without answers.

Spec: section "Incoming batched SMTP" of the chapter "SMTP processing".  The first error ends the batch; it
is reported on standard output in a form for programs and on standard error for people.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from pyexim.acl import api as acl
from pyexim.base.taint import Tainted, taint
from pyexim.mailfmt.address import parse_address
from pyexim.model.connection import Connection
from pyexim.model.message import Recipient
from pyexim.receive.api import ReceiveRun
from pyexim.receive.channel import Channel, InputTimeout
from pyexim.receive.closing import lost_where
from pyexim.receive.message import Incoming
from pyexim.receive.session import Session
from pyexim.receive.sizes import SizeError, size_limit
from pyexim.receive.texts import connection_info
from pyexim.smtp.data import FileData

_NOTHING = frozenset({"NOOP", "HELP", "VRFY", "EXPN", "ETRN"})


class BatchError(Exception):
    """Ends the batch: code and text as SMTP would have them, and the command at fault."""

    def __init__(self, code: int, text: str, command: str | None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.command = command


class _Input:
    """The lines and octets of the batch, with the number of the line that was read last."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.buffer = b""
        self.line_number = 0
        self.ended = False

    def more(self) -> bytes:
        """Return the next octets, b"" at the end."""
        data = b"" if self.ended else self.channel.read()
        if not data:
            self.ended = True
            if self.channel.error is not None:
                raise BatchError(421, "Lost incoming connection", None)
        return data

    def line(self) -> str | None:
        """Return the next command line, None at the end."""
        while (end := self.buffer.find(b"\n")) < 0:
            data = self.more()
            if not data:
                if not self.buffer:
                    return None
                end = len(self.buffer)
                break
            self.buffer += data
        line, self.buffer = self.buffer[:end], self.buffer[end + 1:]
        self.line_number += 1
        return Tainted(line.decode("latin-1").rstrip(" \t\r\n"))

    def message(self) -> Iterator[bytes]:
        """Yield the octets of a message up to its end; BatchError where the input ends before."""
        data = FileData()
        while True:
            block = self.buffer or self.more()
            self.buffer = b""
            before = block.count(b"\n")
            piece = data.feed(block, final=not block)
            if data.finished:
                self.buffer = data.rest
                self.line_number += before - data.rest.count(b"\n")
                yield piece
                return
            self.line_number += before
            if piece:
                yield piece
            if not block:
                raise BatchError(421, "Lost incoming connection", None)


class Batch:
    """One batch.  The policy of sessions is used where there is any: scope, messages, limits."""

    def __init__(self, channel: Channel, conn: Connection, run: ReceiveRun) -> None:
        self.session = Session(channel, conn, run)
        self.run = run
        self.conn = conn
        self.main = run.config.main
        self.input = _Input(channel)
        self.accepted = 0
        self.started_line = 0
        self.sender_given = False

    def serve(self) -> int:
        """Take all messages; the exit code."""
        session = self.session
        session.local_start()
        try:
            session.size_limit = size_limit(self.main.message_size_limit, session.scope)
        except SizeError as e:
            session.log.panic(f"invalid message_size_limit: {e}")
            return 0
        self.conn.received_protocol = "local-bsmtp" if self.conn.sender_host_address is None else "bsmtp"
        command: str | None = None
        try:
            while (command := self.input.line()) is not None:
                if not self._command(command):
                    break
        except InputTimeout:
            session.log.main(f"SMTP data timeout (message abandoned) on connection from {session.who_untagged()}")
            return self._report(BatchError(421, "SMTP incoming data timeout - closing connection.", None))
        except BatchError as e:
            return self._report(e)
        return 0

    def _command(self, line: str) -> bool:
        """Obey one command; False after QUIT."""
        if "\0" in line:
            raise BatchError(501, "Unexpected NULL in SMTP command", line.replace("\0", "?"))
        upper = line.upper()
        if upper.startswith("MAIL FROM:"):
            self._mail(line, line[10:])
        elif upper.startswith("RCPT TO:"):
            self._rcpt(line, line[8:])
        else:
            words = upper.split(None, 1) or [""]
            verb = words[0]
            if verb == "DATA":
                self._data(line)
            elif verb in ("HELO", "EHLO", "RSET"):
                if verb != "RSET":
                    self.conn.sender_helo_name = taint(line[5:].strip()) or None
                self._reset()
                self.started_line = self.input.line_number
            elif verb == "QUIT":
                return False
            elif verb in _NOTHING:
                self.started_line = self.input.line_number
            else:
                raise BatchError(500, "Command unrecognized", line)
        return True

    def _reset(self) -> None:
        self.session.new_message()
        self.sender_given = False

    def _mail(self, line: str, argument: str) -> None:
        if self.sender_given:
            raise BatchError(503, "Sender already given", line)
        if not argument.strip():
            raise BatchError(501, "MAIL FROM must have an address operand", line)
        message = self.session.begin_message()
        address = self._address(line, argument, empty=True)  # there are no parameters here, after EHLO neither
        if address and "@" not in address:
            address = f"{address}@{self.main.qualify_domain}"
        self.session.envelope.raw_sender = address
        message.sender_address = taint(address)
        self.sender_given = True

    def _address(self, line: str, path: str, *, empty: bool) -> str:
        main = self.main
        parsed = parse_address(
            path.strip(" \t"), allow_empty=empty, allow_domain_literals=main.allow_domain_literals,
            strip_trailing_dot=main.strip_trailing_dot, strip_excess_angle_brackets=main.strip_excess_angle_brackets,
            allow_utf8_domains=main.allow_utf8_domains)
        if parsed.error is not None:
            raise BatchError(501, parsed.error, line)
        return parsed.address

    def _rcpt(self, line: str, argument: str) -> None:
        if not self.sender_given:
            raise BatchError(503, "No sender yet given", line)
        if not argument.strip():
            raise BatchError(501, "RCPT TO must have an address operand", line)
        session = self.session
        message = session.scope.message
        assert message is not None
        limit = session.value_of(self.main.recipients_max, "recipients_max", 50000)
        if 0 < limit < len(message.recipients) + 1:
            raise BatchError(552 if self.main.recipients_max_reject else 452, "too many recipients", line)
        address = self._address(line, argument, empty=False)
        if "@" not in address:
            address = f"{address}@{self.main.qualify_recipient}"
        session.envelope.raw_recipients.append(address)
        message.recipients.append(Recipient(taint(address)))

    def _data(self, line: str) -> None:
        session = self.session
        message = session.scope.message
        assert message is not None
        if not self.sender_given:
            raise BatchError(503, "MAIL FROM:<sender> command must precede DATA", line)
        if not message.recipients:
            raise BatchError(503, "RCPT TO:<recipient> must precede DATA", line)
        incoming = Incoming(self.run, session.scope, session.origin(), session.envelope, smtp=True,
                            size_limit=session.message_size_limit())
        incoming.settle_sender()
        if self.main.acl_not_smtp_start is not None:
            acl.run_acl("not_smtp_start", self.main.acl_not_smtp_start, session.scope)
        try:
            incoming.open(lf_is_space=True)
            for piece in self.input.message():
                incoming.feed(piece)
        except OSError as e:
            outcome = incoming.spool_failed(e)
            raise BatchError(outcome.code, outcome.text, None) from None
        except BatchError:
            where = lost_where(incoming)
            if where != " (header)":
                self.input.line_number += 1  # the line that is missing
            incoming.abort()
            who = connection_info(self.conn, session.log)
            session.log.main(f"{who} lost while reading message data{where}")
            raise
        outcome = incoming.complete()
        if not outcome.accepted:
            raise BatchError(outcome.code, outcome.text, None)
        self.accepted += 1
        self.started_line = self.input.line_number
        session.messages += 1
        session.after_storing(incoming)
        self._reset()

    def _report(self, error: BatchError) -> int:
        """Tell what was wrong, in both forms; the exit code."""
        out = [f"{error.code} {error.text}", f"Transaction started in line {self.started_line}",
               f"Error detected in line {self.input.line_number}"]
        if error.command is not None:
            out.append(error.command)
        _write(1, "\n".join(out) + "\n")
        count = self.accepted
        text = (f"An error was detected while processing a file of BSMTP input.\nThe error message was:\n\n"
                f"  {error.code} {error.text}\n\nThe SMTP transaction started in line {self.started_line}.\n"
                f"The error was detected in line {self.input.line_number}.\n")
        if error.command is not None:
            text += f"The SMTP command at fault was:\n\n   {error.command}\n\n"
        text += (f"{count} previous message{'' if count == 1 else 's'} {'was' if count == 1 else 'were'} "
                 "successfully processed.\nThe rest of the batch was abandoned.\n")
        _write(2, text)
        return 1 if count else 2


def _write(fd: int, text: str) -> None:
    sys.stdout.flush()
    try:
        os.write(fd, text.encode("latin-1"))
    except OSError:
        return


def read_batch(read_fd: int, write_fd: int, conn: Connection, run: ReceiveRun) -> int:
    """Read batched SMTP from a descriptor; the exit code."""
    channel = Channel(read_fd, write_fd)
    batch = Batch(channel, conn, run)
    timeout = batch.session.value_of(run.config.main.smtp_receive_timeout, "smtp_receive_timeout", 300)
    channel.set_timeout(timeout)
    return batch.serve()
