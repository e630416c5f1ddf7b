"""Is a message personal: neither from a list, nor from a robot, nor to a crowd that one is not named in.

Spec: the filter document, "Testing for personal mail" and "Details of the personal condition".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import SPACE, lower
from pyexim.filters.base import FilterRun
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.model.message import Header
from pyexim.rewrite.api import has_rules, rewrite_one

LIST_HEADERS: Final = ("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-post", "list-owner",
                       "list-archive")
_PRECEDENCES: Final = ("bulk", "list", "junk")
_ROBOTS: Final = ("server@", "daemon@", "root@", "listserv@", "majordomo@", "-request@")


def is_personal(run: FilterRun, aliases: list[str], *, copies: bool = False) -> bool:
    """Tell whether the message was meant for the user whose filter this is; never true in a system filter.

    With ``copies`` the user may also be named in Cc: or Bcc:.
    """
    message = run.scope.message
    if message is None or run.rules.system or message.sender_address == "":
        return False
    headers: dict[str, list[Header]] = {}
    for header in message.headers:
        if header.type != "*":
            headers.setdefault(lower(header.name), []).append(header)
    if not headers.keys().isdisjoint(LIST_HEADERS):
        return False
    for header in headers.get("auto-submitted", ()):
        if lower(header.body.strip(SPACE)) != "no":
            return False
    for header in headers.get("precedence", ()):
        if any(word in lower(header.body) for word in _PRECEDENCES):
            return False
    own = own_addresses(run, aliases)
    named = [h for name in ("to", "cc", "bcc") if copies or name == "to" for h in headers.get(name, [])]
    if not any(address in own for address in _of(named)):
        return False
    return not any(address in own or _is_robot(address) for address in _of(headers.get("from", [])))


def own_addresses(run: FilterRun, aliases: list[str]) -> set[str]:
    """Return the addresses of the user, in lower case: with and without affixes, rewritten, and the aliases."""
    scope, address = run.scope, run.scope.address
    found = {lower(a) for a in aliases}
    if address is not None:
        plain = f"{address.local_part}@{address.domain}"
        whole = f"{address.prefix}{address.local_part}{address.suffix}@{address.domain}"
        for own in (plain, whole):
            found.add(lower(own))
            if has_rules(scope.config, "T"):
                found.add(lower(rewrite_one(own, "T", scope)))
    return found


def _is_robot(address: str) -> bool:
    local_part = address.partition("@")[0]
    return any(word in address for word in _ROBOTS) or (local_part.startswith("owner-") and len(local_part) > 6)


def _of(headers: list[Header]) -> list[str]:
    """Return the addresses in header lines, in lower case."""
    found = []
    for header in headers:
        for item in split_list(header.body):
            parsed = parse_address(item, allow_domain_literals=True)
            if parsed.error is None:
                found.append(lower(parsed.address))
    return found
