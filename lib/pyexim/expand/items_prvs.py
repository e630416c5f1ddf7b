"""Signed return paths: prvs, prvscheck (BATV) and srs_encode, inbound_srs (SRS).

Spec: chapter "String expansions", section 5; chapter "DKIM, SPF, SRS and DMARC", section 5.  The signatures
are those of the real program: for prvs three octets of HMAC-SHA1 over key number, day and address, for SRS
two of HMAC-MD5 over the address in lower case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits, lower, to_bytes
from pyexim.base.taint import like
from pyexim.expand.base import Part, as_callable, evaluate, restore_var
from pyexim.expand.parser import Parser
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import parse_address

_DAY: Final = 86400
_LIFETIME: Final = 7
"""Days for which a prvs address is signed."""


def _prvs_digest(address: str, secret: str, key_number: str, day: str) -> str:
    text = f"{key_number}{day}{address}"
    return hmac.new(to_bytes(secret), to_bytes(text), hashlib.sha1).hexdigest()[:6]


def prvs(scope: Scope, args: list[str]) -> str:
    """${prvs{address}{secret}{key number}}"""
    address, secret = args[0], args[1]
    key_number = args[2] if len(args) == 3 else "0"
    if address.find("@") < 1:
        raise ExpansionError("prvs first argument must be a qualified email address")
    if not (len(key_number) == 1 and is_digits(key_number)):
        raise ExpansionError("prvs third argument must be a single digit")
    day = f"{(int(scope.services.clock.time()) // _DAY + _LIFETIME) % 1000:03d}"
    return like(f"prvs={key_number}{day}{_prvs_digest(address, secret, key_number, day)}={address}", address)


_SIGNED: Final = re.compile(r"prvs=([0-9])([0-9]{3})([0-9A-Fa-f]{6})=([^@]+)@(.*)", re.IGNORECASE | re.DOTALL)


def parse_prvscheck(parser: Parser, name: str) -> Part:
    """${prvscheck{address}{secret}{string}}: the secret is expanded when the address has the right form."""
    parts: list[Part] = []
    for _ in range(3):
        parser.space()
        if not parser.accept("{"):
            break
        parts.append(parser.nested())
    if len(parts) < 2:
        from pyexim.expand.base import Fault

        raise Fault("Not enough arguments for 'prvscheck' (min is 1)")
    parser.close("Too many arguments for 'prvscheck' (max is 1)" if parser.peek() == "{"
                 else "missing '}' after 'prvscheck'")
    address, secret = as_callable(parts[0]), parts[1]
    third: Part = parts[2] if len(parts) == 3 else ""

    def run(scope: Scope) -> str:
        found = _SIGNED.fullmatch(address(scope))
        if found is None:
            scope.vars.pop("prvscheck_result", None)
            return ""
        return _check(scope, found, secret, third)

    return run


def _check(scope: Scope, found: re.Match[str], secret: Part, third: Part) -> str:
    key_number, day, digest, local_part, domain = found.groups()
    original = like(f"{local_part}@{domain}", found.string)
    values = scope.vars
    saved_address, saved_number = values.get("prvscheck_address"), values.get("prvscheck_keynum")
    values["prvscheck_address"] = original
    values["prvscheck_keynum"] = key_number
    values["prvscheck_result"] = ""
    try:
        wanted = _prvs_digest(original, evaluate(secret, scope), key_number, day)
        today = int(scope.services.clock.time()) // _DAY
        # A day in the past has run out; half of the circle of 1000 days counts as past.
        fresh = (int(day) - today) % 1000 < 500
        if fresh and hmac.compare_digest(wanted, lower(digest)):
            values["prvscheck_result"] = "1"
        return evaluate(third, scope) or original
    finally:
        restore_var(scope, "prvscheck_address", saved_address)
        restore_var(scope, "prvscheck_keynum", saved_number)


# -- SRS

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SRS: Final = re.compile(r"SRS0=([^=]+)=([A-Za-z2-7]{2})=([^=]*)=(.*)", re.IGNORECASE | re.DOTALL)
SRS_DAYS: Final = 10
"""Days for which an SRS address is answered."""


def _srs_digest(address: str, secret: str) -> str:
    return hmac.new(to_bytes(secret), to_bytes(lower(address)), hashlib.md5).hexdigest()[:4]


def srs_encode(scope: Scope, args: list[str]) -> str:
    """${srs_encode{secret}{return path}{original domain}}"""
    secret, path, domain = args
    if not path:
        return ""
    parsed = parse_address(path)
    if parsed.error is not None:
        raise ExpansionError(parsed.error)
    address = parsed.address
    host = address[parsed.domain_at:] if parsed.domain_at else ""
    local_part = address[:parsed.domain_at - 1] if parsed.domain_at else address
    quoted = local_part.startswith('"')
    if quoted:
        local_part = local_part[1:-1]
    day = int(scope.services.clock.time()) // _DAY % 1024
    stamp = _BASE32[day >> 5] + _BASE32[day & 31]
    out = f"SRS0={_srs_digest(address, secret)}={stamp}={host}={local_part}"
    if quoted:
        out = f'"{out}"'
    return like(f"{out}@{domain}", path, domain)


def inbound_srs(scope: Scope, local_part: str, secret: str) -> bool:
    """Is it a local part that srs_encode made?  $srs_recipient is then what was encoded.

    With an empty secret only the form is tested.
    """
    quoted = len(local_part) > 1 and local_part[0] == '"' and local_part[-1] == '"'
    found = _SRS.fullmatch(local_part[1:-1] if quoted else local_part)
    if found is None:
        return False
    digest, stamp, host, user = found.groups()
    if quoted:
        user = f'"{user}"'
    address = lower(f"{user}@{host}")
    if secret:
        days = [_BASE32.find(c) for c in stamp]
        if min(days) < 0:
            return False
        age = (int(scope.services.clock.time()) // _DAY - (days[0] << 5 | days[1])) % 1024
        if age > SRS_DAYS or not hmac.compare_digest(_srs_digest(address, secret), digest):
            return False
    scope.facts["srs_recipient"] = like(address, local_part)
    return True
