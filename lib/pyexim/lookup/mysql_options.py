"""MySQL's option files: what stands in them for a client.

Format: https://mariadb.com/kb/en/configuring-mariadb-with-option-files/.  The files of the system are read, not
those of a user: the program changes users.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from pyexim.base.octets import lower

FILES: Final = ("/etc/my.cnf", "/etc/mysql/my.cnf")
MAX_DEPTH: Final = 8


def read_options(groups: Sequence[str], files: Sequence[str] = FILES) -> dict[str, str]:
    """Return the settings of some groups; a later one wins.  Names have underscores.

    A file that is not there or cannot be read counts as empty, as for MySQL's own library.
    """
    out: dict[str, str] = {}
    for file in files:
        _read(file, frozenset(groups), out, 0)
    return out


def _read(path: str, groups: frozenset[str], out: dict[str, str], depth: int) -> None:
    try:
        with open(path, encoding="latin-1") as f:
            lines = f.read().split("\n")
    except OSError:
        return
    wanted = False
    for raw in lines:
        line = raw.strip(" \t\r")
        if not line or line[0] in "#;":
            continue
        if line.startswith("!include") and depth < MAX_DEPTH:
            word, _, name = line.partition(" ")
            for included in _directory(name.strip()) if word == "!includedir" else [name.strip()]:
                _read(included, groups, out, depth + 1)
        elif line[0] == "[":
            wanted = line[1:].partition("]")[0] in groups
        elif wanted:
            name, _, value = line.partition("=")
            out[lower(name.strip()).replace("-", "_")] = _unquoted(value.strip())


def _directory(path: str) -> list[str]:
    try:
        return [f"{path}/{name}" for name in sorted(os.listdir(path)) if name.endswith(".cnf")]
    except OSError:
        return []


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        return value[1:-1]
    return value
