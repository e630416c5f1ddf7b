"""Texts around ACLs: who the client is, for log lines; response codes at the start of a message.

Spec: section "ACL modifiers" (``message``), chapter "Log files".
"""

from __future__ import annotations

import re
from typing import Final

from pyexim.base.pattern import lazy_pattern
from pyexim.expand.hosts import sender_fullhost
from pyexim.expand.scope import Scope

_CODE: Final = lazy_pattern(r"([2-5]\d\d)(?:\s(\d\.\d{1,3}\.\d{1,3}))?\s", re.ASCII)


def host_and_ident(scope: Scope) -> str:
    """Return what log lines say of the client, with a space behind: "H=name (helo) [address] U=ident "."""
    conn = scope.conn
    if conn is None:
        return ""
    if conn.sender_host_address is None:
        return f"U={conn.sender_ident} " if conn.sender_ident else ""
    log = scope.services.log
    parts = "H=" + sender_fullhost(conn, port=log.selected("incoming_port"))
    if conn.interface_address and log.selected("incoming_interface"):
        parts += f" I=[{conn.interface_address}]:{conn.interface_port}"
    if conn.sender_ident:
        parts += f" U={conn.sender_ident}"
    return parts + " "


def split_code(text: str, expected: str, scope: Scope) -> tuple[int | None, str | None, str, str]:
    """Take a response code off the start of a message.

    Returns (code, extended code, the rest, the text as it is to be logged).  ``expected`` is the first
    digit that the situation allows; another one is reported to the panic log and replaced by the
    default code, "250" becoming "550" where a refusal is expected.
    """
    match = _CODE.match(text)
    if match is None:
        return None, None, text, text
    code, extended = match.group(1), match.group(2)
    rest = text[match.end():]
    if code[0] != expected:
        scope.services.log.panic(
            f'configured error code starts with incorrect digit (expected {expected}) in "{text}"')
        default = {"5": "550", "4": "451", "3": "354"}.get(expected, "250")
        return None, None, rest, f"{default} {rest}"
    return int(code), extended, rest, text
