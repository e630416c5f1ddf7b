"""RFC 5322 and RFC 5321 addresses, read and checked the way Exim does.

All functions take and return text with one character per octet; any octet is legal input, none of
them raises or takes more than linear time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParsedAddress:
    """An address taken out of a header item or an SMTP path.

    ``address`` is local part, "@", domain (domain lower-cased by the caller where that is wanted), or
    the local part alone where no domain was given; "" for "<>".  ``domain_at`` is the index of the
    domain in it, 0 without domain.  ``start`` and ``end`` are its place in the text, for rewriting.
    """

    address: str
    domain_at: int
    start: int
    end: int
    error: str | None = None
    """Exim's message where the text is no address; then ``address`` is ""."""


def parse_address(text: str, *, allow_empty: bool = False, allow_domain_literals: bool = False,
                  strip_trailing_dot: bool = False) -> ParsedAddress:
    """Read one address item: comments, display name and angle brackets, or a bare address; source routes dropped."""
    raise NotImplementedError


def next_item(text: str, start: int) -> int:
    """Return the index of the comma that ends the address item beginning at ``start`` (or the length).

    Knows quoted strings, comments, angle brackets, domain literals and groups ("name: a, b;").
    """
    raise NotImplementedError


def split_list(text: str) -> list[str]:
    """Split an address list (a header body) into its items; groups are opened."""
    raise NotImplementedError


def quote_local_part(text: str) -> str:
    """Return the local part with quotes if it needs them."""
    raise NotImplementedError


def fix_phrase(text: str) -> str:
    """Return a user's name as an RFC 5322 phrase: quoted, or encoded by RFC 2047, where needed."""
    raise NotImplementedError
