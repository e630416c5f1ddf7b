"""The message as a transport writes it: which header lines, and in what form the octets.

``prepare`` makes a :class:`Copy`: the header section (stored lines less removed ones, rewritten, plus
additions) and where the body is.  A Copy yields its octets with LF line ends; the functions below turn
them into what is wanted: CRLF, dots doubled, a check string escaped.  Small messages are handled in one
piece; large ones are streamed in chunks of CHUNK octets, so that memory does not grow with the message.

What goes out over SMTP must not hold a second end of data for any reader: line ends are CRLF and nothing
else (a bare CR is a line end, as it is on input), and a dot at the start of a line is doubled also where
NULs stand before it, because a server that drops NULs would find the dot first.

Spec: chapters "Generic options for transports" and "Message processing", section 48.17 (additions and
removals of header lines).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from errno import EIO
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass, field
from pyexim.expand.engine import expand
from pyexim.expand.lists import split_list, split_with_separator
from pyexim.mailfmt.dates import rfc5322
from pyexim.model.address import Address, quoted, unquoted
from pyexim.model.message import Header
from pyexim.transports.base import TransportRun

CHUNK: Final = 256 * 1024
SMALL: Final = 1024 * 1024
"""Messages up to this size are handled in one piece."""

_NUL_DOT = lazy_pattern(rb"^(?=\0+\.)", re.MULTILINE)


class WriteError(Exception):
    """The copy cannot be made now; the addresses are deferred with this text."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno


@dataclass(slots=True)
class Copy:
    """A message to be written: the header section, and the body in a file or (after a filter) another."""

    header: bytes
    """Header lines with their LFs, and the empty line after them where a body follows; may be empty."""
    fd: int
    start: int
    size: int
    """Octets of the body in the file, 0 where it is not written."""
    wire: bool = False
    """The body in the file has CRLF line ends."""
    keep: list[Any] = field(default_factory=list)
    """Objects that must live as long as the copy (a temporary file)."""

    @property
    def length(self) -> int:
        """Return how many octets there are (at most, for a body in wire format)."""
        return len(self.header) + self.size

    def is_small(self) -> bool:
        """Tell whether the copy may be handled in one piece."""
        return self.length <= SMALL

    def whole(self) -> bytes:
        """Return the copy with LF line ends, in one piece; WriteError where it cannot be read."""
        if not self.size:
            return self.header
        body = self._read(self.size, self.start)
        while len(body) < self.size:
            body += self._read(self.size - len(body), self.start + len(body))
        if self.wire:
            body = body.replace(b"\r\n", b"\n")
        return self.header + body

    def _read(self, size: int, offset: int) -> bytes:
        """Read from the body; WriteError where it cannot be read, or is shorter than it was."""
        try:
            data = os.pread(self.fd, size, offset)
        except OSError as e:
            raise WriteError(f"failed to read the data file: {e.strerror}", e.errno or EIO) from None
        if not data:
            raise WriteError("the data file has become shorter", EIO)
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the copy with LF line ends; WriteError where it cannot be read to its end."""
        if self.is_small():
            yield self.whole()
            return
        if self.header:
            yield self.header
        offset, end, held = self.start, self.start + self.size, b""
        while offset < end:
            data = self._read(min(CHUNK, end - offset), offset)
            offset += len(data)
            if self.wire:
                data = held + data
                held = b"\r" if data.endswith(b"\r") and offset < end else b""
                data = (data[:-1] if held else data).replace(b"\r\n", b"\n")
            if data:
                yield data


# -- which header lines


def prepare(batch: list[Address], run: TransportRun, options: Any) -> Copy:
    """Return the copy of the message for a batch of addresses; WriteError where an option cannot be expanded."""
    message = run.message
    if options.debug_print is not None:
        _debug_print(options.debug_print, run)
    header = b"" if options.body_only else header_section(batch, run, options).encode("latin-1")
    size = 0
    if not options.headers_only:
        size = max(os.fstat(run.data_fd).st_size - message.data_start, 0)
    if not options.body_only:
        header += b"\n"
    copy = Copy(header, run.data_fd, message.data_start, size, message.spool_wireformat)
    if options.transport_filter is not None:
        from pyexim.transports.filter import filtered  # only where one is configured
        return filtered(copy, batch, run, options)
    return copy


def _debug_print(source: str, run: TransportRun) -> None:
    debug = run.scope.services.debug
    if debug is None or not debug.chosen:
        return
    try:
        text = expand(source, run.scope)
    except ExpansionError as e:
        text = f'failed to expand debug_print "{source}": {e.text}'
    debug.write(text if text.endswith("\n") else text + "\n")


def header_section(batch: list[Address], run: TransportRun, options: Any) -> str:
    """Return the header lines to be written, with LF at the end of each line."""
    first = batch[0]
    out: list[str] = []
    if options.return_path_add:
        out.append(f"Return-path: <{run.return_path}>\n")
    if options.envelope_to_add:
        out.append(f"Envelope-to: {envelope_to(batch)}\n")
    if options.delivery_date_add:
        out.append(f"Delivery-date: {rfc5322(run.scope.services.clock.time())}\n")
    headers: list[Header] = run.message.headers
    removals = first.headers_remove
    own = options.headers_remove
    if removals is None and own is None and options.headers_rewrite is None:
        out += [h.text for h in headers if h.type != "*"]
    else:
        kept = kept_headers(headers, removals, own, run)
        if options.headers_rewrite is not None:
            from pyexim.rewrite.api import headers_rewrite  # only where it is wanted
            kept = headers_rewrite(kept, options.headers_rewrite, run.scope)
        out += [h.text for h in kept]
    for text in first.headers_add:
        out.append(_line_end(text))
    if options.headers_add is not None:
        out += added_headers(options.headers_add, run)
    return "".join(out)


def _line_end(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def kept_headers(headers: list[Header], routed: str | None, own: str | None, run: TransportRun) -> list[Header]:
    """Return the lines that neither the routers (``routed``, expanded) nor the transport remove."""
    names: set[str] = set()
    prefixes: list[str] = []
    items = [(i, False) for i in split_list(routed)] if routed else []
    items += [(i, True) for i in split_list(own)] if own else []
    for item, raw in items:
        text = item
        if raw and ("$" in item or "\\" in item):
            try:
                text = expand(item, run.scope)
            except ForcedFail:
                continue
            except ExpansionError as e:
                raise WriteError(f'failed to expand headers_remove: "{item}": {e.text}') from None
        for name in split_list(text) if ":" in text else [text]:
            name = lower(name.strip(" \t"))
            if name.endswith("*"):
                prefixes.append(name[:-1])
            elif name:
                names.add(name)
    starts = tuple(prefixes)
    out = []
    for header in headers:
        if header.type == "*":
            continue
        name = lower(header.text.partition(":")[0].rstrip(" \t"))
        if name not in names and not (starts and name.startswith(starts)):
            out.append(header)
    return out


def added_headers(source: str, run: TransportRun) -> list[str]:
    """Return the lines that headers_add of the transport adds; each item is expanded by itself."""
    out = []
    for item in split_with_separator(source, "\n")[1]:
        try:
            text = expand(item, run.scope)
        except ForcedFail:
            continue
        except ExpansionError as e:
            raise WriteError(f'failed to expand headers_add: "{item}": {e.text}') from None
        text = text.lstrip("\n")
        if text:
            out.append(_line_end(text))
    return out


def envelope_to(batch: list[Address]) -> str:
    """Return the original recipients that a batch comes from, as the Envelope-to: line has them."""
    seen: dict[str, None] = {}
    for address in batch:
        seen.setdefault(address.top().address)
    return ",\n ".join(seen)


# -- in what form


def to_crlf(data: bytes) -> bytes:
    """Return whole text with CRLF for LF."""
    return data.replace(b"\n", b"\r\n")


def to_smtp(data: bytes) -> bytes:
    """Return a whole message as it goes after DATA: CRLF line ends only, dots doubled, CRLF at the end."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not data.endswith(b"\n"):
        data += b"\n"
    if b"\n." in data or data.startswith(b"."):
        data = (b"." + data if data.startswith(b".") else data).replace(b"\n.", b"\n..")
    if b"\0" in data:
        data = _NUL_DOT.sub(b".", data)
    return data.replace(b"\n", b"\r\n")


def to_chunking(data: bytes) -> bytes:
    """Return a whole message as it goes after BDAT: CRLF line ends only, nothing doubled."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not data.endswith(b"\n"):
        data += b"\n"
    return data.replace(b"\n", b"\r\n")


def stream_smtp(chunks: Iterator[bytes], *, stuff: bool = True) -> Iterator[bytes]:
    """Yield what to_smtp (or with ``stuff`` False to_chunking) would return, chunk by chunk.

    A chunk is cut after its last line end, so that no line start, CR or NUL is torn apart; a line longer
    than a chunk goes in pieces.
    """
    convert = to_smtp if stuff else to_chunking
    held = b""
    at_start = True
    for chunk in chunks:
        data = held + chunk
        cut = data.rfind(b"\n") + 1
        if cut:
            yield _piece(data[:cut], at_start, convert)
            held, at_start = data[cut:], True
        elif len(data) > 4 * CHUNK and data.strip(b"\0") and not data.endswith((b"\r", b"\0")):
            yield _piece(data, at_start, convert, whole=False)
            held, at_start = b"", False
        else:
            held = data
    if held or not at_start:
        yield _piece(held, at_start, convert) if held else b"\r\n"


def _piece(data: bytes, at_start: bool, convert: Any, whole: bool = True) -> bytes:
    """Convert a piece: without ``at_start`` it goes on with a line; without ``whole`` its last line goes on."""
    if not at_start:
        data = b"x" + data
    out: bytes = convert(data)
    if not whole and not data.endswith((b"\n", b"\r")):
        out = out[:-2]
    return out if at_start else out[1:]


def escape_lines(data: bytes, check: bytes, escape: bytes) -> bytes:
    """Return whole text with ``check`` at the start of each line replaced by ``escape``."""
    if check not in data:
        return data
    if b"\n" in check:
        return re.sub(rb"^" + re.escape(check), escape.replace(b"\\", rb"\\"), data, flags=re.MULTILINE)
    if data.startswith(check):
        return escape + data[len(check):].replace(b"\n" + check, b"\n" + escape)
    return data.replace(b"\n" + check, b"\n" + escape)


def stream_lines(chunks: Iterator[bytes], check: bytes | None, escape: bytes | None, crlf: bool) -> Iterator[bytes]:
    """Yield chunks with a check string escaped and, with ``crlf``, CRLF line ends; cut at line ends."""
    if not check and not crlf:
        yield from chunks
        return
    held = b""
    for chunk in chunks:
        data = held + chunk
        cut = data.rfind(b"\n") + 1
        data, held = data[:cut], data[cut:]
        if data:
            yield form(data, check, escape, crlf)
    if held:
        yield form(held, check, escape, crlf)


def form(data: bytes, check: bytes | None, escape: bytes | None, crlf: bool) -> bytes:
    """Return whole lines with a check string escaped and, with ``crlf``, CRLF line ends."""
    if check and escape is not None:
        data = escape_lines(data, check, escape)
    return to_crlf(data) if crlf else data


def write_fd(fd: int, data: bytes) -> None:
    """Write all octets to a blocking descriptor; OSError, with errno ENOSPC for a file that cannot grow."""
    written = os.write(fd, data)
    if written == len(data):
        return
    view = memoryview(data)[written:]
    while view:
        view = view[os.write(fd, view):]


def batched_smtp(batch: list[Address], run: TransportRun, *, affixes: bool) -> bytes:
    """Return the commands before a message in batched SMTP (LF line ends).  Spec: section 49.10."""
    lines = [f"MAIL FROM:<{run.return_path}>\n"]
    lines += [f"RCPT TO:<{envelope_recipient(a, affixes=affixes)}>\n" for a in batch]
    lines.append("DATA\n")
    return "".join(lines).encode("latin-1")


def envelope_recipient(address: Address, *, affixes: bool) -> str:
    """Return the address as RCPT says it: without the affixes that a router removed, unless told otherwise."""
    if address.kind != "address":
        return address.top().address
    if not (address.prefix or address.suffix):
        return address.address
    given, _, domain = address.address.rpartition("@")
    local = unquoted(given)
    whole = address.prefix + address.local_part + address.suffix
    if lower(local) != lower(whole):
        local = whole
    if not affixes:
        # taken off the address as given: the router may see its local part in lower case
        local = local[len(address.prefix):len(local) - len(address.suffix)]
    if given.startswith('"'):
        local = quoted(local)
    return f"{local}@{domain}"
