"""exinext: when will it be tried again to deliver to an address, a domain, a host, or a message?

Spec: chapter "Exim utilities", finding individual retry times.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from pyexim.hints.sqlite import SqliteHints
from pyexim.retry.api import RetryRecord, parse_record
from pyexim.tools.common import call_program, complain, setting
from pyexim.tools.hintsdb import Request

_HOST: Final = re.compile(r"\s+host (\S+)\s+\[([^]]+)\]")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    configuration: list[str] = []
    rest = list(arguments)
    while rest and rest[0][:2] in ("-C", "-D"):
        word = rest.pop(0)
        configuration.append(word)
        if word == "-C" and rest:
            configuration.append(rest.pop(0))
    if not rest or rest[0].startswith("-"):
        complain("Usage: exinext [-C <file>] [-D<macro>=<value>] <address>|<domain>|<local-part>|<message-id> ...\n")
        return 1
    spool = setting("spool_directory", configuration)
    asked = Request(spool, "retry", SqliteHints(f"{spool}/db"))
    for item in rest:
        _show(item, asked, configuration)
    return 0


def _show(item: str, asked: Request, configuration: list[str]) -> None:
    hosts = _hosts(item, configuration)
    wanted = _keys(item, hosts)
    found = [(key, record) for key, value, _ in asked.hints.items("retry")
             if any(p.fullmatch(key) for p in wanted) and (record := parse_record(value)) is not None]
    if not hosts and ("@" in item or "." in item):
        sys.stdout.write(f"No remote hosts found for {item}\n")
    if not found:
        sys.stdout.write(f"No retry data found for {item}\n")
    for key, record in found:
        sys.stdout.write(_describe(key, record, asked))


def _hosts(item: str, configuration: list[str]) -> list[str]:
    """Return "name:address" of each host that mail for an item would be sent to."""
    if "@" not in item and "." not in item:
        return []
    address = item if "@" in item else f"user@{item}"
    text = call_program([*configuration, "-bt", address]).stdout
    return [f"{m[1]}:{m[2]}" for line in text.splitlines() if (m := _HOST.match(line))]


def _keys(item: str, hosts: list[str]) -> list[re.Pattern[str]]:
    """Return expressions for the keys of the records that an item is about."""
    name = re.escape(item)
    _, at, domain = item.rpartition("@")
    kinds = [rf"[RT]:{name}(?::<.*>)?"]
    if at:
        kinds.append(rf"[RT]:{re.escape(domain)}")
    elif "." in item:
        kinds.append(rf"T:{name}:.*")  # a host
    else:
        kinds += [rf"[RT]:{name}@.*", rf"T:.*:{name}"]  # a local part, or a message
    kinds += [rf"T:{re.escape(host)}(?::\d+)?(?::.*)?" for host in hosts]
    return [re.compile(kind, re.IGNORECASE) for kind in kinds]


def _describe(key: str, record: RetryRecord, asked: Request) -> str:
    kind, _, what = key.partition(":")
    title = {"R": "Route: ", "T": "Transport: "}[kind] if kind in "RT" else ""
    out = (f"{title}{what} error {record.errno}: {record.text}\n"
           f"  first failed: {asked.stamp(record.first_failed)}\n"
           f"  last tried:   {asked.stamp(record.last_try)}\n"
           f"  next try at:  {asked.stamp(record.next_try)}\n")
    return out + ("  past final cutoff time\n" if record.expired else "")
