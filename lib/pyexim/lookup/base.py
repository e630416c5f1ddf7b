"""The contract of a lookup driver.

A driver is a class that opens a file (or nothing), finds a key (or obeys a query), and closes.  Quoting is
in lookup.quoting.  What it finds is Found, NotFound or Deferred; it never raises for what can be
expected.  Spec: chapter "File and database lookups".
"""

from __future__ import annotations

import os
import stat
from typing import Any

from pyexim.base.record import dataclass
from pyexim.base.taint import is_tainted
from pyexim.expand.scope import Scope


@dataclass(frozen=True, slots=True)
class Found:
    """The data of the key.

    ``seconds`` is how long it may be kept; ``changed``: obeying the query has changed the data.
    """

    value: str
    seconds: float = float("inf")
    changed: bool = False


@dataclass(frozen=True, slots=True)
class NotFound:
    """The key is not there; ``changed``: obeying the query has changed the data all the same."""

    changed: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """No answer now: the file cannot be read, the server does not respond, the query is wrong."""

    text: str


Outcome = Found | NotFound | Deferred
NOT_FOUND = NotFound()
OBEYED = NotFound(changed=True)
"""The outcome of a command that has no result."""


class Absent(Exception):
    """A lookup type is known but not there; the text says what is missing."""


class Lookup:
    """Base of the drivers."""

    query_style = False
    keeps_handle = True
    """What ``open`` returns is kept while ``current`` says that it is good."""
    keeps_results = False
    """Results are worth keeping for a message: finding them takes longer than a look into memory."""

    def open(self, name: str, scope: Scope) -> Any | Deferred:
        """Return a handle for a file name; Deferred where it cannot be had."""
        return self

    def current(self, handle: Any) -> bool:
        """Tell whether a handle is still good: the file has not changed."""
        return True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        """Find a key, or obey a query."""
        raise NotImplementedError

    def close(self, handle: Any) -> None:
        """Give a handle up."""

    # -- query-style types only

    quoter = ""
    """The name under which quoting operators of the type mark what they return; "" where they do nothing."""

    def file_of(self, query: str, options: dict[str, str], scope: Scope) -> str | Deferred:
        """Return the name of what the query is for, to keep its handle under."""
        return ""

    def unsafe(self, query: str, options: dict[str, str], scope: Scope) -> str:
        """Return a complaint about a query with tainted parts that were not quoted for this type, or ""."""
        if self.quoter and is_tainted(query) and getattr(query, "quoter", "") != self.quoter:
            return f"tainted search query is not properly quoted: {query}"
        return ""


Identity = tuple[int, int, int, int]


def identity(st: os.stat_result) -> Identity:
    """Return what tells whether a file is still the same and unchanged."""
    return st.st_dev, st.st_ino, st.st_mtime_ns, st.st_size


def unchanged(path: str, was: Identity) -> bool:
    """Tell whether a file is still the one that was opened."""
    try:
        return identity(os.stat(path.encode("latin-1"))) == was
    except OSError:
        return False


def check_file(st: os.stat_result, name: str, what: str) -> str:
    """Return Exim's complaint about the kind of a file, or ""; mode and owner do not matter to a lookup, as in Exim."""
    return "" if stat.S_ISREG(st.st_mode) else f"{name} is not a regular file ({what} lookup)"
