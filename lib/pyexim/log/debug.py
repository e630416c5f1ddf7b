"""What -d and -v show on standard error: topics, and lines with their prefixes.

-d selects topics by name (``acl``, ``route``, ``expand`` ...); -v is the topic ``v`` alone, which stands for
log lines, deliveries and SMTP dialogues.  Under -bh the tests of an ACL are shown as well, every line with
">>> " before it.  Nothing here decides what there is to tell: each room asks ``selected`` and writes.

Spec: option -d of the chapter "The Exim command line".
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from time import strftime
from typing import Final

from pyexim.base.pattern import lazy_pattern

TOPICS: Final = (
    "v", "local_scan", "acl", "auth", "deliver", "dns", "dnsbl", "exec", "expand", "filter", "hints_lookup",
    "host_lookup", "ident", "interface", "lists", "load", "lookup", "memory", "noutf8", "pid", "process_info",
    "queue_run", "receive", "resolver", "retry", "rewrite", "route", "timestamp", "tls", "transport", "uid", "verify")
"""In the order of the bits of the number that the first line shows after "D="."""
_MODIFIERS: Final = frozenset({"noutf8"})
_NOT_BY_DEFAULT: Final = frozenset({"expand", "filter", "interface", "load", "local_scan", "memory", "noutf8", "pid",
                                    "resolver", "timestamp"})
HOST_CHECKING: Final = frozenset({"acl", "auth", "lists", "dnsbl", "verify", "host_lookup", "routing"})
"""What -bh shows by itself; "routing" is the part of "route" that tells which router takes an address."""
_ASCII: Final = str.maketrans({"╭": "/", "├": "|", "╰": "\\", "─": "-"})
_LAST_LINE: Final = lazy_pattern("╰─*")
_ITEM: Final = lazy_pattern(r"([+-])([A-Za-z0-9_]*)", re.ASCII)


def parse_topics(text: str) -> frozenset[str]:
    """Return the topics that -d with this text selects; ValueError with Exim's text for a wrong one."""
    if text.startswith("="):
        return _numbered(text[1:])
    on = {topic for topic in TOPICS if topic not in _NOT_BY_DEFAULT}
    position = 0
    while position < len(text):
        m = _ITEM.match(text, position)
        if m is None:
            raise ValueError(f'malformed debug_selector setting: + or - expected but found "{text[position:]}"')
        sign, name = m.groups()
        if name == "all":
            on = set(TOPICS) - {"memory", *_MODIFIERS} if sign == "+" else set()
        elif name in TOPICS and name != "v":
            (on.add if sign == "+" else on.discard)(name)
        else:
            raise ValueError(f"unknown debug_selector setting: {sign}{name}")
        position = m.end()
    return frozenset(on)


def _numbered(text: str) -> frozenset[str]:
    """Return the topics of a number as the first line shows it ("D=..."): -d=0x10."""
    try:
        bits = int(text, 0)
    except ValueError:
        raise ValueError(f"malformed debug_selector setting: a number is expected after =, not \"{text}\"") from None
    return frozenset(topic for bit, topic in enumerate(TOPICS) if bits >> bit & 1)


class Debug:
    """Where debugging output goes: made once for a process, if at all, or for a session (``control = debug``).

    ``fd`` is standard error or that of a file.  ``hold_back`` octets at most are kept in memory, the latest, until
    ``trigger`` is called; 0 writes everything at once.
    """

    def __init__(self, topics: Iterable[str], *, host_checking: bool = False, fd: int = 2, hold_back: int = 0) -> None:
        self.fd = fd
        self.panic_triggers = False
        """A line of the panic log is a trigger."""
        self._held: bytearray | None = bytearray() if hold_back else None
        self._hold_back = hold_back
        self.chosen = frozenset(topics)
        """What -d or -v selected."""
        self.topics = self.chosen | HOST_CHECKING if host_checking else self.chosen
        if "route" in self.topics:
            self.topics |= {"routing"}
        self.prefix = ">>> " if host_checking and not self.chosen else ""
        self._at_start = True

    def selected(self, topic: str) -> bool:
        """Tell whether a topic is to be shown."""
        return topic in self.topics

    def any(self, *topics: str) -> bool:
        """Tell whether one of several topics is to be shown."""
        return not self.topics.isdisjoint(topics)

    def __call__(self, topic: str, text: str) -> None:
        """Write a line, or several, if the topic is selected."""
        if topic in self.topics:
            self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write text as it is; each line gets what -d+timestamp, -d+pid and -bh put before it."""
        if "noutf8" in self.chosen:
            text = _LAST_LINE.sub(lambda m: "\\" + "_" * (len(m[0]) - 1), text).translate(_ASCII)
        head = self.prefix
        if "pid" in self.chosen:
            head = f"{os.getpid():5d} {head}"
        if "timestamp" in self.chosen:
            head = f"{strftime('%H:%M:%S')} {head}"
        if head:
            lines = text.split("\n")
            out = [(head if line or i < len(lines) - 1 else "") + line for i, line in enumerate(lines)]
            if not self._at_start:
                out[0] = lines[0]
            text_out = "\n".join(out)
        else:
            text_out = text
        self._at_start = text.endswith("\n")
        data = b"".join(c.encode("latin-1") if c < "\u0100" else c.encode("utf-8") for c in text_out) if not (
            text_out.isascii()) else text_out.encode("ascii")
        if self._held is not None:
            self._held += data
            del self._held[:-self._hold_back]
            return
        self._put(data)

    def _put(self, data: bytes) -> None:
        try:
            if self.fd == 2:
                sys.stderr.flush()
            while data:
                data = data[os.write(self.fd, data):]
        except (OSError, ValueError):
            return

    def trigger(self) -> None:
        """Write what was held back; from now on everything is written at once."""
        held, self._held = self._held, None
        if held:
            self._put(bytes(held))

    def log(self, where: str, text: str, selector: str = "") -> None:
        """Show a line of the logs: which ones it is for (MAIN, REJECT, PANIC), and the line."""
        if self.chosen:
            self.write(f"LOG: {selector + ' ' if selector else ''}{where}\n  {text}\n")

    def number(self) -> str:
        """Return the selected topics as the number that Exim shows."""
        return f"{sum(1 << bit for bit, topic in enumerate(TOPICS) if topic in self.chosen):x}"

    def dialogue(self) -> Dialogue | None:
        """Return what shows an SMTP dialogue, if one of its topics is selected."""
        return Dialogue(self) if self.any("transport", "acl", "v") and self.chosen else None


class Dialogue:
    """An SMTP dialogue of ours with another host: commands of one write, and replies."""

    def __init__(self, debug: Debug) -> None:
        self.debug = debug
        self._partial = b""
        self._continued = False

    def connecting(self, host: str, address: str, port: int, interface: str | None = None) -> None:
        """We are about to connect; ``connected`` or ``failed`` ends the line."""
        via = f" from {interface}" if interface else ""
        self.debug.write(f"Connecting to {host} [{address}]:{port}{via} ... ")

    def connected(self) -> None:
        """The connection is there."""
        self.debug.write("connected\n")

    def failed(self, reason: str) -> None:
        """There is no connection."""
        self.debug.write(f"failed: {reason}\n")

    def sent(self, data: bytes, *, more: bool = False) -> None:
        """Commands were sent in one write; all but the last wait for no reply (nor does that, with ``more``)."""
        lines = data.decode("latin-1").split("\r\n")[:-1]
        last = len(lines) - 1
        self.debug.write("".join(f"  SMTP{'>>' if i == last and not more else '|>'} {line}\n"
                                 for i, line in enumerate(lines)))

    def message(self) -> None:
        """The message follows."""
        self.debug.write("  SMTP>> (writing message)\n")

    def received(self, data: bytes) -> None:
        """Octets of replies arrived."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            text = line.decode("latin-1").removesuffix("\r")
            self.debug.write(f"{'         ' if self._continued else '  SMTP<< '}{text}\n")
            self._continued = text[3:4] == "-"

    def closed(self) -> None:
        """The connection is closed by us."""
        self.debug.write("  SMTP(close)>>\n")
