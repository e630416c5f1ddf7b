"""The items @mx_any, @mx_primary and @mx_secondary of domain lists: do the domain's MX records name us?

Spec: section "Domain lists".
"""

from __future__ import annotations

import re
from typing import Any

from pyexim.base.ipaddress import is_ip
from pyexim.base.octets import lower
from pyexim.base.taint import untaint
from pyexim.expand.scope import Scope
from pyexim.match.items import Match, Matcher, deferral
from pyexim.match.local import is_local_address

_ITEM = re.compile(r"(?i:@mx_(any|primary|secondary))(?:/ignore=(.*))?\Z", re.ASCII | re.DOTALL)


def mx_item(item: str) -> Matcher | None:
    """Compile one of these items; None where the text is another."""
    m = _ITEM.match(untaint(item))
    if m is None:
        return None
    which, ignored = lower(m[1]), m[2]
    value = Match(True, item)

    def match(subject: Any, scope: Scope) -> Match | None:
        from pyexim.dns.hosts import local_among_mx  # asks the DNS
        from pyexim.match.hosts import HostSubject, match_hosts
        from pyexim.match.lists import match_domain

        treated = scope.config.main.hosts_treat_as_local

        def is_local(name: str, address: str) -> bool:
            return is_local_address(address, scope) or bool(treated and match_domain(name, treated, scope))

        def ignore(name: str, address: str) -> bool:
            return bool(match_hosts(HostSubject(address, name), ignored, scope, item, expanded=True))

        if is_ip(subject) or subject[:1] == "[":
            return None
        place = local_among_mx(subject, scope, is_local, ignore if ignored is not None else None)
        if place.deferred:
            return deferral(f'DNS lookup of "{subject}" deferred')
        wanted = (place.primary or place.secondary if which == "any"
                  else place.primary if which == "primary" else place.secondary and not place.primary)
        return value if wanted else None

    return match
