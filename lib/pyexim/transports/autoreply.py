"""The autoreply transport: answer a message with a new one.

The reply goes in by the front door (``services.submit``).  Its parts come from the transport's options, or
whole from a filter's mail or vacation command (``address.reply``), never from a mixture.

Spec: chapter "The autoreply transport"; References: by RFC 5322, Auto-Submitted: by RFC 3834.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import time
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import lower, shown
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import is_tainted
from pyexim.config.option import ADDRESS_LIST, BOOL, INT, OCTAL, STRING, TIME, option, options
from pyexim.expand.engine import expand
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.match.lists import match_address
from pyexim.model.address import Address
from pyexim.model.message import Message
from pyexim.transports import write
from pyexim.transports.base import DEFER, FAIL, OK, Result, Transport, TransportRun
from pyexim.transports.options import TransportOptions

COPY_LINE: Final = "\n------ This is a copy of the message, including all the headers.\n"
COPY_LINE_CUT: Final = "\n------ This is a copy of the message, including all the headers.\n" \
    "------ The body of the message is {} characters long; only the first\n------ {} or so are included here.\n"
_TIME: Final = lazy_pattern(r"([0-9]+)([wdhms])", re.ASCII)
_SECONDS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_FIELDS: Final = ("from", "reply_to", "to", "cc", "bcc", "subject", "headers", "text", "file", "log", "once")
MAX_REFERENCES: Final = 12
_STAMP: Final = struct.Struct("=q")
"""The time of an entry in a "once" file of limited size."""


@options
class AutoreplyOptions(TransportOptions):
    """The options of its section."""

    bcc: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Recipients that nobody sees.")
    cc: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Further recipients, and the Cc: line.")
    file: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="File whose content is the body, after text.")
    file_expand: bool = option(BOOL, False, spec="27.1",
        doc="Expand the content of the file.")
    file_optional: bool = option(BOOL, False, spec="27.1",
        doc="A file that cannot be read is no error.")
    from_: str | None = option(STRING, None, expanded=True, name="from", spec="27.1",
        doc="Content of the From: line.")
    headers: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Further header lines.")
    log: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="File with a record of every reply.")
    mode: int = option(OCTAL, 0o600, spec="27.1",
        doc="Mode of the log and once files.")
    never_mail: str | None = option(ADDRESS_LIST, None, expanded=True, spec="27.1",
        doc="Addresses that are never written to.")
    once: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="File or database of those who have had a reply; they get no second one.")
    once_file_size: int = option(INT, 0, spec="27.1",
        doc="Largest size of a once file; 0 makes it a database.")
    once_repeat: int | str = option(TIME, 0, expanded=True, spec="27.1",
        doc="After how long someone may get another reply; 0 for never.")
    reply_to: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Content of the Reply-To: line.")
    return_message: bool = option(BOOL, False, spec="27.1",
        doc="Send the original message along.")
    subject: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Content of the Subject: line.")
    text: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="The body.")
    to: str | None = option(STRING, None, expanded=True, spec="27.1",
        doc="Recipients, and the To: line.")


class _Stop(Exception):
    """No reply can be made now; with FAIL, none at all: the options are wrong."""

    def __init__(self, text: str, number: int = 0, status: str = DEFER) -> None:
        super().__init__(text)
        self.text = text
        self.number = number
        self.status = status


class Autoreply(Transport):
    """Answer a message."""

    Options = AutoreplyOptions
    options: AutoreplyOptions

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        results = []
        for address in batch:
            once_more = False
            try:
                once_more = self._reply(address, run)
            except _Stop as e:
                results.append(Result(address, e.status, e.text, e.number))
                continue
            except write.WriteError as e:
                results.append(Result(address, DEFER, e.text, e.errno))
                continue
            # Whoever submits the reply journals the delivery: there may be none.
            results.append(Result(address, OK, once_more=once_more))
        return results

    def _reply(self, address: Address, run: TransportRun) -> bool:
        """Make and submit the reply; True where that it has gone cannot be remembered yet."""
        parts, expand_file, repeat = self._parts(address, run)
        wanted = any(parts[name] for name in ("to", "cc", "bcc"))
        if not wanted and not parts["headers"]:
            run.scope.services.log.panic(f"the message of the {self.name} transport has no recipients",
                                         message_id=run.message.message_id)
            return False
        for name in ("to", "cc", "bcc"):
            parts[name] = self._without_never_mail(parts[name], run)
        if wanted and not any(parts[name] for name in ("to", "cc", "bcc")):
            return False
        if address.reply is not None and address.reply.make_directory and parts["once"]:
            os.makedirs(os.path.dirname(parts["once"]), 0o700, exist_ok=True)
        once = Once(parts["once"], self.options.once_file_size, repeat, self.options.mode,
                    self.name) if parts["once"] else None
        now = run.scope.services.clock.time()
        recipient = parts["to"]
        if run.reply_sent:
            self._remember(once, parts, now, run)
            return False
        if once is not None and recipient and once.sent_lately(recipient, now):
            self._log_line(parts, now, "previously sent to " + recipient[:200], run)
            return False
        text = self._message(parts, expand_file, address, run)
        submit = run.scope.services.submit
        if submit is None:
            raise _Stop(f"Failed to create child process to send message from {self.name} transport", errno.EAGAIN)
        code = submit(["-oem", "-oi", "-t", "-f", "<>", "-E" + run.message.message_id], text)
        # 2: nobody to send to (a bounce is being answered); that is no error.
        if code not in (0, 2):
            raise _Stop(f"Failed to send message from {self.name} transport ({code})")
        if run.submitted_later:
            return once is not None or bool(parts["log"])
        self._remember(once, parts, now, run)
        return False

    def _remember(self, once: Once | None, parts: dict[str, str], now: float, run: TransportRun) -> None:
        """Note that the reply has been submitted."""
        if once is not None and parts["to"] and (trouble := once.record(parts["to"], now)):
            # The reply has gone: to try again would send another one.
            run.scope.services.log.main(f'Failed to write "once" file {once.path} when sending message from '
                                        f"{self.name} transport: {trouble}", message_id=run.message.message_id)
        self._log_line(parts, now, "", run)

    # -- the parts

    def _parts(self, address: Address, run: TransportRun) -> tuple[dict[str, str], bool, int]:
        """Return the parts of the reply, whether its file is to be expanded, and once_repeat in seconds."""
        reply = address.reply
        if reply is not None:
            parts = {name: getattr(reply, "from_" if name == "from" else name) for name in _FIELDS}
            return parts, reply.file_expand, reply.once_repeat
        o = self.options
        parts = {}
        for name in _FIELDS:
            source = getattr(o, "from_" if name == "from" else name)
            parts[name] = self._expand(source, run) if source is not None else ""
            if name not in ("text", "headers"):
                folded = name not in ("file", "log", "once")
                bad = _not_printable(parts[name], folded=folded, top=run.scope.config.main.print_topbitchars)
                if bad >= 0:
                    raise _Stop(f'Expansion of "{shown(source or "")}" in {self.name} transport contains '
                                f"non-printing character {bad}", status=FAIL)
        for name in ("file", "log", "once"):
            if is_tainted(parts[name]):
                raise _Stop(f"Tainted '{parts[name]}' (file for {self.name} transport) not permitted", -1)
        repeat = o.once_repeat
        if isinstance(repeat, str):
            text = self._expand(repeat, run)
            repeat = _seconds(text)
            if repeat < 0:
                raise _Stop(f'Invalid time value "{text}" for "once_repeat" in {self.name} transport',
                            status=FAIL)
        return parts, o.file_expand, repeat

    def _expand(self, source: str, run: TransportRun) -> str:
        try:
            return expand(source, run.scope)
        except ExpansionError as e:
            raise _Stop(f'Expansion of "{source}" failed in {self.name} transport: {e.text}', status=FAIL) from None

    def _without_never_mail(self, text: str, run: TransportRun) -> str:
        source = self.options.never_mail
        if source is None or not text:
            return text
        try:
            source = expand(source, run.scope)
        except ExpansionError:
            raise _Stop(f'Failed to expand "{source}" for "never_mail" in {self.name} transport', status=FAIL) from None
        kept = []
        for item in split_list(text):
            parsed = parse_address(item)
            if parsed.error is None:
                found = match_address(parsed.address, source, run.scope, expanded=True)
                if found.deferred:
                    raise _Stop(f"never_mail of {self.name} transport cannot be checked: {found.error}", -1)
                if found:
                    continue
            kept.append(item)
        return ", ".join(kept)

    # -- the message

    def _message(self, parts: dict[str, str], expand_file: bool, address: Address, run: TransportRun) -> bytes:
        out: list[str] = []
        for field, name in (("From", "from"), ("Reply-To", "reply_to"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"),
                            ("Subject", "subject")):
            if parts[name]:
                out.append(f"{field}: {parts[name]}\n")
        out += _threading(run.message)
        out.append("Auto-Submitted: auto-replied\n")
        if parts["headers"]:
            out.append(parts["headers"] if parts["headers"].endswith("\n") else parts["headers"] + "\n")
        out.append("\n")
        if parts["text"]:
            out.append(parts["text"] if parts["text"].endswith("\n") else parts["text"] + "\n")
        if parts["file"]:
            out.append(self._file(parts["file"], expand_file, run))
        data = "".join(out).encode("latin-1")
        wanted = self.options.return_message or (address.reply is not None and address.reply.return_message)
        return data + self._copy(address, run) if wanted else data

    def _file(self, path: str, expand_it: bool, run: TransportRun) -> str:
        try:
            with open(path, "rb") as f:
                text = f.read().decode("latin-1")
        except OSError as e:
            if self.options.file_optional:
                return ""
            raise _Stop(f"Failed to open file {path} when sending message from {self.name} transport: "
                        f"{os.strerror(e.errno or errno.EIO)}", e.errno or errno.EIO) from None
        if not expand_it:
            return text
        # Line by line, as it is added; a line that cannot be expanded goes as it is.
        out = []
        for line in re.findall(r"[^\n]*\n|[^\n]+", text):
            try:
                out.append(expand(line, run.scope))
            except ExpansionError:
                out.append(line)
        return "".join(out)

    def _copy(self, address: Address, run: TransportRun) -> bytes:
        """Return the original message, with a line above it, up to bounce_return_size_limit."""
        copy = write.prepare([address], run, self.options)
        limit = run.scope.config.main.bounce_return_size_limit
        if not limit or copy.length <= limit:
            return COPY_LINE.encode("latin-1") + b"\n" + b"".join(copy.chunks())
        body = max(min(limit, copy.size), 0)
        head = COPY_LINE_CUT.format(copy.size, body).encode("latin-1")
        copy.size = body
        return head + b"\n" + b"".join(copy.chunks())

    # -- its log

    def _log_line(self, parts: dict[str, str], now: float, note: str, run: TransportRun) -> None:
        path = parts["log"]
        if not path:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        lines = [stamp] if not note else [f"{stamp}\n  {note}"]
        if not note:
            for field, name in (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Subject", "subject")):
                if parts[name]:
                    lines.append(f"  {field}: {parts[name]}")
            if parts["headers"]:
                lines.append(f"  {parts['headers']}")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self.options.mode)
            try:
                os.write(fd, ("\n".join(lines) + "\n").encode("latin-1"))
            finally:
                os.close(fd)
        except OSError as e:
            run.scope.services.log.main(f"Failed to open log file {path} when sending message from {self.name} "
                                        f"transport: {e.strerror}", message_id=run.message.message_id)


class Once:
    """Who has been sent a reply, and when.

    With a file size the file is Exim's: four octets of time, the address, a NUL, again and again.  Without
    one it is a database that grows: SQLite here, where Exim has DBM.
    """

    def __init__(self, path: str, size: int, repeat: int, mode: int, transport: str) -> None:
        self.transport = transport
        self.path, self.size, self.repeat, self.mode = path, size, repeat, mode
        self.entries: list[tuple[int, bytes]] = []
        self._database: Any = None
        self._error: type[Exception] = OSError
        """What the database raises."""
        if size > 0:
            self._read()
        else:
            self._open()

    def _read(self) -> None:
        try:
            # Opened as it will be written: what cannot be remembered is better not sent.
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self.mode)
            with open(fd, "rb") as f:
                data = f.read()
        except OSError as e:
            raise self._unusable("file", e) from None
        i = 0
        while i + _STAMP.size < len(data):
            end = data.find(b"\0", i + _STAMP.size)
            if end < 0:
                break
            self.entries.append((_STAMP.unpack_from(data, i)[0], data[i + _STAMP.size:end]))
            i = end + 1

    def _open(self) -> None:
        import sqlite3  # only where once is set

        self._error = sqlite3.Error
        try:
            if not os.path.exists(self.path):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self.mode))
            self._database = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            self._database.execute("CREATE TABLE IF NOT EXISTS sent (address BLOB PRIMARY KEY, at INTEGER)")
        except (OSError, sqlite3.Error) as e:
            raise self._unusable("database", e) from None

    def _unusable(self, kind: str, e: Exception) -> _Stop:
        """Return the refusal to send what could not be remembered."""
        text, number = str(e), errno.EIO
        if isinstance(e, OSError) and e.errno:
            text, number = os.strerror(e.errno), e.errno
        return _Stop(f'Failed to open "once" {kind} {self.path} when sending message from {self.transport} transport: '
                     f"{text}", number)

    def sent_lately(self, recipient: str, now: float) -> bool:
        """Tell whether a reply went to the recipient, within once_repeat where that is set."""
        key = recipient.encode("latin-1")
        if self._database is not None:
            try:
                row = self._database.execute("SELECT at FROM sent WHERE address = ?", (key,)).fetchone()
            except self._error as e:
                raise self._unusable("database", e) from None
            at = row[0] if row else None
        else:
            at = next((t for t, a in self.entries if a == key), None)
        return at is not None and (self.repeat <= 0 or now - at < self.repeat)

    def record(self, recipient: str, now: float) -> str:
        """Remember that a reply has gone, the oldest entries of a full file go; what went wrong, or ""."""
        key = recipient.encode("latin-1")
        try:
            if self._database is None:
                self._write(key, now)
            else:
                self._database.execute("INSERT OR REPLACE INTO sent VALUES (?, ?)", (key, int(now)))
                self._database.close()
        except (OSError, self._error) as e:
            return str(e)
        return ""

    def _write(self, key: bytes, now: float) -> None:
        entries = sorted((t, a) for t, a in self.entries if a != key) + [(int(now), key)]
        while len(entries) > 1 and sum(_STAMP.size + 1 + len(a) for _, a in entries) > self.size:
            del entries[0]
        data = b"".join(_STAMP.pack(t) + a + b"\0" for t, a in entries)
        name = f"{self.path}.{os.getpid()}"
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, self.mode)
        except OSError:
            name = self.path  # in a directory of somebody else the file itself is all there is
            fd = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        if name != self.path:
            os.rename(name, self.path)


def _not_printable(text: str, *, folded: bool, top: bool) -> int:
    """Return the code of the first character that no header line may have, -1 where there is none.

    ``folded`` text may go on in further lines, ``top`` allows what is above ASCII.
    """
    for i, c in enumerate(text):
        code = ord(c)
        if 32 <= code < 127 or (top and code > 127):
            continue
        if c == "\t" or (folded and c == "\n" and text[i + 1:i + 2] in (" ", "\t")):
            continue
        return code
    return -1


def _threading(message: Message) -> list[str]:
    """Return In-Reply-To: and References: for an answer."""
    found: dict[str, str] = {}
    for header in message.headers:
        name = lower(header.name)
        if name in ("message-id", "references", "in-reply-to") and header.type != "*":
            found.setdefault(name, header.body.strip(" \t\n"))
    own = found.get("message-id")
    if not own:
        return []
    ids = re.findall(r"<[^<>\s]+>", found.get("references") or found.get("in-reply-to", ""), re.ASCII)
    if len(ids) > MAX_REFERENCES - 1:
        ids = [ids[0], *ids[-(MAX_REFERENCES - 2):]]
    return [f"In-Reply-To: {own}\n", "References: " + "\n ".join([" ".join([*ids, own])]) + "\n"]


def _seconds(text: str) -> int:
    """Return a time interval in seconds, -1 where it is none."""
    if text == "0":
        return 0
    if not re.fullmatch(r"(?:[0-9]+[wdhms])+", text, re.ASCII):
        return -1
    return sum(int(n) * _SECONDS[u] for n, u in _TIME.findall(text))
