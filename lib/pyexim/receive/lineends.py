"""Line endings of a message being received: what comes in becomes lines ended by LF.

How the first header line ends decides how the rest is read.  After CRLF, a bare LF in a header is no
end of the header line (a space is put after it), and in a body by DATA it becomes a space; after a bare
LF, LF ends lines.  A bare CR is a line ending, in headers one that does not end the header line.  None
of this has to do with where the message ends: that is ``smtp.data``'s business, by CRLF . CRLF alone.

Spec: section "Line endings" of the chapter "Message processing"; the space for a bare LF in the body of
a message with CRLF as observed (a "\\n.\\n" in it must not look like an end to anybody later).
"""

from __future__ import annotations

import re

_bare_lf = re.compile(rb"(?<!\r)\n").sub
_bare_cr = re.compile(rb"\r(?!\n)").sub


def convert_header(raw: bytes, crlf: bool) -> bytes:
    """Return header octets with LF line ends."""
    plain = raw.replace(b"\r\n", b"\n")
    if b"\r" not in plain and (not crlf or plain.count(b"\n") == len(raw) - len(plain)):
        return plain
    if raw.count(b"\n") != (pairs := raw.count(b"\r\n")) and crlf:
        raw = _bare_lf(b"\r\n ", raw)
        pairs = -1
    if b"\r" not in raw:
        return raw
    if raw.count(b"\r") != pairs and (pairs >= 0 or raw.count(b"\r") != raw.count(b"\r\n")):
        raw = _bare_cr(b"\r\n ", raw)
    return raw.replace(b"\r\n", b"\n")


def convert_body(raw: bytes, *, lf_is_space: bool) -> bytes:
    """Return body octets with LF line ends; ``raw`` neither begins with LF after CR nor ends in CR."""
    plain = raw.replace(b"\r\n", b"\n")
    pairs = len(raw) - len(plain)
    if b"\r" not in plain and (not lf_is_space or plain.count(b"\n") == pairs):
        return plain
    if lf_is_space and raw.count(b"\n") != pairs:
        raw = _bare_lf(b" ", raw)
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
