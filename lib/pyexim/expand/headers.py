"""Header lines in expansions: $h_name: and its relatives, $message_headers, $message_body.

Spec: chapter "String expansions", section 5 (header insertion) and 9.  The message's headers are those of
the scope's message; deleted ones (type "*") are not seen.  All of it comes from outside: Tainted.
"""

from __future__ import annotations

import os
from typing import Final

from pyexim.base.octets import SPACE, lower
from pyexim.base.taint import Tainted, taint
from pyexim.expand.scope import Scope
from pyexim.mailfmt import rfc2047
from pyexim.mailfmt.header import kind_of
from pyexim.model.message import Message

LIMIT: Final = 65536
"""Octets that the headers of one name give together."""
_ADDRESS_KINDS: Final = frozenset("BCFRST")


def _bodies(scope: Scope, name: str) -> list[tuple[str, str]]:
    """Return (body, type) of the headers with a lower-case name."""
    message = scope.message
    if message is None:
        return []
    out = []
    size = len(name)
    for header in message.headers:
        text = header.text
        if header.type == "*" or lower(text[:size]) != name:
            continue
        rest = text[size:]
        if rest[:1] != ":":
            stripped = rest.lstrip(" \t")
            if stripped[:1] != ":":
                continue
            rest = stripped
        out.append((rest[1:], header.type))
    return out


def exists(scope: Scope, name: str) -> bool:
    """Tell whether the message has a header of a (lower-case) name."""
    return bool(name) and bool(_bodies(scope, name))


def insert(scope: Scope, name: str, style: str) -> str:
    """Return the headers of a (lower-case) name; style "r" raw, "l" list, "b" basic, "" decoded."""
    bodies = _bodies(scope, name) if name else []
    if not bodies:
        return ""
    if style == "r":
        text = "".join(body for body, _ in bodies)
        return Tainted(text[:LIMIT])
    if style == "l":
        items = [body.removesuffix("\n").replace(":", "::") for body, _ in bodies]
        return Tainted(":".join(items)[:LIMIT])
    pieces = [body.strip(SPACE) for body, _ in bodies]
    pieces = [p for p in pieces if p]
    joint = ",\n" if _is_address_list(name) else "\n"
    text = joint.join(pieces)[:LIMIT]
    if "=?" not in text:
        return Tainted(text)
    return taint(decode(scope, text, converted=style == ""))


def _is_address_list(name: str) -> bool:
    return kind_of(name + ":") in _ADDRESS_KINDS


def decode(scope: Scope, text: str, *, converted: bool) -> str:
    """Decode encoded words, into the character set of headers or into no particular one."""
    main = scope.config.main
    charset = None
    if converted:
        wanted = scope.facts.get("headers_charset")
        if (wanted and not rfc2047.is_charset(wanted)) or rfc2047.unknown_charset(text) is not None:
            return text
        charset = wanted or main.headers_charset or "UTF-8"
    return rfc2047.decode(text, charset, check_length=main.check_rfc2047_length)


def message_headers(scope: Scope) -> str:
    """$message_headers: all header lines without white space at their ends, decoded."""
    message = scope.message
    if message is None:
        return ""
    text: str = Tainted("\n".join([h.text.rstrip(SPACE) for h in message.headers if h.type != "*"]))
    return taint(decode(scope, text, converted=False)) if "=?" in text else text


def message_headers_raw(scope: Scope) -> str:
    """$message_headers_raw: all header lines as they are."""
    message = scope.message
    if message is None:
        return ""
    return Tainted("".join([h.text for h in message.headers if h.type != "*"]))


def reply_address(scope: Scope) -> str:
    """$reply_address: Reply-To: where it is not empty, otherwise From:."""
    for name in ("reply-to", "from"):
        text = "".join([body for body, _ in _bodies(scope, name)]).strip(SPACE)
        if text:
            return Tainted(text.replace("\n", " "))
    return ""


# -- the body


def message_body(scope: Scope) -> str:
    """$message_body: the beginning of the body."""
    return _body(scope, end=False)


def message_body_end(scope: Scope) -> str:
    """$message_body_end: the end of the body."""
    return _body(scope, end=True)


def _body(scope: Scope, *, end: bool) -> str:
    message = scope.message
    if message is None or (not message.data_path and message.data_fd < 0):
        return ""
    limit = scope.config.main.message_body_visible
    newlines = bool(scope.config.main.message_body_newlines)
    key = f"message_body{'_end' if end else ''}"
    cached = scope.facts.get(key)
    if cached is not None and cached[0] == (message.message_id, message.data_path, limit, newlines):
        return cached[1]  # type: ignore[no-any-return]
    try:
        data = _part_of_body(message, limit, end=end)
    except OSError:
        return ""
    if not newlines:
        data = data.replace(b"\n", b" ")
    text = Tainted(data.replace(b"\0", b" ").decode("latin-1"))
    scope.facts[key] = ((message.message_id, message.data_path, limit, newlines), text)
    return text


def _part_of_body(message: Message, limit: int, *, end: bool) -> bytes:
    """Read the first or last octets of the body; OSError."""
    fd = message.data_fd
    if fd < 0:
        fd = os.open(message.data_path or "", os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = message.data_start
        if end:
            start = max(start, os.fstat(fd).st_size - limit)
        return os.pread(fd, limit, start)
    finally:
        if fd != message.data_fd:
            os.close(fd)
