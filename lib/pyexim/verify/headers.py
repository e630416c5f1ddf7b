"""Verification of header lines: syntax of addresses, names in ASCII, a valid sender, no blind recipients.

Spec: section "ACL conditions" (``verify = header_syntax`` and its relatives).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyexim.base.octets import lower
from pyexim.base.taint import like, taint
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import is_plain, items, parse_address
from pyexim.match.lists import match_host
from pyexim.model.message import Header
from pyexim.verify import api
from pyexim.verify.api import Verified, VerifyOptions

_SENDER_KINDS: Final = ("S", "R", "F")
MAX_SHOWN: Final = 1024


def _fields(scope: Scope, kinds: str | tuple[str, ...]) -> Iterator[tuple[Header, str]]:
    """Yield the live header lines of some kinds, with their kind."""
    message = scope.message
    for header in message.headers if message is not None else ():
        kind = header.type
        if kind in kinds:
            yield header, kind


def _addresses(header: Header) -> Iterator[str]:
    """Yield the address items of a header line."""
    body = header.text.partition(":")[2]
    for start, end in items(body):
        yield like(body[start:end], header.text)


def _unqualified_allowed(scope: Scope, which: str) -> bool:
    """Tell whether unqualified "sender" or "recipient" addresses may come from this client."""
    conn, message = scope.conn, scope.message
    if conn is None or conn.sender_host_address is None:
        return True
    if message is not None and f"allow_unqualified_{which}" in message.flags:
        return True
    hosts = getattr(scope.config.main, f"{which}_unqualified_hosts")
    return bool(hosts) and bool(match_host(conn, hosts, scope, name=f"{which}_unqualified_hosts"))


def check_syntax(scope: Scope) -> str | None:
    """Return what is wrong with the first bad address in the header, None when all is well."""
    main = scope.config.main
    for header, kind in _fields(scope, "SRFTCB"):
        if is_plain(header.text[header.text.find(":") + 1:].rstrip("\n")):
            continue
        which = "sender" if kind in _SENDER_KINDS else "recipient"
        for item in _addresses(header):
            parsed = parse_address(item, allow_domain_literals=True, strip_trailing_dot=main.strip_trailing_dot)
            error = parsed.error
            if error is None and not parsed.domain_at and not _unqualified_allowed(scope, which):
                error = "unqualified address not permitted"
            if error is not None:
                shown = item if len(item) <= MAX_SHOWN else item[:MAX_SHOWN] + "..."
                text = f'{error}: failing address in "{header.name}:" header is: {shown}'
                return text.replace("\n", "\\n")
    return None


def check_names_ascii(scope: Scope) -> str | None:
    """Return what is wrong with the first header name that has other than printable ASCII characters."""
    message = scope.message
    for header in message.headers if message is not None else ():
        name = header.text.partition(":")[0]
        if header.type != "*" and any(not 33 <= ord(c) <= 126 for c in name):
            return f'Invalid character in header "{name}" found'
    return None


def check_not_blind(scope: Scope, *, case_insensitive: bool) -> bool:
    """Tell whether every envelope recipient stands in a To: or Cc: line (or their Resent- forms)."""
    message = scope.message
    if message is None:
        return True

    def key(address: str) -> str:
        local_part, _, domain = str(address).rpartition("@")
        return f"{lower(local_part) if case_insensitive else local_part}@{lower(domain)}"

    seen = set()
    for header, _ in _fields(scope, "TC"):
        for item in _addresses(header):
            parsed = parse_address(item, allow_domain_literals=True)
            if parsed.error is None:
                seen.add(key(parsed.address))
    return all(key(r.address) in seen for r in message.recipients)


def check_sender(scope: Scope, options: VerifyOptions) -> Verified:
    """Look for one address in Sender:, Reply-To: or From: that verifies as a sender.

    A syntax error in any of them ends the search as a failure; a temporary error counts only where no
    address verifies.
    """
    deferred = False
    last = ""
    for wanted in _SENDER_KINDS:
        for header, _ in _fields(scope, wanted):
            for item in _addresses(header):
                parsed = parse_address(item, allow_domain_literals=True)
                if parsed.error is not None:
                    text = f"syntax error in '{header.name}:' header when scanning for sender: {parsed.error} " \
                           f'in "{item}"'
                    return Verified(api.FAIL, _details(text, scope), text)
                if not parsed.domain_at and not _unqualified_allowed(scope, "sender"):
                    continue
                address = taint(parsed.address)
                if not parsed.domain_at:
                    address = taint(f"{address}@{scope.config.main.qualify_domain or scope.services.primary_hostname}")
                result = api.verify_address(address, "sender", scope, options)
                if result.status == api.OK:
                    return result
                if result.status == api.DEFER:
                    deferred = True
                last = f'could not verify "{header.name}:" header address\n{address}: {result.log_text}'
    if deferred:
        return Verified(api.DEFER, "", "all attempts to verify a sender in a header line deferred")
    return Verified(api.FAIL, _details(last, scope) if last else "", "there is no valid sender in any header line")


def _details(text: str, scope: Scope) -> str:
    """Return the text for the client, where smtp_return_error_details allows one."""
    return f"Rejected after DATA: {text}" if scope.config.main.smtp_return_error_details else ""
