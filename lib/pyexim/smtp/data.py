"""The data phase: octets of a message out of the stream, up to its true end.

The named policy about line endings, where the DATA command itself ended in CRLF: **only CRLF . CRLF ends
the data, only a dot after CRLF (or at the very start) is a stuffed one**.  A bare LF or CR never takes part in
either, whatever the message's own first line ended in: a server that thinks otherwise can be made to
see a second message inside the first ("SMTP smuggling").  Exim takes LF . LF for an end when the first
header line ended in a bare LF; here it does not, over TCP or with -bs.

A client whose DATA command ended in a bare LF is none that relays for others: it is a script that feeds
-bs from a file with LF throughout.  Its lines end in LF, and so does its message (``FileData``, as in
batch input).

Blocks are worked on as a whole; no loop looks at single lines or octets.
RFC 5321 section 4.1.1.4 and 4.5.2, RFC 3030.
"""

from __future__ import annotations

import re

END = b"\r\n.\r\n"


class DotData:
    """Takes a dot-stuffed message out of the stream.

    ``feed`` returns what can be passed on, with CRLF line ends as sent and without stuffed dots;
    ``finished`` says that the end was seen, ``rest`` is what stood after it.
    """

    __slots__ = ("_start", "_tail", "finished", "rest")

    def __init__(self) -> None:
        self._tail = b""
        self._start = True
        self.finished = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the next octets of the message (perhaps none)."""
        if self._start:
            data = self._tail + data
            if data[:1] == b"." and len(data) < 3 and b".\r\n".startswith(data):
                self._tail = data
                return b""
            self._tail = b""
            if data[:3] == b".\r\n":
                self.finished = True
                self.rest = data[3:]
                return b""
            if not data:
                return b""
            self._start = False
            if data[:1] == b".":
                data = data[1:]
                if not data:
                    return b""
        elif self._tail:
            data = self._tail + data
            self._tail = b""
        dot = data.find(b"\r\n.")
        end = dot if dot < 0 or data.startswith(END, dot) else data.find(END, dot)
        if end >= 0:
            self.finished = True
            self.rest = data[end + 5:]
            data = data[:end + 2]
        else:
            # What may be the beginning of the end, or of a stuffed dot, waits for the next block.
            keep = 0
            for n in (4, 3, 2, 1):
                if data.endswith(END[:n]):
                    keep = n
                    break
            if keep:
                self._tail = data[-keep:]
                data = data[:-keep]
        if dot != end:
            data = data.replace(b"\r\n.", b"\r\n")
        return data


class FileData:
    """The same for batch input (-bS) and local submission, where the input may be a file with LF ends.

    How the message's own first line ends says which kind of file it is: with CRLF the policy above
    holds; with LF a dot alone between LFs (CR before the second does not matter) ends the message.
    There is no other side here that could see things differently.  ``dot_ends`` False (-i): only the
    end of the input is an end.  ``stuffed`` False (-bm, -t): dots at the start of lines are kept;
    ``crlf_aware`` False (likewise): the dot may stand between LFs in any file.
    What is passed on keeps its line ends.
    """

    __slots__ = ("_crlf", "_line_start", "_tail", "dot_ends", "finished", "rest", "stuffed")

    def __init__(self, dot_ends: bool = True, stuffed: bool = True, crlf_aware: bool = True) -> None:
        self._tail = b""
        self._line_start = True
        self._crlf: bool | None = None if crlf_aware else False
        self.dot_ends = dot_ends
        self.stuffed = stuffed
        self.finished = False
        self.rest = b""

    def feed(self, data: bytes, final: bool = False) -> bytes:
        """Return the next octets of the message; ``final`` when the input has ended with these."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        if self._crlf is None:
            first = data.find(b"\n")
            if first < 0 and not final:
                self._tail = data
                return b""
            # A dot alone in the first line is no line of the message.
            self._crlf = data[first - 1:first] == b"\r" if first > 0 else False
        newline = b"\r\n" if self._crlf else b"\n"
        text = newline + data if self._line_start else data
        shift = len(text) - len(data)
        if self.dot_ends and (m := self._search(text)) is not None:
            self.finished = True
            self.rest = text[m[1]:]
            text = text[:m[0]]
        elif not final and (tail := _PARTIAL(text)) is not None:
            at = max(tail.start(), shift)
            self._tail = text[at:]
            text = text[:at]
        if len(text) > shift or self.finished:
            self._line_start = text.endswith(newline)
        if self.stuffed and b"\n." in text:
            text = text.replace(newline + b".", newline)
        return text[shift:]

    def _search(self, text: bytes) -> tuple[int, int] | None:
        """Return where the ending line begins and where what follows it begins."""
        m = (_END_CRLF if self._crlf else _END_LF)(text)
        if m is not None:
            return m.start(1), m.end()
        return None  # (a dot that no line end follows is text)


_END_CRLF = re.compile(rb"\r\n(\.\r\n)").search
_END_LF = re.compile(rb"\n(\.\r?\n)").search
_PARTIAL = re.compile(rb"\r?\n(?:\.\r?)?\Z|\r\Z").search


class Chunk:
    """Takes one BDAT chunk out of the stream: exactly so many octets, whatever they are."""

    __slots__ = ("finished", "left", "rest")

    def __init__(self, size: int) -> None:
        self.left = size
        self.finished = size == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the octets of the chunk among these."""
        taken = data[:self.left]
        self.left -= len(taken)
        if self.left == 0:
            self.finished = True
            self.rest = data[len(taken):]
        return taken
