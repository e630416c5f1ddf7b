"""A person's name as an RFC 5322 phrase: what the address room's ``fix_phrase`` does.

Spec: section "Constructed addresses" of the chapter "Message processing".
"""

from __future__ import annotations

import re

from pyexim.mailfmt import rfc2047

_piece = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[^"]+', re.DOTALL).match
_special = re.compile(r"[<>@,;:\\.\[\]()]").search
_escape = re.compile(r'(["\\])').sub
_comment_mark = re.compile(r"[()]|\\(?:.|\Z)", re.DOTALL).finditer


def _comment_end(text: str, at: int) -> int:
    """Return the index after a comment, or -1 when it is not closed."""
    depth = 0
    for m in _comment_mark(text, at):
        c = m.group()
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                return m.end()
    return -1


def fix(text: str, charset: str, top_bit: bool) -> str:
    """Return the phrase: encoded if it has unprintable octets, otherwise its parts quoted where needed.

    Quoted strings that are there already are kept (closed if they are not), and comments in a part that needs no
    quotes for anything else.
    """
    name = text.strip(" \t\r\n\v\f")
    printable = rfc2047._printable_top if top_bit else rfc2047._printable
    if not printable.fullmatch(name.replace("\t", " ")) or "=?" in name:
        return rfc2047.encode_always(name, charset)
    out: list[str] = []
    at = 0
    while at < len(name):
        m = _piece(name, at)
        if m is None:
            out.append(name[at:])
            break
        piece = m.group()
        at = m.end()
        if piece[0] == '"':
            closed = len(piece) > 1 and piece[-1] == '"' and _closed(piece)
            out.append(piece if closed else piece + '"')
        else:
            bare, closed = _without_comments(piece)
            out.append(_quote(piece) if _special(bare) else piece if closed else piece + ")")
    return "".join(out)


def _without_comments(piece: str) -> tuple[str, bool]:
    """Return a piece without its comments, which need no quotes of their own, and whether all are closed."""
    out: list[str] = []
    at = 0
    while (start := piece.find("(", at)) >= 0:
        out.append(piece[at:start])
        at = _comment_end(piece, start)
        if at < 0:
            return "".join(out), False
    out.append(piece[at:])
    return "".join(out), True


def _closed(piece: str) -> bool:
    """Tell whether the last quote of a quoted piece is one that closes it."""
    slashes = len(piece) - 1 - len(piece[:-1].rstrip("\\"))
    return slashes % 2 == 0


def _quote(piece: str) -> str:
    """Quote a piece, leaving white space at its ends outside."""
    body = piece.strip(" \t")
    lead = piece[:len(piece) - len(piece.lstrip(" \t"))]
    tail = piece[len(piece.rstrip(" \t")):]
    return f'{lead}"{_escape(_keep_pairs, body)}"{tail}'


def _keep_pairs(m: re.Match[str]) -> str:
    """A backslash inside quotes stays as it is given; a quotation mark is escaped."""
    return m.group() if m.group() == "\\" else "\\" + m.group()
