"""Texts about the client and replies to it: log line items, $sender_fullhost, $sender_rcvhost, folding.

Spec: chapter "Log files", sections "Logging message reception" and "Reducing or increasing what is
logged"; the variables' own descriptions.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import printable
from pyexim.expand.hosts import sender_fullhost, sender_rcvhost
from pyexim.expand.scope import LogSink
from pyexim.model.connection import Connection
from pyexim.model.message import Message

RESUMED: Final = 16
"""The bit of $tls_in_resumption that says that an earlier session went on."""
MAX_REPLY_LINE: Final = 75
"""Octets of one reply line of a message's text; longer ones are divided at spaces."""


def full_host(conn: Connection, log: LogSink) -> str:
    """Return the client as $sender_fullhost shows it: name, HELO name in parentheses, address in brackets."""
    return sender_fullhost(conn, port=log.selected("incoming_port"))


def sender_text(message: Message) -> str:
    """Return what the line of a rejection says of the sender, and how the client has authenticated."""
    conn = message.conn
    text = f"F=<{message.sender_address}>"
    if conn.sender_host_authenticated:
        text += f" A={conn.sender_host_authenticated}" + (f":{conn.authenticated_id}" if conn.authenticated_id else "")
    return text


def host_and_ident(conn: Connection, log: LogSink, *, use_h: bool = True, interface: bool = True) -> str:
    """Return what log lines say of the client: "H=(helo) [address] U=ident", or "U=login" for a local one.

    With ``use_h`` False only the host or the login, without tags; with ``interface`` False not our own address.
    """
    if conn.sender_host_address is None:
        ident = conn.sender_ident or ""
        return f"U={ident}" if use_h else ident
    text = full_host(conn, log)
    if use_h:
        text = "H=" + text
    if interface and conn.interface_address is not None and log.selected("incoming_interface"):
        text += f" I=[{conn.interface_address}]:{conn.interface_port}"
    if conn.sender_ident is not None:
        text += f" U={conn.sender_ident}"
    return text


def tls_text(conn: Connection, log: LogSink) -> str:
    """Return what log lines say of the encryption, with a space before each item."""
    tls, selected = conn.tls_in, log.selected
    text = ""
    if selected("tls_cipher") and tls.cipher:
        text += f" X={tls.cipher}"
        if tls.resumption & RESUMED and selected("tls_resumption"):
            text += "*"
    if selected("tls_certificate_verified") and tls.cipher:
        text += f" CV={'yes' if tls.certificate_verified else 'no'}"
    if selected("tls_peerdn") and tls.peerdn:
        text += f' DN="{printable(tls.peerdn)}"'
    if selected("tls_sni") and tls.sni:
        text += f" SNI={printable(tls.sni)}"
    return text


def received_host(conn: Connection, log: LogSink) -> str | None:
    """Return the client as $sender_rcvhost shows it in Received: lines; None without one."""
    if conn.sender_host_address is None:
        return None
    return sender_rcvhost(conn, port=log.selected("incoming_port"))


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
    """Return a command line as logs show it: unprintable octets escaped, tabs and backslashes as they are."""
    if "\\" in text:
        return "\\".join(printable(piece, tabs=True) for piece in text.split("\\"))
    return printable(text, tabs=True)


def fold_reply(text: str) -> str:
    """Divide the lines of a reply that are too long.

    A line is divided after a colon that stands in the second half of what it may hold, or at the last space there;
    without either, at the first space that follows.
    """
    if len(text) <= MAX_REPLY_LINE and "\n" not in text:
        return text
    out: list[str] = []
    half = MAX_REPLY_LINE // 2
    for line in text.split("\n"):
        rest = line.lstrip(" \t") if out else line
        while len(rest) > MAX_REPLY_LINE:
            colon = rest.rfind(": ", half, MAX_REPLY_LINE + 1)
            at = colon + 1 if colon >= 0 else rest.rfind(" ", half, MAX_REPLY_LINE + 1)
            if at <= 0:
                at = rest.find(" ", MAX_REPLY_LINE)
                if at < 0:
                    break
            out.append(rest[:at])
            rest = rest[at + 1:]
        out.append(rest)
    return "\n".join(out)
