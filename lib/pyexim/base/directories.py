"""Directories of our own that are made when they are first needed: spool, logs, hints."""

from __future__ import annotations

import os


def make_directories(path: str, mode: int, uid: int = -1, gid: int = -1) -> list[str]:
    """Make a directory with those above it that are missing; those made, the outermost first.  OSError.

    Where this process is root all of them are given to the owner, unless that is unknown (-1): otherwise a new
    host's spool directory would be root's, and the exim user could write nothing in it.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    made = []
    for name in reversed(missing):
        try:
            os.mkdir(name, mode)
        except FileExistsError:
            if not os.path.isdir(name):
                raise
            continue
        if uid > 0 and os.geteuid() == 0:
            os.chown(name, uid, gid)
        made.append(name)
    return made
