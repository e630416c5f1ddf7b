"""The tests of Sieve.  Each is read and, where it counts, evaluated in one go.

As in Exim, header lines of one name are looked at as one text, a line each, decoded to UTF-8.
Spec: RFC 5228 section 5, RFC 5233 (subaddress), RFC 5435 sections 4 and 5 (enotify).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import lower
from pyexim.expand import headers
from pyexim.filters.sieve.lexer import SieveError
from pyexim.filters.sieve.match import COMPARATORS, NUMERIC, matcher
from pyexim.filters.tests import addresses

if TYPE_CHECKING:
    from pyexim.filters.sieve.script import Script

MAX_DEPTH: Final = 50
_PARTS: Final = ("all", "localpart", "domain", "user", "detail")
_KINDS: Final = ("is", "contains", "matches")
_header_name = re.compile(r"[!-9;-~\x80-\xff]+").fullmatch
ADDRESS_HEADERS: Final = frozenset({"from", "to", "cc", "bcc", "sender", "resent-from", "resent-to"})


def read_test(script: Script, depth: int = 0) -> bool | None:
    """Read a test; its value, None where there is no test.  SieveError."""
    if depth > MAX_DEPTH:
        raise SieveError("tests are nested too deeply")
    name = script.lexer.word(*_TESTS)
    return _TESTS[name](script, depth) if name else None


def _needed(script: Script, depth: int) -> bool:
    value = read_test(script, depth + 1)
    if value is None:
        raise SieveError("missing test")
    return value


def _list(script: Script, depth: int) -> list[bool]:
    if not script.lexer.take("("):
        raise SieveError("missing test list")
    values = []
    while True:
        values.append(_needed(script, depth))
        if script.lexer.take(")"):
            return values
        if not script.lexer.take(","):
            raise SieveError("missing closing paren")


def _size(script: Script, depth: int) -> bool:
    which = script.lexer.tag("over", "under")
    if not which:
        raise SieveError("missing :over or :under")
    limit = script.lexer.number()
    if limit is None:
        raise SieveError("missing number")
    size = script.message.message_size
    return size > limit if which == "over" else size < limit


def _exists(script: Script, depth: int) -> bool:
    names = _strings(script, "header string list expected")
    for name in names:
        _check_header(name)
    return all(headers.exists(script.run.scope, lower(name)) for name in names)


def _strings(script: Script, problem: str) -> list[str]:
    found = script.lexer.strings()
    if found is None:
        raise SieveError(problem)
    return found


def _check_header(name: str, among: frozenset[str] | None = None) -> None:
    if not _header_name(name) or (among is not None and lower(name) not in among):
        raise SieveError("invalid header field")


def _options(script: Script, *, parts: bool) -> tuple[str, Callable[[str, str], bool]]:
    """Read address part, match type and comparator, in any order."""
    part = kind = comparator = ""
    while True:
        if parts and (found := script.lexer.tag(*_PARTS)):
            if part:
                raise SieveError("address part already specified")
            if found in ("user", "detail"):
                script.require("subaddress")
            part = found
        elif found := script.lexer.tag(*_KINDS):
            if kind:
                raise SieveError("match type already specified")
            kind = found
        elif script.lexer.tag("comparator"):
            if comparator:
                raise SieveError("comparator already specified")
            text = script.lexer.string()
            if text is None:
                raise SieveError("missing comparator")
            if lower(text) not in COMPARATORS:
                raise SieveError("invalid comparator")
            comparator = lower(text)
            if comparator == NUMERIC:
                script.require("comparator-i;ascii-numeric")
        else:
            return part or "all", matcher(kind or "is", comparator or "i;ascii-casemap")


def _header(script: Script, depth: int) -> bool:
    _, match = _options(script, parts=False)
    names = _strings(script, "header string list expected")
    keys = _strings(script, "key string list expected")
    for name in names:
        _check_header(name)
    return any(headers.exists(script.run.scope, lower(name))
               and any(match(script.header(name), key) for key in keys) for name in names)


def _address(script: Script, depth: int) -> bool:
    part, match = _options(script, parts=True)
    names = _strings(script, "header string list expected")
    keys = _strings(script, "key string list expected")
    for name in names:
        _check_header(name, ADDRESS_HEADERS)
    values = [v for name in names for address in addresses(headers.insert(script.run.scope, lower(name), "r"))
              if (v := _part(script, address, part)) is not None]
    return any(match(value, key) for value in values for key in keys)


def _envelope(script: Script, depth: int) -> bool:
    script.require("envelope")
    part, match = _options(script, parts=True)
    names = _strings(script, "envelope string list expected")
    keys = _strings(script, "key string list expected")
    values = []
    for name in names:
        if lower(name) not in ("from", "to"):
            raise SieveError("invalid envelope string")
        address = script.message.sender_address if lower(name) == "from" else script.recipient()
        value = _part(script, address, part)
        if value is not None:
            values.append(value)
    return any(match(value, key) for value in values for key in keys)


def _part(script: Script, address: str, part: str) -> str | None:
    """Return a part of an address; None where it has no such part."""
    local_part, at, domain = address.rpartition("@")
    if part == "all":
        return address
    if part == "domain":
        return domain if at else None
    if part == "localpart":
        return local_part if at else address
    # What is user and what is detail is known of the recipient only.
    if lower(address) != lower(script.recipient()):
        return None
    rules = script.run.rules.sieve
    if part == "detail":
        return rules.subaddress
    return rules.useraddress if rules.useraddress is not None else local_part


def _methods(script: Script, depth: int) -> bool:
    """valid_notify_method: all of them are mailto URIs."""
    script.require_enotify()
    return all(lower(uri).startswith("mailto:") and "@" in uri for uri in _strings(script, "URI string list expected"))


def _capability(script: Script, depth: int) -> bool:
    """notify_method_capability: of mailto it is only known that nothing is known of who is online."""
    script.require_enotify()
    _, match = _options(script, parts=False)
    uri, name = script.lexer.string(), script.lexer.string()
    if uri is None or name is None:
        raise SieveError("missing notification URI or capability string")
    keys = _strings(script, "key string list expected")
    return lower(uri).startswith("mailto:") and lower(name) == "online" and any(match("maybe", key) for key in keys)


_TESTS: Final[dict[str, Callable[[Script, int], bool]]] = {
    "true": lambda script, depth: True, "false": lambda script, depth: False,
    "not": lambda script, depth: not _needed(script, depth), "allof": lambda script, depth: all(_list(script, depth)),
    "anyof": lambda script, depth: any(_list(script, depth)), "size": _size, "exists": _exists, "header": _header,
    "address": _address, "envelope": _envelope, "valid_notify_method": _methods,
    "notify_method_capability": _capability}
