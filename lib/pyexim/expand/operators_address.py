"""Operators on mail addresses.  Spec: chapter "String expansions", section 6."""

from __future__ import annotations

from pyexim.base.errors import ExpansionError
from pyexim.base.taint import like
from pyexim.expand.lists import join_list
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.model.address import quoted


def address(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${address:...}: the address in a header item, "" where there is none."""
    return like(parse_address(text).address, text)


def addresses(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${addresses:...}: the addresses of a header line as a list; ">" and a character set its separator."""
    separator = ":"
    rest = text.lstrip(" \t")
    if rest[:1] == ">":
        if len(rest) == 1:
            raise ExpansionError("output separator missing in expanding ${addresses:>}")
        separator, rest = rest[1], rest[2:]
    else:
        rest = text
    out = []
    for item in split_list(rest):
        parsed = parse_address(item)
        if parsed.address:
            out.append(like(parsed.address, text))
    return join_list(out, separator)


def domain(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${domain:...}"""
    parsed = parse_address(text)
    return like(parsed.address[parsed.domain_at:], text) if parsed.domain_at else ""


def local_part(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${local_part:...}"""
    parsed = parse_address(text)
    end = parsed.domain_at - 1 if parsed.domain_at else len(parsed.address)
    return like(parsed.address[:end], text)


def quote_local_part(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${quote_local_part:...}: in quotes where RFC 5322 wants them."""
    return quoted(text)
