"""The argument of HELO and EHLO: is it one, and is it true?

Spec: options helo_accept_junk_hosts, helo_allow_chars, helo_verify_hosts, helo_try_verify_hosts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyexim.receive.session import Session

_name = re.compile(r"[A-Za-z0-9.-]+").fullmatch
_literal = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]", re.IGNORECASE).fullmatch


def acceptable(argument: str, session: Session) -> str | None:
    """Return the name that a client gives itself, or None where its form is not accepted."""
    name = argument.strip(" \t")
    if name:
        if _name(name):
            return name
        m = _literal(name)
        if m is not None and _is_address(m.group(1)):
            return name
        extra = session.main.helo_allow_chars
        if extra and not name.startswith("[") and _name("".join(c for c in name if c not in extra) or "x"):
            return name
    junk = session.main.helo_accept_junk_hosts
    if junk and not session.local and session.matches(junk, "helo_accept_junk_hosts"):
        return name
    return None


def _is_address(text: str) -> bool:
    import socket

    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return False
    return True


def verified(session: Session, verb: str) -> bool:
    """Check the name against the host where helo_(try_)verify_hosts asks for it; False when it must be refused."""
    main = session.main
    must = bool(main.helo_verify_hosts) and session.matches(main.helo_verify_hosts, "helo_verify_hosts")
    may = bool(main.helo_try_verify_hosts) and session.matches(main.helo_try_verify_hosts, "helo_try_verify_hosts")
    if not must and not may:
        return True
    from pyexim.verify.helo import verify_helo  # needs the DNS

    good = verify_helo(session.conn, session.scope)
    return good or not must
