"""Texts about the client and replies to it: log line items, $sender_fullhost, $sender_rcvhost, folding.

Spec: chapter "Log files", sections "Logging message reception" and "Reducing or increasing what is
logged"; the variables' own descriptions.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import lower, printable
from pyexim.expand.scope import LogSink
from pyexim.model.connection import Connection

MAX_REPLY_LINE: Final = 75
"""Octets of one reply line of a message's text; longer ones are divided at spaces."""


def full_host(conn: Connection, log: LogSink) -> str:
    """Return the client as $sender_fullhost shows it: name, HELO name in parentheses, address in brackets."""
    address = f"[{conn.sender_host_address}]"
    if conn.sender_host_port and log.selected("incoming_port"):
        address += f":{conn.sender_host_port}"
    name, helo = conn.sender_host_name, conn.sender_helo_name
    show_helo = bool(helo) and helo != f"[{conn.sender_host_address}]"
    if name is None:
        return f"({helo}) {address}" if show_helo else address
    if show_helo and helo is not None and lower(helo) != lower(name):
        return f"{name} ({helo}) {address}"
    return f"{name} {address}"


def host_and_ident(conn: Connection, log: LogSink, *, use_h: bool = True) -> str:
    """Return what log lines say of the client: "H=(helo) [address] U=ident", or "U=login" for a local one.

    With ``use_h`` False only the host or the login, without tags.
    """
    if conn.sender_host_address is None:
        ident = conn.sender_ident or ""
        return f"U={ident}" if use_h else ident
    text = full_host(conn, log)
    if use_h:
        text = "H=" + text
    if conn.interface_address is not None and log.selected("incoming_interface"):
        text += f" I=[{conn.interface_address}]:{conn.interface_port}"
    if conn.sender_ident is not None:
        text += f" U={conn.sender_ident}"
    return text


def received_host(conn: Connection, log: LogSink) -> str | None:
    """Return the client as $sender_rcvhost shows it in Received: lines; None without one."""
    if conn.sender_host_address is None:
        return None
    address = bare = f"[{conn.sender_host_address}]"
    helo, ident, name = conn.sender_helo_name, conn.sender_ident, conn.sender_host_name
    inner = []
    if conn.sender_host_port and log.selected("incoming_port"):
        if name is None:
            inner.append(f"port={conn.sender_host_port}")
        else:
            address += f":{conn.sender_host_port}"
    if helo and helo != bare and (name is None or lower(helo) != lower(name)):
        inner.append(f"helo={helo}")
    if ident:
        inner.append(f"ident={ident}")
    if name is None:
        return f"{address} ({' '.join(inner)})" if inner else address
    # With all three the line would be too long.
    return f"{name}{chr(10) + chr(9) if len(inner) == 2 else ' '}({' '.join([address, *inner])})"


def connection_info(conn: Connection, log: LogSink, *, inetd: bool = False) -> str:
    """Return "SMTP connection from ..." for the lines about a connection as such."""
    if conn.host_checking:
        return f"SMTP connection from {full_host(conn, log)}"
    if conn.kind != "tcp":
        return f"SMTP connection from {conn.sender_ident or ''}"
    if inetd:
        return f"SMTP connection from {full_host(conn, log)} (via inetd)"
    text = f"SMTP connection from {full_host(conn, log)}"
    if conn.interface_address is not None and log.selected("incoming_interface"):
        text += f" I=[{conn.interface_address}]:{conn.interface_port}"
    return text


def duration(seconds: float, *, millisec: bool) -> str:
    """Return a time as D= and RT= show it: "0.182s" or "3m45s"."""
    if millisec and seconds < 60:
        return f"{max(seconds, 0):.3f}s"
    total = int(max(seconds, 0))
    if total == 0:
        return "0s"
    out = ""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, total = divmod(total, size)
        if count:
            out += f"{count}{unit}"
    return out


def shown(text: str) -> str:
    """Return a command line as logs show it: unprintable octets escaped, tabs as they are."""
    if "\t" in text:
        return "\t".join(printable(piece) for piece in text.split("\t"))
    return printable(text)


def fold_reply(text: str) -> str:
    """Divide the lines of a reply that are too long, at the last space before the limit (or after it)."""
    if len(text) <= MAX_REPLY_LINE and "\n" not in text:
        return text
    out: list[str] = []
    for line in text.split("\n"):
        rest = line.lstrip(" \t") if out else line
        while len(rest) > MAX_REPLY_LINE:
            at = rest.rfind(" ", 0, MAX_REPLY_LINE + 1)
            if at <= 0:
                at = rest.find(" ", MAX_REPLY_LINE)
                if at < 0:
                    break
            out.append(rest[:at])
            rest = rest[at + 1:]
        out.append(rest)
    return "\n".join(out)
