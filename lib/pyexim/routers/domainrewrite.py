"""Replace a domain in the header lines that hold addresses, when routing has found its real name.

Spec: options self (reroute: rewrite:) and rewrite_headers of dnslookup; chapter "Format of spool files"
for the mark of a replaced header line.
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.model.message import Header

_TYPES = frozenset("BCFRST")


def rewrite_domain(scope: Scope, old: str, new: str) -> None:
    """Change the domain of every address in the address header lines of the message; the old lines are kept as "*"."""
    message = scope.message
    if message is None:
        return
    done: list[Header] = []
    for header in message.headers:
        if header.type in _TYPES:
            text = replace_domain(header.text, old, new)
            if text != header.text:
                done.append(Header(header.text, "*"))
                done.append(Header(text, header.type))
                message.flags.add("headers_rewritten")
                continue
        done.append(header)
    message.headers = done


def replace_domain(text: str, old: str, new: str) -> str:
    """Return a header line with one domain replaced in its addresses."""
    name, colon, body = text.partition(":")
    folded = lower(old)
    position = 0
    for item in split_list(body):
        parsed = parse_address(item)
        if parsed.error is not None or not parsed.domain_at:
            continue
        domain = parsed.address[parsed.domain_at:]
        if lower(domain) != folded:
            continue
        at = body.find("@" + domain, position)
        if at >= 0:
            body = body[:at + 1] + new + body[at + 1 + len(domain):]
            position = at + 1 + len(new)
    return name + colon + body
