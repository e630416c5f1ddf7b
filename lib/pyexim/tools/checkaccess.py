"""exim_checkaccess: would a host be allowed to send to an address?  A session of -bh answers.

Spec: chapter "Exim utilities", checking access policy.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from pyexim.base.ipaddress import split_host_port
from pyexim.tools.common import call_program, complain

USAGE: Final = "Usage: exim_checkaccess <IP address> <email address> [exim options]\n"


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    if len(arguments) < 2:
        sys.stdout.write(USAGE)
        return 1
    host, address, *more = arguments
    if split_host_port(host) is None:
        sys.stdout.write(f'** Invalid IP address "{host}"\n' + USAGE)
        return 1
    sender = ""
    if "-f" in more[:-1]:
        at = more.index("-f")
        sender = more[at + 1].strip("<>")
        del more[at:at + 2]
    done = call_program([*more, "-bh", host], stdin=f"HELO [{host}]\r\nMAIL FROM:<{sender}>\r\n"
                                                    f"RCPT TO:<{address}>\r\nQUIT\r\n")
    replies = _replies(done.stdout)
    if len(replies) < 4:
        complain(done.stderr)
        sys.stdout.write("".join(f"** Unexpected answer of the program:\n{done.stdout}\n"))
        return 1
    bad = next((r for r in replies[:4] if not r.startswith("2")), "")
    sys.stdout.write(f"Rejected:\n  {bad}\n" if bad else "Accepted\n")
    return 0


def _replies(text: str) -> list[str]:
    """Return the SMTP replies of a session, lines of one reply joined."""
    out: list[str] = []
    part = ""
    for line in text.splitlines():
        m = re.match(r"(\d{3})([ -])(.*)", line)
        if m is None:
            continue
        part = f"{part}\n  {m[0]}" if part else m[0]
        if m[2] == " ":
            out.append(part)
            part = ""
    return out
