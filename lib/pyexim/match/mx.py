"""The items @mx_any, @mx_primary and @mx_secondary of domain lists: do the domain's MX records name us?

Spec: section "Domain lists".
"""

from __future__ import annotations

import re
from typing import Any

from pyexim.base.taint import untaint
from pyexim.expand.scope import Scope
from pyexim.match.items import Match, Matcher, deferral

_ITEM = re.compile(r"@mx_(any|primary|secondary)(?:/ignore=(.*))?\Z", re.ASCII | re.DOTALL)


def mx_item(item: str) -> Matcher | None:
    """Compile one of these items; None where the text is another."""
    m = _ITEM.match(untaint(item))
    if m is None:
        return None
    which, ignore = m[1], m[2]
    value = Match(True, item)

    def match(subject: Any, scope: Scope) -> Match | None:
        from pyexim.dns.hosts import local_among_mx
        from pyexim.match.lists import match_host_address

        def ignored(name: str, address: str) -> bool:
            return ignore is not None and bool(match_host_address(name, address, ignore, scope))

        place = local_among_mx(subject, scope, ignored)
        if place.deferred:
            return deferral(place.error)
        wanted = (place.primary or place.secondary if which == "any"
                  else place.primary if which == "primary" else place.secondary and not place.primary)
        return value if wanted else None

    return match
