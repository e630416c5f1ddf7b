"""The contract of a lookup driver.

A driver is a module with a class that opens a file (or nothing), finds a key (or obeys a query), quotes
text for its queries, and closes.  What it finds is Found, NotFound or Deferred; it never raises for
what can be expected.  Spec: chapter "File and database lookups".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyexim.expand.scope import Scope


@dataclass(frozen=True, slots=True)
class Found:
    """The data of the key; ``cacheable`` False where the answer must not be kept."""

    value: str
    cacheable: bool = True


@dataclass(frozen=True, slots=True)
class NotFound:
    """The key is not there."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """No answer now: the file cannot be read, the server does not respond, the query is wrong."""

    text: str


Outcome = Found | NotFound | Deferred
NOT_FOUND = NotFound()


class Lookup:
    """Base of the drivers."""

    query_style = False
    absolute_file = True
    """A single-key type whose file must be an absolute path."""
    partial = True
    """Partial matching makes sense."""

    def open(self, name: str, scope: Scope) -> Any | Deferred:
        """Return a handle for a file name; Deferred where it cannot be had."""
        return None

    def current(self, handle: Any) -> bool:
        """Tell whether a handle is still good: the file has not changed."""
        return True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        """Find a key, or obey a query."""
        raise NotImplementedError

    def quote(self, text: str, option: str | None) -> str | None:
        """Return the text quoted for a query; None where the option is not known."""
        return text

    def close(self, handle: Any) -> None:
        """Give a handle up."""


class Absent(Exception):
    """A lookup type is known but not there; the text says what is missing."""
