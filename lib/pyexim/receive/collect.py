"""Takes in the octets of a message: divides header and body, converts line ends, keeps the limits, counts.

Blocks are handled whole.  The header is kept in memory up to header_maxsize; the body goes to a sink.
Where the header ends: at an empty line, or at the first line that is none of a header (which then
begins the body).  Spec: "Message processing", header_maxsize, header_line_maxsize, message_size_limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.taint import Tainted
from pyexim.receive.lineends import convert_body, convert_header

HEADER_TOO_LONG, LINE_TOO_LONG, TOO_BIG, NOT_CRLF = "header_too_long", "line_too_long", "too_big", "not_crlf"

_end_lf = re.compile(rb"\n\r?\n").search
_foreign = re.compile(r"^(?![ \t]|[^\x00-\x20\x7f:]*[ \t]*:)", re.MULTILINE).search
_foreign_bytes = re.compile(rb"^(?![ \t]|[^\x00-\x20\x7f:]*[ \t]*:)[^\n]*\n", re.MULTILINE).search
_divide = re.compile(r"\n(?![ \t])").split
_blank_tail = re.compile(r"(?:\n[ \t]*)*\n?\Z").sub
_FIRST_CHECK: Final = 32768

FROM_LINE = Callable[[str], bool]


class Collector:
    """The octets of one message, from the first to the last.

    ``fields`` are the header fields, each ending in a newline, once ``header_done``; ``problem`` is the
    limit that was broken: from then on nothing is kept, only counted.
    """

    __slots__ = ("_blank", "_carry", "_crlf", "_lf_is_space", "_newline", "_next_check", "_partial", "_raw", "_scanned",
                 "_sink", "body_lines", "body_size", "body_zeros", "check_crlf", "fields", "from_line", "header_done",
                 "header_lines", "header_size", "line_limit", "longest", "maximum", "problem", "size_limit",
                 "strip_from", "wire_size")

    def __init__(self, sink: Callable[[bytes], None], *, header_maxsize: int, header_line_maxsize: int = 0,
                 size_limit: int = 0, lf_is_space: bool = False, check_crlf: bool = False,
                 strip_from: FROM_LINE | None = None) -> None:
        self._sink = sink
        self.maximum = header_maxsize
        self.line_limit = header_line_maxsize
        self.size_limit = size_limit
        self._lf_is_space = lf_is_space
        self.check_crlf = check_crlf
        """By BDAT the header must have CRLF line ends."""
        self.strip_from = strip_from
        """Tells whether a line beginning with "From " is an envelope line to be taken off."""
        self.from_line: str | None = None
        self._raw = bytearray()
        self._blank = self._newline = False
        self._scanned = 0
        self._next_check = _FIRST_CHECK
        self._crlf: bool | None = None
        self._carry = b""
        self._partial = 0
        self.fields: list[str] = []
        self.header_done = False
        self.header_size = self.header_lines = 0
        self.body_size = self.body_lines = self.body_zeros = self.longest = 0
        self.wire_size = 0
        self.problem: str | None = None

    @property
    def header_ended(self) -> bool:
        """Tell whether there was an empty line after the header."""
        return self._blank

    @property
    def size(self) -> int:
        """Octets so far, lines ended by LF."""
        return self.header_size + self.body_size if self.header_done else len(self._raw)

    def feed(self, data: bytes) -> None:
        """Take the next octets; OSError from the sink goes through."""
        self.wire_size += len(data)
        if self.header_done:
            self._body(data)
        elif self.problem is None:
            self._raw += data
            self._header(False)

    def finish(self) -> None:
        """The message is complete."""
        if not self.header_done and self.problem is None:
            self._header(True)
        if self._carry:
            self._carry = b""
            self._write(b"\n")
        if self._partial and self.problem is None:
            self._write(b"\n")

    # -- the header

    def _header(self, final: bool) -> None:
        raw = self._raw
        if self._crlf is None:
            first = raw.find(b"\n")
            if first < 0:
                if len(raw) > self.maximum:
                    self._too_long(raw)
                    return
                if not final:
                    return
            self._newline = first >= 0
            self._crlf = first > 0 and raw[first - 1] == 13
            if self.strip_from is not None and raw.startswith(b"From "):
                self._take_from_line()
                raw = self._raw
        end, after = self._find_end(final)
        if end < 0:
            self._scanned = max(0, len(raw) - 4)
            if len(raw) > self._next_check:
                self._next_check = 2 * len(raw)
                m = _foreign_bytes(convert_header(bytes(raw), self._crlf))
                if m is not None:
                    self._divide(bytes(raw), b"")
                    return
            if len(raw) > self.maximum:
                self._too_long(raw)
            return
        data = bytes(raw)
        self._divide(data[:end], data[after:], data[end:after])

    def _find_end(self, final: bool) -> tuple[int, int]:
        """Return where the header lines end and where the body begins, or -1."""
        raw = self._raw
        if self._crlf:
            if raw.startswith(b"\r\n"):
                return 0, 2
            at = raw.find(b"\r\n\r\n", self._scanned)
            if at >= 0:
                return at + 2, at + 4
        else:
            if raw.startswith(b"\n"):
                return 0, 1
            if raw.startswith(b"\r\n"):
                return 0, 2
            m = _end_lf(raw, self._scanned)
            if m is not None:
                return m.start() + 1, m.end()
        return (len(raw), len(raw)) if final else (-1, -1)

    def _take_from_line(self) -> None:
        end = self._raw.find(b"\n")
        end = len(self._raw) if end < 0 else end + 1
        line = self._raw[:end].decode("latin-1").rstrip("\r\n")
        if self.strip_from is not None and self.strip_from(line):
            self.from_line = Tainted(line)
            self.longest = max(self.longest, len(line))
            del self._raw[:end]

    def _divide(self, header: bytes, body: bytes, blank: bytes = b"") -> None:
        """Make the fields of a header, and begin the body.

        ``blank`` is the empty line between the two: it belongs to the body where the header turns out
        to have ended before.
        """
        self._raw = bytearray()
        self.header_done = True
        self._blank = bool(blank)
        text = convert_header(header, bool(self._crlf)).decode("latin-1")
        whole = text.endswith("\n")
        foreign = -1
        if text:
            m = _foreign(text[:-1] if whole else text)
            foreign = 0 if text[0] in " \t" else m.start() if m is not None else -1
        if foreign >= 0:
            prefix = text[foreign:].encode("latin-1")
            body = (prefix.replace(b"\n", b"\r\n") if self._crlf else prefix) + blank + body
            text = text[:foreign]
            whole = True
            self._blank = False
        if text:
            self._fields(text[:-1] if whole else text)
        if body and self.problem is None:
            self._body(body)

    def _fields(self, text: str) -> None:
        """Take the header's fields from its text, which has no newline at the end; check the limits."""
        if len(text) >= self.maximum:
            self._too_long(text.encode("latin-1"))
            return
        if "\0" in text:
            text = text.replace("\0", "?")
        if self.check_crlf and self._crlf is False and self._newline:
            self.problem = NOT_CRLF
        fields = [f + "\n" for f in _divide(text)]
        if "\n \n" in text or "\n\t\n" in text or text[-1] in " \t\n":
            fields = [_blank_tail("", f) + "\n" for f in fields]
        self.header_size = sum(map(len, fields))
        self.header_lines = text.count("\n") + 1
        self.longest = max(self.longest, max(map(len, text.split("\n"))))
        if self.line_limit and max(map(len, fields)) > self.line_limit:
            self.problem = LINE_TOO_LONG
            return
        self.fields = fields

    def _too_long(self, seen: bytes | bytearray) -> None:
        self.problem = HEADER_TOO_LONG
        self.fields = [convert_header(bytes(seen[:self.maximum]), bool(self._crlf)).decode("latin-1")]
        self._raw = bytearray()
        self.header_done = True

    # -- the body

    def _body(self, data: bytes) -> None:
        if self.problem is not None and self.problem != TOO_BIG:
            return
        if self._carry:
            data = self._carry + data
            self._carry = b""
        if data.endswith(b"\r"):
            self._carry = b"\r"
            data = data[:-1]
        if data:
            self._write(convert_body(data, lf_is_space=bool(self._crlf and self._lf_is_space)))

    def _write(self, data: bytes) -> None:
        if self.problem is None:
            self._sink(data)
        self.body_size += len(data)
        if self.size_limit and self.problem is None and self.header_size + self.body_size > self.size_limit:
            self.problem = TOO_BIG
        lines = data.split(b"\n")
        self.body_lines += len(lines) - 1
        if b"\0" in data:
            self.body_zeros += data.count(b"\0")
        longest = max(map(len, lines))
        if self._partial:
            longest = max(longest, self._partial + len(lines[0]))
            self._partial = len(lines[-1]) if len(lines) > 1 else self._partial + len(lines[0])
        else:
            self._partial = len(lines[-1])
        if longest > self.longest:
            self.longest = longest
