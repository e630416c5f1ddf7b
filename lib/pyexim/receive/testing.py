"""A message for -bem and -bf: read from a file as a local submission is, with all header fix-ups, but kept nowhere.

Spec: options -bem and -bf of the chapter "The Exim command line".
"""

from __future__ import annotations

import os

from pyexim.base.octets import lower, strip
from pyexim.base.record import dataclass
from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.mailfmt import dates
from pyexim.mailfmt.address import parse_address
from pyexim.model.connection import Connection
from pyexim.model.message import Header, Message
from pyexim.receive import fixups
from pyexim.receive.api import ReceiveRun, Submission
from pyexim.receive.collect import Collector
from pyexim.receive.received import received_text
from pyexim.receive.submission import Extracting, make_task, uucp_matcher, uucp_sender
from pyexim.smtp.data import FileData


class _Unstored(Extracting):
    """A message without files: the body stays in the file that was read."""

    __slots__ = ("from_line", "has_header", "return_paths")

    def collect(self, data: bytes) -> None:
        """Take the message in and do what happens to its header."""
        message, main = self.message, self.scope.config.main
        message.received_time = self.started = self.scope.services.clock.time()
        message.message_id = self.run.ids.next(self.started)
        self.collector = Collector(
            lambda piece: None, header_maxsize=main.header_maxsize, header_line_maxsize=main.header_line_maxsize,
            size_limit=0, lf_is_space=False, strip_from=uucp_matcher(self.task))
        reader = FileData(self.task.submission.dot_ends, stuffed=False, crlf_aware=False)
        self.feed(reader.feed(data, final=True))
        self.collector.finish()
        self.from_line = "uucp" in self.scope.facts
        uucp_sender(self.task, self)
        self.read_header()
        self.has_header = bool(self.fields.headers)
        self.return_paths = [_path(h.body) for h in self.fields.headers if lower(h.name) == "return-path"]
        message.message_size = self.collector.header_size + 1 + self.collector.body_size
        fixups.remove_delivery_lines(self.fields, self.scope)
        fixups.fix(self.fields, message, self.scope, self.controls, self.origin)
        received = received_text(self.scope, message)
        # The line stands for the one that a stored message would have, and is not shown.
        self.fields.headers.insert(0, Header(f"Received: {received};\n\t{dates.rfc5322(self.started)}\n", "*"))
        message.received_count += 1


def message_of_file(path: str, submission: Submission, conn: Connection,
                    run: ReceiveRun) -> tuple[Message, Scope, bool]:
    """Return the message in a file, a scope of it, whether it has a header; OSError where it cannot be read.

    With -t the recipients are taken from its header.
    """
    with open(path.encode("latin-1"), "rb") as f:
        data = f.read()
    task = make_task(submission, conn, run)
    incoming = _Unstored(task)
    incoming.collect(data)
    message = incoming.message
    conn.received_protocol = None
    message.data_path, message.data_start = path, _body_start(data)
    return message, task.scope, bool(incoming.collector.fields)


@dataclass(slots=True)
class TestMessage:
    """A message from standard input, for a filter to look at."""

    message: Message
    scope: Scope
    return_paths: list[str]
    """What its Return-path: lines say."""
    from_line: bool
    """It begins with a "From " line."""
    has_header: bool


def message_of_data(data: bytes, submission: Submission, conn: Connection, run: ReceiveRun) -> TestMessage:
    """Return the message in some octets; its body can be seen through a descriptor."""
    task = make_task(submission, conn, run)
    incoming = _Unstored(task)
    incoming.collect(data)
    message = incoming.message
    message.message_size = max(len(data), 1)
    message.message_linecount -= message.body_linecount
    if incoming.has_header:
        message.data_fd = os.memfd_create("message")
        message.data_start = _body_start(data)
        os.truncate(message.data_fd, len(data))
        os.pwrite(message.data_fd, data, 0)
    return TestMessage(message, task.scope, incoming.return_paths, incoming.from_line, incoming.has_header)


def _path(body: str) -> str:
    """Return the address in a Return-path: line, as it is where it is none; "<>" for nobody."""
    text = strip(body)
    if text == "<>":
        return text
    parsed = parse_address(text)
    return taint(parsed.address if parsed.error is None else text)


def _body_start(data: bytes) -> int:
    """Return where the body of a message begins in its file."""
    at = data.find(b"\n\n")
    crlf = data.find(b"\r\n\r\n")
    if crlf >= 0 and (at < 0 or crlf < at):
        return crlf + 4
    return at + 2 if at >= 0 else len(data)
