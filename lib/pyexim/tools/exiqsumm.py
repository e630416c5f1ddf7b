"""exiqsumm: read a listing of the queue and tell how much waits for each domain.

Spec: chapter "Exim utilities", summarizing the queue.
"""

from __future__ import annotations

import sys

from pyexim.base.record import dataclass
from pyexim.tools.common import Queued, age_in_seconds, read_listing, size_in_octets


@dataclass(slots=True)
class Row:
    """What waits for one domain."""

    count: int = 0
    volume: int = 0
    oldest: str = "0m"
    newest: str = "0000d"

    def add(self, message: Queued) -> None:
        """Count one pending delivery."""
        age = age_in_seconds(message.age)
        if not self.count or age > age_in_seconds(self.oldest):
            self.oldest = message.age
        if not self.count or age < age_in_seconds(self.newest):
            self.newest = message.age
        self.count += 1
        self.volume += size_in_octets(message.size)

    def line(self, name: str) -> str:
        """Return the line of the table."""
        return f"{self.count:5d}  {_volume(self.volume):>6}  {self.oldest:>6}  {self.newest:>6}  {name}\n"


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    chosen = {a for a in arguments if a in ("-a", "-b", "-c", "-f", "-s")}
    rows: dict[str, Row] = {}
    total = Row()
    for message in read_listing(sys.stdin):
        for recipient in message.recipients:
            name = _name(recipient, message, chosen)
            if name:
                rows.setdefault(name, Row()).add(message)
                total.add(message)
    names = sorted(rows)
    if "-a" in chosen:
        names.sort(key=lambda name: -age_in_seconds(rows[name].oldest))
    elif "-c" in chosen:
        names.sort(key=lambda name: -rows[name].count)
    sys.stdout.write("\nCount  Volume  Oldest  Newest  Domain\n-----  ------  ------  ------  ------\n\n")
    sys.stdout.write("".join(rows[name].line(name) for name in names))
    sys.stdout.write("-" * 63 + "\n" + total.line("TOTAL") + "\n")
    return 0


def _name(recipient: str, message: Queued, chosen: set[str]) -> str:
    """Return what a pending delivery is counted under; "" where the recipient has no domain."""
    domain = recipient.rpartition("@")[2].lower() if "@" in recipient else ""
    if not domain:
        return ""
    if "-s" in chosen:
        sender = message.sender[1:-1]
        domain = f"{sender.rpartition('@')[2].lower() if sender else '<>'} > {domain}"
    if "-b" in chosen and message.sender == "<>":
        domain += " (b)"
    if "-f" in chosen and message.frozen:
        domain += " (f)"
    return domain


def _volume(octets: int) -> str:
    if octets < 10_000:
        return str(octets)
    if octets < 10_000 * 1024:
        return f"{(octets + 512) // 1024}KB"
    return f"{(octets + 524_288) // 1_048_576}MB"
