"""Importing ahead: what is to be in memory before processes are forked or privilege is given up.

The daemon loads everything once, so that its children share it.  And an interpreter may stand where
only root can read it (under root's home directory, say): then nothing can be imported any more once the
process has become another user, so every process that changes its user loads first what it may need.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from typing import Final

import pyexim
from pyexim.base.pattern import compile_patterns
from pyexim.base.record import compile_records

STANDARD: Final = (
    "encodings.ascii", "encodings.latin_1", "encodings.utf_8", "encodings.idna", "encodings.unicode_escape",
    "base64", "binascii", "hashlib", "hmac", "json", "random", "select", "shlex", "socket", "stringprep", "struct",
    "syslog", "tempfile", "traceback", "unicodedata", "zlib")
"""Modules of the standard library that are imported on first use somewhere."""

HEAVY: Final = ("sqlite3", "ssl", "subprocess", "pcre2", "psutil")

LOCAL_ROOMS: Final = ("base", "model", "mailfmt", "log", "net", "expand", "lookup", "match", "rewrite", "spool",
                      "transports")
"""What a local delivery may need; no more, because the process that forks them is to stay small."""

NOT_NEEDED: Final = frozenset({"pyexim.__main__", "pyexim.settings_local", "pyexim.lookup.dnsdb"})
TLS: Final = ("pyexim.tls.channel", "pyexim.tls.context", "pyexim.tls.engine")
"""What brings the library for TLS, 0.1 s and 20 MB: receive/encryption.py loads it in a daemon that offers TLS."""


def interpreter_is_public() -> bool:
    """Tell whether any user can read the standard library: all directories above it can be entered by others."""
    path = os.path.dirname(os.path.realpath(os.__file__))
    while True:
        try:
            if not os.stat(path).st_mode & 0o001:
                return False
        except OSError:
            return False
        parent = os.path.dirname(path)
        if parent == path:
            return True
        path = parent


_loaded: set[str] = set()
"""What this process, or the one it was forked from, has loaded already."""


def everything() -> None:
    """Make what children would otherwise each make for themselves: all modules, constructors of records, patterns."""
    _import_everything()
    compile_records()
    compile_patterns()


def _import_everything() -> None:
    """Import all of the program and what it uses, but for packages that are not installed."""
    if "everything" in _loaded:
        return
    from pkgutil import walk_packages  # for these rare processes only

    _import(STANDARD + HEAVY)
    _import(m.name for m in walk_packages(pyexim.__path__, "pyexim.")
            if m.name not in TLS and m.name != "pyexim.tls.binding")
    _loaded.add("everything")


def local_delivery() -> None:
    """Import what a child of the starter may need."""
    from pkgutil import iter_modules

    _import((*STANDARD, "pcre2"))
    for room in LOCAL_ROOMS:
        package = importlib.import_module(f"pyexim.{room}")
        _import(m.name for m in iter_modules(package.__path__, package.__name__ + "."))


def before_changing_user() -> None:
    """Import everything where it could not be imported after the change of user."""
    if os.geteuid() == 0 and not interpreter_is_public():
        _import_everything()
        _import(TLS)


def _import(names: Iterable[str]) -> None:
    for name in names:
        if name in NOT_NEEDED or name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional package; who needs it says so by name
