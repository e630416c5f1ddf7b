"""RFC 5322 and RFC 5321 addresses, read and checked the way Exim does.

All functions take and return text with one character per octet; any octet is legal input, none of
them raises or takes more than linear time.  Nothing here recurses: comments and groups of any depth
are counted, not entered.

The grammar is wider than the RFCs': empty components in local parts ("a..b"), white space and comments
around dots, octets above 127 in local parts, phrases without quotes ("John Q. Smith <js@x.example>").
It is narrower in domains: letters, digits and hyphens only, and no hyphen first.
Source: RFC 5322 section 3.4, RFC 5321 section 4.1.2; error texts as observed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass
from pyexim.base.taint import like


@dataclass(slots=True)
class ParsedAddress:
    """An address taken out of a header item or an SMTP path; not frozen, which would double the time of making one.

    ``address`` is local part, "@", domain (domain lower-cased by the caller where that is wanted), or
    the local part alone where no domain was given; "" for "<>".  ``domain_at`` is the index of the
    domain in it, 0 without domain.  ``start`` and ``end`` are its place in the text, for rewriting:
    what stands there (a source route included) is replaced by another address.
    """

    address: str
    domain_at: int
    start: int
    end: int
    error: str | None = None
    """Exim's message where the text is no address; then ``address`` is ""."""


class _Bad(Exception):
    """Leaves the parser with Exim's message."""


_PLAIN = (r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*)")
_NAME = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-][A-Za-z0-9!#$%&'*+/=?^_`{|}~. -]*"
_plain = lazy_pattern(rf"[ \t]*(?:<{_PLAIN}>|{_PLAIN}|{_NAME} <{_PLAIN}>)[ \t]*")
"""The common forms, read by one expression: a bare address, one in brackets, one after a simple name."""
_blank = lazy_pattern(r"[ \t\r\n\v\f]+")
_WORD = r'[^\x00-\x20\x7f()<>@,;:\\".\[\]]*'
_atom = lazy_pattern(rf"{_WORD}(?:\\(?:.|\Z){_WORD})*", re.DOTALL)
_quoted = lazy_pattern(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_label = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9-]*")
_label_utf8 = lazy_pattern(r"[A-Za-z0-9\x80-\xff][A-Za-z0-9\x80-\xff-]*")
_literal = lazy_pattern(r"\[[A-Za-z0-9.:]*\]")
_comment_mark = lazy_pattern(r"[()]|\\(?:.|\Z)", re.DOTALL)


def _skip_comment(text: str, at: int) -> int:
    """Return the index after the comment that begins at ``at``; the end where it is never closed."""
    depth = 0
    for m in _comment_mark.finditer(text, at):
        c = m.group()
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                return m.end()
    return len(text)


def _skip(text: str, at: int) -> int:
    """Skip white space and comments."""
    end = len(text)
    while at < end:
        c = text[at]
        if c == "(":
            at = _skip_comment(text, at)
        elif m := _blank.match(text, at):
            at = m.end()
        else:
            break
    return at


class _Parser:
    """One pass over one text.  ``at`` is where it stands, ``end`` where the last word of an address has ended."""

    __slots__ = ("at", "end", "literals", "strip_dot", "text", "utf8")

    def __init__(self, text: str, literals: bool, strip_dot: bool, utf8: bool) -> None:
        self.text = text
        self.at = self.end = 0
        self.literals = literals
        self.strip_dot = strip_dot
        self.utf8 = utf8

    def peek(self) -> str:
        return self.text[self.at:self.at + 1]

    def skip(self) -> None:
        self.at = _skip(self.text, self.at)

    def local_part(self, allow_empty: bool = False) -> str:
        """Read words and dots; white space and comments around dots do not count."""
        text = self.text
        parts: list[str] = []
        self.skip()
        after_dot = True
        while True:
            c = text[self.at:self.at + 1]
            if c == ".":
                parts.append(c)
                self.at += 1
                after_dot = True
            elif not after_dot:
                break
            elif c == '"':
                m = _quoted.match(text, self.at)
                if m is None:
                    raise _Bad("unmatched doublequote in local part")
                parts.append(m.group())
                self.at = m.end()
                after_dot = False
            else:
                m = _atom.match(text, self.at)
                if m is None or not m.group():
                    break
                parts.append(m.group())
                self.at = m.end()
                after_dot = False
            self.end = self.at
            self.skip()
        if not parts and not allow_empty:
            raise _Bad("missing or malformed local part")
        return "".join(parts)

    def domain(self, bare: bool = False) -> str:
        """Read a domain or a domain literal.

        A literal in angle brackets must be allowed by the option; a bare one is always read.
        """
        text = self.text
        self.skip()
        if self.peek() == "[":
            return self._domain_literal(bare)
        label = (_label_utf8 if self.utf8 else _label).match
        parts: list[str] = []
        while True:
            m = label(text, self.at)
            if m is None:
                # Only a dot at the very end may be followed by nothing.
                if parts and self.strip_dot and self.peek() in ("", ">", ":", ","):
                    parts.pop()
                    break
                raise _Bad("domain missing or malformed")
            parts.append(m.group())
            self.at = self.end = m.end()
            self.skip()
            if self.peek() != ".":
                break
            parts.append(".")
            self.at += 1
            self.end = self.at
            self.skip()
        return "".join(parts)

    def _domain_literal(self, bare: bool) -> str:
        if not bare and not self.literals:
            raise _Bad("domain literals not allowed")
        m = _literal.match(self.text, self.at)
        if m is None or (not bare and self.text[m.end():m.end() + 1] not in ("", ">", ":", ",", " ", "\t", "(")):
            raise _Bad("malformed domain literal")
        self.at = self.end = m.end()
        self.skip()
        return m.group()

    def route(self) -> bool:
        """Skip a source route; tell whether there was one."""
        self.skip()
        if self.peek() != "@":
            return False
        while True:
            self.at += 1
            self.domain()
            if self.peek() != ",":
                break
            self.at += 1
            self.skip()
            if self.peek() != "@":
                raise _Bad("colon expected after route list")
        c = self.peek()
        if c == ":":
            self.at += 1
            return True
        raise _Bad("colon expected after route list" if c == "," else "no local part")


def _trailing(text: str, at: int) -> _Bad:
    return _Bad(f"malformed address: {text[at:at + 32]} may not follow {text[:at]}")


def _last(text: str, start: int, end: int) -> int:
    """Return the end of what stands between, without white space after it."""
    while end > start and text[end - 1] in " \t\r\n\v\f":
        end -= 1
    return end


def _parse(p: _Parser, allow_empty: bool, strip_brackets: bool) -> ParsedAddress:
    text = p.text
    p.skip()
    if p.peek() in ("", ";"):
        raise _Bad("empty address")
    start = p.at
    local = ""
    if p.peek() == "@":
        p.route()
        local = p.local_part()
        if p.peek() != "@":
            raise _Bad("domain missing in source-routed address" if p.peek() == ""
                       else f'"@" or "." expected after "{local}"')
    elif p.peek() != "<":
        local = p.local_part(allow_empty=True)
    if p.peek() != "<":
        c = p.peek()
        if c == "@":
            p.at += 1
            domain = p.domain(bare=True)
            if p.at < len(text):
                raise _trailing(text, p.at)
            return ParsedAddress(f"{local}@{domain}", len(local) + 1, start, p.end)
        if c == "" and local:
            return ParsedAddress(local, 0, start, p.end)
        if c == ";" and local:
            raise _trailing(text, p.at)
        while p.peek() != "<":
            try:
                p.local_part()
            except _Bad as e:
                raise _Bad(f'{e.args[0]} (expected word or "<")') from None
    return _bracketed(p, allow_empty, strip_brackets)


def _bracketed(p: _Parser, allow_empty: bool, strip_brackets: bool) -> ParsedAddress:
    """Read from the opening angle bracket to the end of the text."""
    text = p.text
    brackets = 1
    p.at += 1
    while strip_brackets and p.peek() == "<":
        brackets += 1
        p.at += 1
    start = p.at
    p.skip()
    if p.peek() == ">" and allow_empty:
        address, domain_at = "", 0
    else:
        routed = p.route()
        local = p.local_part()
        c = p.peek()
        if c == "@":
            p.at += 1
            domain = p.domain()
            address, domain_at = f"{local}@{domain}", len(local) + 1
        elif routed and c == ">":
            raise _Bad("domain missing in source-routed address")
        elif c == ">" and not routed:
            address, domain_at = local, 0
        else:
            raise _Bad(f'"@" or "." expected after "{local}"')
    end = _last(text, start, p.at)
    for _ in range(brackets):
        if p.peek() != ">":
            raise _Bad("'>' missing at end of address") if p.at >= len(text) else _trailing(text, p.at)
        p.at += 1
    p.skip()
    if p.at < len(text):
        raise _trailing(text, p.at)
    return ParsedAddress(address, domain_at, start, end)


def parse_address(text: str, *, allow_empty: bool = False, allow_domain_literals: bool = False,
                  strip_trailing_dot: bool = False, strip_excess_angle_brackets: bool = False,
                  allow_utf8_domains: bool = False) -> ParsedAddress:
    """Read one address item: comments, display name and angle brackets, or a bare address; source routes dropped.

    ``allow_empty`` takes "<>" for the empty address; the other flags are the main options of those names.
    The result's address is tainted if the text is.
    """
    m = _plain.fullmatch(text)
    if m is not None:
        n = m.lastindex or 2
        start, end = m.start(n - 1), m.end(n)
        return ParsedAddress(like(text[start:end], text), m.start(n) - start, start, end)
    try:
        got = _parse(_Parser(text, allow_domain_literals, strip_trailing_dot, allow_utf8_domains),
                     allow_empty, strip_excess_angle_brackets)
    except _Bad as e:
        return ParsedAddress("", 0, 0, 0, str(e.args[0]))
    if type(text) is not str:
        return ParsedAddress(like(got.address, text), got.domain_at, got.start, got.end)
    return got


def is_plain(text: str) -> bool:
    """Tell whether the text is one address with a domain in one of the common forms: then it is a good one."""
    return _plain.fullmatch(text) is not None


# -- lists of addresses

_mark = lazy_pattern(r'[",:;<(\[]|\\(?:.|\Z)', re.DOTALL)
_angle_mark = lazy_pattern(r'[">(]|\\(?:.|\Z)', re.DOTALL)
_LITERAL_LIMIT = 256
"""Octets within which a domain literal must end."""
_quote_end = lazy_pattern(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def _angle_end(text: str, at: int) -> int:
    """Return the index after the ">" that closes the angle bracket before ``at``."""
    while (m := _angle_mark.search(text, at)) is not None:
        c = m.group()
        if c == ">":
            return m.end()
        at = _past(text, m.start(), c, m.end())
    return len(text)


def _past(text: str, start: int, c: str, end: int) -> int:
    """Return where to go on after a quoted string, a comment or a quoted pair."""
    if c == '"':
        m = _quote_end.match(text, end)
        return m.end() if m else len(text)
    if c == "(":
        return _skip_comment(text, start)
    return end


def _scan(text: str, at: int) -> tuple[int, str]:
    """Return the next comma, colon or semicolon outside everything that quotes it, and which it is."""
    while (m := _mark.search(text, at)) is not None:
        c = m.group()
        if c in ",:;":
            return m.start(), c
        if c == "<":
            at = _angle_end(text, m.end())
        elif c == "[":
            # A bracket that is not closed soon quotes nothing.
            close = text.find("]", m.end(), m.end() + _LITERAL_LIMIT)
            at = close + 1 if close >= 0 and "," not in text[m.end():close] else m.end()
        else:
            at = _past(text, m.start(), c, m.end())
    return len(text), ""


def items(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places (start, end) of the address items of a list, groups opened, empty items left out.

    White space at both ends of an item is not part of it.  What stands between the places (commas,
    group names, semicolons) is no address.
    """
    at, end = 0, len(text)
    while at < end:
        stop, mark = _scan(text, at)
        if mark != ":":
            m = _blank.match(text, at)
            first = m.end() if m else at
            last = _last(text, first, stop)
            if first < last:
                yield first, last
        at = stop + 1


def next_item(text: str, start: int) -> int:
    """Return the index of the comma that ends the address item beginning at ``start`` (or the length).

    Knows quoted strings, comments, angle brackets, domain literals and groups ("name: a, b;"): the name
    of a group is passed over, so that the item is the group's first address preceded by it; the
    semicolon that ends a group ends its last item.  :func:`items` tells the places without the names.
    """
    while True:
        stop, mark = _scan(text, start)
        if mark != ":":
            return stop
        start = stop + 1


def split_list(text: str) -> list[str]:
    """Split an address list (a header body) into its items; groups are opened."""
    return [like(text[a:b], text) for a, b in items(text)]


# -- making them

_needs_no_quotes = lazy_pattern(r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+(?:\.[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+)*")
_backslashed = lazy_pattern(r'(["\\\r])')


def quote_local_part(text: str) -> str:
    """Return the local part with quotes if it needs them."""
    if _needs_no_quotes.fullmatch(text):
        return text
    return like('"' + _backslashed.sub(r"\\\1", text) + '"', text)


def fix_phrase(text: str, charset: str = "UTF-8", *, top_bit: bool = False) -> str:
    """Return a user's name as an RFC 5322 phrase: quoted, or encoded by RFC 2047, where needed.

    ``charset`` is the option headers_charset; ``top_bit`` is print_topbitchars.
    """
    from pyexim.mailfmt import phrase

    return like(phrase.fix(text, charset, top_bit), text)
