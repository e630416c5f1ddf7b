"""exim_tidydb: take out of a hints database what is old, and what is about messages that are gone."""

from __future__ import annotations

import re
import sys
import time
from typing import Final

from pyexim.config.values import parse_time
from pyexim.spool.api import SpoolSettings, find
from pyexim.tools.common import Usage, complain
from pyexim.tools.hintsdb import Request, request

MONTH: Final = 30 * 86400
_ID: Final = re.compile(r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{11}-[0-9A-Za-z]{4}|[0-9A-Za-z]{6}-[0-9A-Za-z]{2})\Z")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    try:
        asked = request("exim_tidydb", arguments, flags="-t")
        age = parse_time(asked.age) if asked.age else MONTH
        if age is None:
            raise Usage(f"exim_tidydb: bad time value {asked.age}\n")
    except Usage as e:
        complain(str(e))
        return 1
    sys.stdout.write(f"Tidying Exim hints database {asked.spool}/db/{asked.name}\n")
    spool = SpoolSettings(asked.spool)
    if asked.waiting:
        _tidy_waiting(asked, spool)
    else:
        _tidy(asked, spool, time.time() - age)
    sys.stdout.write("Tidying complete\n")
    return 0


def _tidy_waiting(asked: Request, spool: SpoolSettings) -> None:
    transport = asked.name.removeprefix("wait-")
    for host, ids in asked.waiting_for().items():
        gone = [i for i in ids if find(spool, i) is None]
        asked.hints.remove_waiting(transport, host, gone)
        if len(gone) == len(ids):
            sys.stdout.write(f"deleted {host} (empty)\n")
        else:
            sys.stdout.write("".join(f"deleted {i} from {host}\n" for i in gone))


def _tidy(asked: Request, spool: SpoolSettings, oldest: float) -> None:
    for key, _, written in asked.hints.items(asked.name):
        why = ""
        if written < oldest:
            why = "too old"
        elif asked.name == "retry" and _about_lost_message(key, spool):
            why = "no message"
        if why:
            asked.hints.delete(asked.name, key)
            sys.stdout.write(f"deleted {key} ({why})\n")


def _about_lost_message(key: str, spool: SpoolSettings) -> bool:
    """Tell whether a retry record is about one message that is not on the queue any more."""
    last = _ID.search(key.rpartition(":")[2])
    return last is not None and find(spool, last[0]) is None
