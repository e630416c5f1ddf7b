"""exim_dbmbuild: make a file for the dbm lookups from one in the format of lsearch.

Spec: chapter "Exim utilities", making DBM files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final

from pyexim.base.octets import lower
from pyexim.tools.berkeley import hash_file
from pyexim.tools.common import complain

USAGE: Final = "usage: exim_dbmbuild [-nolc] [-nozero] [-lastdup] [-noduperr] [-nowarn] <source file> <dbm file>\n"
_FLAGS: Final = frozenset({"-nolc", "-nozero", "-lastdup", "-noduperr", "-nowarn"})
_SPACE: Final = " \t"


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    flags = set()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        flags.add(rest.pop(0))
    if flags - _FLAGS or len(rest) != 2:
        sys.stdout.write(USAGE)
        return 1
    source, target = rest
    if source == target:
        sys.stdout.write("exim_dbmbuild: input and output filenames are the same\n")
        return 1
    try:
        if source == "-":
            text = sys.stdin.buffer.read()
        else:
            with open(source, "rb") as f:
                text = f.read()
    except OSError as e:
        sys.stdout.write(f"exim_dbmbuild: unable to open {source}: {e.strerror}\n")
        return 1
    records, duplicates = _collect(text.decode("latin-1"), flags)
    temporary = f"{target}.dbmbuild_temp"
    try:
        with open(temporary, "wb") as f:
            f.write(hash_file(records))
            f.flush()
            os.fsync(f.fileno())
        os.rename(temporary, target)
    except OSError as e:
        sys.stdout.write(f"exim_dbmbuild: unable to write {target}: {e.strerror}\n")
        return 2
    sys.stdout.write(f"{len(records)} entries written\n")
    if duplicates:
        sys.stdout.write(f"{duplicates} duplicate key{'s' if duplicates > 1 else ' '}\n")
    return 1 if duplicates and "-noduperr" not in flags else 0


def _collect(text: str, flags: set[str]) -> tuple[dict[bytes, bytes], int]:
    """Return (records, number of duplicates)."""
    end = b"" if "-nozero" in flags else b"\0"
    records: dict[bytes, bytes] = {}
    duplicates = 0
    for key, data in _entries(text):
        name = key if "-nolc" in flags else lower(key)
        octets = name.encode("latin-1") + end
        if octets in records:
            duplicates += 1
            if "-nowarn" not in flags:
                complain(f'** Duplicate key "{name}"\n')
            if "-lastdup" not in flags:
                continue
        records[octets] = data.encode("latin-1") + end
    return records, duplicates


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield (key, data) as lsearch reads them: continued lines joined, keys perhaps quoted."""
    entry: tuple[str, str] | None = None
    for line in text.split("\n"):
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        if line[0] in _SPACE:
            if entry is not None:
                entry = entry[0], f"{entry[1]} {line.strip(_SPACE)}"
            continue
        if entry is not None:
            yield entry
        entry = _divide(line)
    if entry is not None:
        yield entry


def _divide(entry: str) -> tuple[str, str]:
    if entry.startswith('"'):
        key = ""
        at = 1
        while at < len(entry) and entry[at] != '"':
            if entry[at] == "\\" and at + 1 < len(entry):
                at += 1
            key += entry[at]
            at += 1
        rest = entry[at + 1:]
    else:
        at = next((i for i, c in enumerate(entry) if c in ": \t"), len(entry))
        key, rest = entry[:at], entry[at:]
    rest = rest.lstrip(_SPACE)
    return key, rest.removeprefix(":").strip(_SPACE)
