"""The SMTP server's protocol: bytes in, events out, replies in, bytes out.

No socket, no clock, no log, no ACL.  The session (``receive.session``) feeds what it reads, handles the
events, answers each command with ``reply()``, and writes what ``data_to_send()`` gives, which is the
answers to a whole pipelined group when it came in one piece.

Order of commands.  A session goes from START to GREETED by an accepted HELO or EHLO; an accepted MAIL
makes it SENDER, an accepted RCPT makes it READY; DATA and the last BDAT bring it back to GREETED, RSET
and a new HELO or EHLO too.  A BDAT that is not the last makes it CHUNKING, where only BDAT, RSET, NOOP,
HELP and QUIT are in order.  ``ORDER`` below says what is answered to the rest.  Of the three counters
(unrecognised commands, wrong ones, those that bring no mail) the limits are constructor arguments; the
command that exceeds one is answered, and then the connection is closed.  After a challenge of AUTH the next
line is its answer, whatever it looks like.

Where PIPELINING was offered a client may send RCPT and DATA before it knows that MAIL failed: such
commands are refused but not counted as mistakes.

Spec: chapter "SMTP processing", sections 4 to 6; RFC 5321, 2920, 3030.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import LocalProtocolError
from pyexim.base.taint import Tainted
from pyexim.model.reply import Reply
from pyexim.smtp.data import Chunk, DotData, FileData
from pyexim.smtp.events import (
    CLOSED,
    NEED_DATA,
    AuthAnswer,
    BodyData,
    BodyEnd,
    Command,
    EndOfInput,
    Event,
    Limits,
    Refused,
    SyncError,
    TooMany,
)
from pyexim.smtp.parameters import parse_bdat

__all__ = ["CLOSED", "NEED_DATA", "AuthAnswer", "BodyData", "BodyEnd", "Command", "EndOfInput", "Event", "Limits",
           "Refused", "Server", "SyncError", "TooMany"]

START, GREETED, SENDER, READY = "start", "greeted", "sender", "ready"
CHUNKING, CHUNK_BROKEN = "chunking", "chunk_broken"

SENDER_MISSING: Final = "sender not yet given"
ORDER: Final = {
    (GREETED, "RCPT"): SENDER_MISSING, (START, "RCPT"): SENDER_MISSING,
    (SENDER, "MAIL"): "sender already given", (READY, "MAIL"): "sender already given",
    **{(CHUNKING, verb): "only BDAT permissible after non-LAST BDAT"
       for verb in ("HELO", "EHLO", "MAIL", "RCPT", "DATA", "AUTH", "STARTTLS", "VRFY", "EXPN", "ETRN")},
    **{(CHUNK_BROKEN, verb): "only RSET accepted now"
       for verb in ("HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS", "VRFY", "EXPN", "ETRN")},
}
"""(state, verb) -> why the command is refused there with 503.  DATA and BDAT without recipients have a
reply of their own; MAIL before HELO is the session's to judge (hosts_require_helo)."""

WITH_ARGUMENT: Final = frozenset({"HELO", "EHLO", "MAIL", "RCPT", "BDAT", "VRFY", "EXPN", "ETRN", "AUTH", "NOOP",
                                  "HELP"})
VERBS: Final = WITH_ARGUMENT | {"DATA", "RSET", "QUIT", "STARTTLS"}
MAIL_VERBS: Final = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "QUIT"})
"""Commands that are not counted as bringing no mail."""

_verb = re.compile(r"(?:(MAIL FROM|RCPT TO):[ \t]*|([A-Z]+)(?:[ \t]+|\Z))", re.IGNORECASE | re.ASCII).match

SYNC_PIPELINED: Final = frozenset({"HELO", "EHLO", "DATA", "NOOP", "VRFY", "EXPN", "ETRN", "STARTTLS", ""})
SYNC_PLAIN: Final = SYNC_PIPELINED | {"MAIL", "RCPT", "RSET"}
"""Commands ("" stands for unrecognised ones) after which a client must wait for the answer, where
PIPELINING was offered and where it was not.  Not all that RFC 2920 lists: as Exim has it."""


_MESSAGE_END: Final = BodyEnd()


class Server:
    """One SMTP conversation, seen from the server.

    ``nonmail_applies`` is asked once, when max_nonmail is exceeded first, whether the limit holds for
    this client (smtp_accept_max_nonmail_hosts).
    """

    def __init__(self, limits: Limits | None = None, nonmail_applies: Callable[[], bool] | None = None) -> None:
        self.limits = limits or Limits()
        self.state = START
        self.esmtp = False
        self.pipelining = False
        """PIPELINING was offered in the reply to EHLO; set by the session."""
        self.chunking = False
        """CHUNKING was offered; BDAT is refused otherwise."""
        self.multiline = True
        """False: only the last line of a reply is sent (control = no_multiline_responses)."""
        self.recipients = 0
        self.unknown = self.synprot = self.nonmail = 0
        self.pipelined = False
        """The client has made use of pipelining."""
        self._nonmail_applies = nonmail_applies
        self._free_helo = self._free_rset = self._free_auth = self._free_tls = True
        self._in = bytearray()
        self._at = 0
        self._scanned = 0
        self._out: list[bytes] = []
        self._eof = False
        self._closing = False
        self._pending: Command | BodyEnd | None = None
        self._auth: Command | None = None
        """The AUTH command whose challenge the client is to answer."""
        self._data: DotData | FileData | Chunk | None = None
        self._bare_lf = False
        """The last command line ended in a LF without CR before it."""
        self._chunk: Command | None = None
        self._discard = False
        self._overlong = False
        self._previous = ""
        self._mail_refused = False
        self._rcpt_reply: str | None = None
        self._rcpt_same = True
        self._rcpt_open = False
        """The last RCPT was wrong: what is answered next counts among the answers to RCPT."""
        self._tail: TooMany | None = None
        self._last_line = ""
        self.refuse_all = ""
        """Why every command but QUIT is refused (no header from a proxy that must send one)."""
        self.refuse_code = 503
        self.more_input: Callable[[], bool] | None = None
        """Set while synchronisation is enforced: tells whether the client has sent more than was read."""

    # -- bytes in, bytes out

    def receive_data(self, data: bytes) -> None:
        """Take octets from the client; none means that it will send no more."""
        if not data:
            self._eof = True
            return
        if self._at:
            del self._in[:self._at]
            self._scanned -= self._at
            self._at = 0
        self._in += data

    def data_to_send(self) -> bytes:
        """Return, and forget, what is to be sent."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def has_output(self) -> bool:
        """Tell whether something is to be sent."""
        return bool(self._out)

    @property
    def in_data(self) -> bool:
        """Tell whether the octets of a message are being read."""
        return self._data is not None

    @property
    def buffered(self) -> bool:
        """Tell whether input stands in the buffer that has not been worked on."""
        return len(self._in) > self._at

    def take_input(self) -> bytes:
        """Return, and forget, what has been received and not been worked on."""
        data = bytes(self._in[self._at:])
        self.forget_input()
        return data

    def forget_input(self) -> None:
        """Drop what has been received and not been worked on."""
        self._in.clear()
        self._at = self._scanned = 0

    def peek_input(self, size: int) -> bytes:
        """Return the first octets that have not been worked on, for a log line."""
        return bytes(self._in[self._at:self._at + size])

    # -- replies

    def send(self, reply: Reply) -> None:
        """Send a reply that answers no command: the banner, a refusal of the connection."""
        self._out.append(reply.encode(self.multiline))
        if reply.final:
            self._closing = True

    def send_raw(self, data: bytes) -> None:
        """Send octets as they are."""
        self._out.append(data)

    def close(self) -> None:
        """End the conversation: the next event is CLOSED."""
        self._closing = True

    def reply(self, code: int, text: str, *, final: bool = False, rejected_text: str | None = None) -> None:
        """Answer the command (or message) at hand; a positive answer moves the state on.

        ``rejected_text`` is what a later DATA quotes when all RCPT commands were rejected.
        """
        if "\n" in text:
            self._out.append(Reply(code, text).encode(self.multiline))
        else:
            self._out.append(b"%d %b\r\n" % (code, text.encode("latin-1")))
        self.answered(code, text, final=final, rejected_text=rejected_text)

    def answered(self, code: int, text: str = "", *, final: bool = False, rejected_text: str | None = None) -> None:
        """Say that the command at hand has been answered (by ``send_raw``) with this code."""
        pending = self._pending
        if pending is None:
            raise LocalProtocolError(f"reply {code} without a command")
        self._pending = None
        if final:
            self._closing = True
        if isinstance(pending, BodyEnd):
            self._body_answered(pending, code)
            return
        verb = pending.verb
        if verb == "RCPT":
            self._rcpt_answered(code, rejected_text if rejected_text is not None else text)
        elif 200 <= code < 400:
            if verb == "MAIL":
                self.state = SENDER
                self.recipients = 0
                self._forget_rcpts()
            elif verb == "DATA":
                # Who sends whole lines without CR (a file on standard input) ends the data so, too.
                self._data = FileData(crlf_aware=False) if self._bare_lf else DotData()
            elif verb in ("HELO", "EHLO"):
                self.state = GREETED
                self.esmtp = verb == "EHLO"
                self.recipients = 0
            elif verb == "RSET":
                self.reset()
            elif verb == "QUIT":
                self._closing = True
            elif verb == "STARTTLS":
                self.forget_input()  # commands that came in clear must not be taken for encrypted ones
        elif verb == "MAIL":
            self._mail_refused = True
        elif verb in ("HELO", "EHLO") and self.state != START:
            self.state = START

    def challenge(self, text: str) -> None:
        """Answer the AUTH command at hand by a challenge in base64; the next event is the client's AuthAnswer."""
        pending = self._pending
        if not isinstance(pending, Command) or pending.verb != "AUTH":
            raise LocalProtocolError("a challenge without AUTH")
        self._out.append(f"334 {text}\r\n".encode("latin-1"))
        self._auth, self._pending = pending, None

    @property
    def in_auth(self) -> bool:
        """Tell whether the client is to answer a challenge."""
        return self._auth is not None

    def _rcpt_answered(self, code: int, text: str) -> None:
        self._rcpt_open = False
        if 200 <= code < 300:
            self.recipients += 1
            self.state = READY
            return
        self._note_rejected(text)

    def _note_rejected(self, text: str) -> None:
        if self._rcpt_reply is None:
            self._rcpt_reply = text
        elif self._rcpt_same and self._rcpt_reply != text:
            self._rcpt_same = False

    def _body_answered(self, end: BodyEnd, code: int) -> None:
        if end.chunked and not end.last:
            self.state = CHUNKING if 200 <= code < 300 else CHUNK_BROKEN
            return
        self.reset()
        self._free_rset = self._free_helo = True

    def reset(self) -> None:
        """Forget the transaction."""
        if self.state != START:
            self.state = GREETED
        self.recipients = 0
        self._forget_rcpts()

    def _forget_rcpts(self) -> None:
        self._rcpt_reply = None
        self._rcpt_same = True
        self._rcpt_open = False

    def tls_started(self, *, keep_esmtp: bool = False) -> None:
        """The connection is encrypted now: the client begins anew, with EHLO and AUTH that cost nothing."""
        self.forget_input()
        if not keep_esmtp:
            self.state = START
            self.esmtp = False
            self.pipelining = self.chunking = False
        self.reset()
        self._free_helo = self._free_auth = True

    def discard_message(self) -> None:
        """Throw the rest of the message away as it comes, up to its end; no more BodyData is given."""
        self._discard = True

    def error(self, kind: str, code: int, text: str, log_text: str | None = None) -> Refused:
        """Refuse the command at hand as wrong: answers, counts, and returns the event for the log.

        Called by the session for what only it can judge (addresses, parameters).
        """
        pending = self._pending
        if not isinstance(pending, Command):
            raise LocalProtocolError("no command to refuse")
        self._pending = None
        self._count_synprot(code, text, pending.line)
        if pending.verb == "MAIL":
            self._mail_refused = True
        if pending.verb == "RCPT":
            self._note_rejected(f"{code} {text}")
            self._rcpt_open = True
        if pending.verb == "BDAT":
            self.state = CHUNK_BROKEN if self.state == CHUNKING else self.state
        return Refused(kind, pending.line, text if log_text is None else log_text, pending.verb)

    def count_error(self, line: str) -> None:
        """Count a mistake that the session has answered itself."""
        self.synprot += 1
        if self.synprot > self.limits.max_synprot:
            self._closing = True
            self._tail = TooMany("syntax or protocol errors", line)

    def _count_synprot(self, code: int, text: str, line: str) -> None:
        self.synprot += 1
        if self.synprot > self.limits.max_synprot:
            self._out.append(Reply(code, text + "\nToo many syntax or protocol errors").encode(self.multiline))
            self._closing = True
            self._tail = TooMany("syntax or protocol errors", line)
        else:
            self._out.append(Reply(code, text).encode(self.multiline))

    # -- events

    def next_event(self) -> Event:
        """Return what comes next.

        NEED_DATA: send ``data_to_send()``, then read and call ``receive_data``.  A Command or BodyEnd must
        be answered before the next call.
        """
        if self._pending is not None:
            raise LocalProtocolError("the last command has not been answered")
        if self._tail is not None:
            tail, self._tail = self._tail, None
            return tail
        if self._closing:
            return CLOSED
        if self._data is not None:
            return self._next_of_data()
        line = self._next_line()
        if self._auth is not None and (line is not None or self._eof):
            # The end of the input is an empty answer, as in Exim.
            self._pending, self._auth = self._auth, None
            return AuthAnswer(line or "")
        if line is None:
            if self._eof:
                self._closing = True
                return EndOfInput("command")
            return NEED_DATA
        return self._command(line)

    def _next_of_data(self) -> Event:
        data = self._data
        assert data is not None
        if not data.finished:
            if self._at >= len(self._in):
                if self._eof:
                    self._closing = True
                    return EndOfInput("data")
                return NEED_DATA
            block = bytes(memoryview(self._in)[self._at:]) if self._at else bytes(self._in)
            self._in.clear()
            self._at = self._scanned = 0
            taken = data.feed(block)
            if data.finished and data.rest:
                self._in += data.rest
            if taken and not self._discard and not isinstance(data, _Skip):
                return BodyData(taken)
            if not data.finished:
                return self._next_of_data() if self._eof else NEED_DATA
        self._data = None
        self._discard = False
        if isinstance(data, _Skip):
            return self.next_event()
        chunk, self._chunk = self._chunk, None
        end = _MESSAGE_END if chunk is None else BodyEnd(True, chunk.last, chunk.size)
        self._pending = end
        return end

    def start_chunk(self, command: Command, *, discard: bool = False) -> None:
        """Take the octets of an accepted BDAT command (instead of replying to it)."""
        self._pending = None
        self._data = Chunk(command.size)
        self._chunk = command
        self._discard = discard

    def refuse_chunk(self, code: int, text: str) -> None:
        """Answer a BDAT command with a refusal, and drop its octets unseen.

        Of the chunks that follow it none may pass for a message: a client that pipelines has sent them already.
        """
        command = self._pending
        if not isinstance(command, Command):
            raise LocalProtocolError("no BDAT to refuse")
        self._pending = None
        self._out.append(Reply(code, text).encode(self.multiline))
        if not command.last:
            self.state = CHUNK_BROKEN
        self._skip_chunk(command.size)

    def _skip_chunk(self, size: int) -> None:
        if size:
            self._data = _Skip(size)

    def _next_line(self) -> str | None:
        """Return the next command line without its end, or None where it is not complete."""
        buffer = self._in
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            if len(buffer) - self._at > self.limits.max_command:
                # Too long to be a command: only the end of the line matters now.
                self._overlong = True
                self._last_line = buffer[self._at:self._at + 512].decode("latin-1")
                buffer.clear()
                self._at = 0
            self._scanned = len(buffer)
            return None
        line = buffer[self._at:end].decode("latin-1")
        self._at = self._scanned = end + 1
        if self._at >= len(buffer):
            buffer.clear()
            self._at = self._scanned = 0
        if self._overlong or len(line) > self.limits.max_command:
            if not self._overlong:
                self._last_line = line[:512]
            self._overlong = False
            return self._last_line + "\n"
        self._bare_lf = line[-1:] != "\r"
        return Tainted(line.rstrip(" \t\r\n\v\f"))

    def _command(self, line: str) -> Event:
        if self._at < len(self._in) and self.pipelining and line[:4].upper() != "BDAT":
            self.pipelined = True  # (what follows a BDAT command is its chunk)
        if self.refuse_all and line.strip().upper() != "QUIT":
            self._out.append(Reply(self.refuse_code, self.refuse_all).encode(self.multiline))
            return Refused("protocol", line, self.refuse_all, "", False)
        if line.endswith("\n"):
            return self._unknown(line[:-1])
        if "\0" in line:
            shown = line.replace("\0", "?")
            self._count_synprot(501, "NUL characters are not allowed in SMTP commands", shown)
            return Refused("syntax", shown, "NUL character(s) present (shown as '?')")
        m = _verb(line)
        with_path = m is not None and m.lastindex == 1
        verb = "" if m is None else m[1][:4].upper() if with_path else m[2].upper()
        if verb not in VERBS:
            verb = ""
        if self.more_input is not None and verb in (SYNC_PIPELINED if self.pipelining else SYNC_PLAIN) and (
                self._at < len(self._in) or self.more_input()):
            return self._unsynchronised(line)
        if m is None or not verb or (not with_path and (verb == "MAIL" or verb == "RCPT")):
            return self._unknown(line)
        if verb != "RCPT" and verb != "DATA" and verb != "BDAT":
            self._mail_refused = False
        argument = line[m.end():]
        previous, self._previous = self._previous, verb
        if verb not in MAIL_VERBS and self._count_nonmail(verb):
            self._out.append(b"554 Too many nonmail commands\r\n")
            self._closing = True
            return TooMany("nonmail commands", line)
        if argument and verb not in WITH_ARGUMENT:
            return self._wrong("syntax", 501, "unexpected argument data", line, "")  # not a command of the history
        if verb == "BDAT" and not self.chunking:
            return self._wrong("protocol", 503, "BDAT command used when CHUNKING not advertised", line, verb)
        why = ORDER.get((self.state, verb))
        if why is not None:
            return self._out_of_order(verb, why, line, previous, argument)
        if (verb == "DATA" or verb == "BDAT") and not self.recipients and self.state != CHUNKING:
            return self._no_recipients(verb, argument, line, previous)
        size, last = 0, False
        if verb == "BDAT":
            parsed = parse_bdat(argument)
            if isinstance(parsed, str):
                return self._wrong("protocol", 501, parsed, line, verb)
            size, last = parsed
        command = Command(verb, Tainted(argument), line, size, last)
        self._pending = command
        return command

    def _unsynchronised(self, line: str) -> Event:
        """Refuse a command that must be the last of its group and is not."""
        self._out.append(b"554 SMTP synchronization error\r\n")
        self._closing = True
        return SyncError(line, self.peek_input(150))

    def _unknown(self, line: str) -> Event:
        self._previous = ""
        self._mail_refused = False
        self.unknown += 1
        if self.unknown > self.limits.max_unknown:
            self._out.append(b"500 Too many unrecognized commands\r\n")
            self._closing = True
            self._tail = TooMany("unrecognized commands", line)
            return Refused("syntax", line, "unrecognized command")
        self._count_synprot(500, "unrecognized command", line)
        return Refused("syntax", line, "unrecognized command")

    def _wrong(self, kind: str, code: int, text: str, line: str, verb: str) -> Event:
        self._count_synprot(code, text, line)
        return Refused(kind, line, text, verb)

    def _expected(self, previous: str) -> bool:
        """Tell whether a wrong command may be one that a pipelining client could not take back."""
        return self.pipelining and previous == "RCPT"

    def _out_of_order(self, verb: str, why: str, line: str, previous: str, argument: str) -> Event:
        if verb == "RCPT" and why is SENDER_MISSING:
            self._note_rejected("503 " + why)
            if self.pipelining and self._mail_refused:
                self._out.append(b"503 sender not yet given\r\n")
                return Refused("protocol", line, why, verb, False)
            self._previous = ""
        if self.state == CHUNKING and verb != "BDAT":
            self.state = CHUNK_BROKEN
        if verb == "BDAT":
            parsed = parse_bdat(argument)
            if not isinstance(parsed, str):
                self._skip_chunk(parsed[0])
        return self._wrong("protocol", 503, why, line, verb)

    def _no_recipients(self, verb: str, argument: str, line: str, previous: str) -> Event:
        if verb == "BDAT":
            parsed = parse_bdat(argument)
            if isinstance(parsed, str):
                return self._wrong("protocol", 501, parsed, line, verb)
            self._skip_chunk(parsed[0])
        text = f"RCPT command must precede {verb}"
        head = ""
        if self._rcpt_same and self._rcpt_reply is not None:
            head = f"All RCPT commands were rejected with this error:\n{self._rcpt_reply}\n"
            self._rcpt_same = not self._rcpt_open  # after a wrong RCPT this answer counts as another one, as in Exim
        if self._expected(previous):
            self._out.append(Reply(503, f"{head}Valid {text}").encode(self.multiline))
            return Refused("protocol", line, f"Valid {text}", verb, False)
        self._count_synprot(503, f"{head}valid {text}", line)
        return Refused("protocol", line, f"valid {text}", verb)

    def _count_nonmail(self, verb: str) -> bool:
        """Count a command that brings no mail; tell whether it is one too many."""
        free = {"HELO": "_free_helo", "EHLO": "_free_helo", "RSET": "_free_rset", "AUTH": "_free_auth",
                "STARTTLS": "_free_tls"}.get(verb)
        if free is not None and getattr(self, free):
            setattr(self, free, False)
            return False
        self.nonmail += 1
        if self.nonmail <= self.limits.max_nonmail:
            return False
        if self._nonmail_applies is not None:
            if not self._nonmail_applies():
                self.nonmail = -(1 << 60)
                return False
            self._nonmail_applies = None
        return True


class _Skip(Chunk):
    """A chunk that is dropped, its command having been answered already."""

    __slots__ = ()
