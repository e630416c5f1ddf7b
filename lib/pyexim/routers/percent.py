"""The percent hack: user%host@domain is user@host where the domain is in percent_hack_domains.

An ACL for RCPT sees the address that comes out; for routing it is a child of the one that was given.
Spec: main option percent_hack_domains.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import lower
from pyexim.base.taint import like
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain

_MAX: Final = 16


def percent_hack(address: str, scope: Scope) -> str:
    """Return the address that is meant by one with percent signs; the address itself where none is."""
    domains = scope.config.main.percent_hack_domains
    for _ in range(_MAX):
        local_part, _at, domain = address.rpartition("@")
        at = local_part.rfind("%")
        if at < 0 or not match_domain(domain, domains or "", scope):
            break
        address = like(f"{local_part[:at]}@{lower(local_part[at + 1:])}", address)
    return address
