"""exim_dumpdb: write all that is in a hints database to standard output."""

from __future__ import annotations

import sys

from pyexim.tools.common import Usage, complain
from pyexim.tools.hintsdb import describe, request


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    try:
        asked = request("exim_dumpdb", arguments, flags="-z -k")
    except Usage as e:
        complain(str(e))
        return 1
    write = sys.stdout.write
    if asked.waiting:
        for host, ids in asked.waiting_for().items():
            write(f"  {host}\n" if asked.keys_only else f"{host} {' '.join(ids)} \n")
        return 0
    for key, value, written in asked.hints.items(asked.name):
        write(f"  {key}\n" if asked.keys_only else describe(asked, key, value, written))
    return 0
