"""Hints databases for the three maintenance utilities: arguments, records as lines, times.

Spec: chapter "Exim utilities", hints database maintenance.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.record import dataclass
from pyexim.hints.sqlite import SqliteHints
from pyexim.retry.api import parse_record
from pyexim.tools.common import Usage, complain

NAMES: Final = "retry | misc | wait-<transport-name> | callout | ratelimit | tls | seen"
RESULTS: Final = {"unknown": 0, "accept": 1, "reject": 2, "reject_mfnull": 3}
"""The callout results and their numbers."""
_NAME: Final = re.compile(r"retry|misc|wait-[^/]+|callout|ratelimit|tls|seen")


@dataclass(slots=True)
class Request:
    """What a utility is called for."""

    spool: str
    name: str
    hints: SqliteHints
    utc: bool = False
    keys_only: bool = False
    age: str = ""
    """-t."""

    @property
    def waiting(self) -> bool:
        """The database is one of messages that wait for a host."""
        return self.name.startswith("wait-")

    def stamp(self, moment: float) -> str:
        """Return a time as the utilities show it."""
        return time.strftime("%d-%b-%Y %H:%M:%S", (time.gmtime if self.utc else time.localtime)(moment))

    def waiting_for(self) -> dict[str, list[str]]:
        """Return host -> ids of a wait database."""
        found: dict[str, list[str]] = {}
        for host, message_id in self.hints.all_waiting(self.name.removeprefix("wait-")):
            found.setdefault(host, []).append(message_id)
        return found


def request(program: str, arguments: list[str], *, flags: str = "-z", extra: str = "") -> Request:
    """Read the arguments; Usage with the whole text where they are wrong, or where there is no such database."""
    utc = keys = False
    age = ""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        utc |= word == "-z"
        keys |= word == "-k" and "-k" in flags
        if word == "-t" and "-t" in flags and rest:
            age = rest.pop(0)
        elif word not in flags.split():
            rest = []
    if len(rest) != 2 or not _NAME.fullmatch(rest[1]):
        shown = " ".join(f"[{flag}{' <time>' if flag == '-t' else ''}]" for flag in flags.split())
        raise Usage(f"Usage: {program} {shown} {extra} <spool-directory> <database-name>\n"
                    f"  <database-name> = {NAMES}\n")
    path = f"{rest[0]}/db/{rest[1]}.sqlite"
    uid, gid = _owner(f"{rest[0]}/db")
    hints = SqliteHints(f"{rest[0]}/db", uid=uid, gid=gid, log=lambda text: complain(text + "\n"))
    if not os.path.exists(path) and program == "exim_dumpdb":
        raise Usage(f"** Failed to open hints database {path}: No such file or directory\n")
    return Request(rest[0], rest[1], hints, utc, keys, age)


def _owner(directory: str) -> tuple[int, int]:
    """Return whose the files are that SQLite makes beside a database."""
    try:
        st = os.stat(directory)
    except OSError:
        return -1, -1
    return st.st_uid, st.st_gid


def describe(asked: Request, key: str, value: str, written: float) -> str:
    """Return the lines that exim_dumpdb shows of a record."""
    maker = _DESCRIBE.get(asked.name)
    try:
        return maker(asked, key, value, written) if maker else f"{asked.stamp(written)} {key} {value}\n"
    except (ValueError, TypeError, KeyError):
        return f"**** Hints record for {key} is damaged\n"


def _retry(asked: Request, key: str, value: str, written: float) -> str:
    record = parse_record(value)
    if record is None:
        raise ValueError(key)
    times = "  ".join(asked.stamp(t) for t in (record.first_failed, record.last_try, record.next_try))
    return (f"  {key} {record.errno} {record.more_errno} {record.text}\n"
            f"{times} {'*' if record.expired else ''}\n")


def _callout(asked: Request, key: str, value: str, written: float) -> str:
    record = json.loads(value)
    head = f"{asked.stamp(record['time'])} {key}"
    if "@" in key:
        return f"{head} callout={record['result']}\n"
    out = f"{head} callout={record['result']}"
    for name in ("postmaster", "random"):
        result = record.get(name, "unknown")
        out += f" {name}={result}"
        if result != "unknown":
            out += f" ({asked.stamp(record.get(name + '_time', 0.0))})"
    return out + "\n"


def _ratelimit(asked: Request, key: str, value: str, written: float) -> str:
    record: dict[str, Any] = json.loads(value)
    moment = float(record["time"])
    out = f"{asked.stamp(moment)}.{int(moment % 1 * 1e6):06d} rate: {record['rate']:10.3f}"
    if "began" in record:
        out += f" epoch: {asked.stamp(record['began'])} size: {len(record.get('events', {}))}"
    return f"{out} key: {key}\n"


def _seen(asked: Request, key: str, value: str, written: float) -> str:
    return f"{key}\t{asked.stamp(float(value))}\n"


_DESCRIBE: Final[dict[str, Callable[[Request, str, str, float], str]]] = {
    "retry": _retry, "callout": _callout, "ratelimit": _ratelimit, "seen": _seen}
