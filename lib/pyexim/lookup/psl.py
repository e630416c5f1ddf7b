"""psl and regdom: the Public Suffix List: the suffix of a domain, and the domain registered under it.

The list is read from the file that Debian's package publicsuffix installs, or the one that the option
``file`` names.  Format: https://publicsuffix.org/list/.
"""

from __future__ import annotations

import os
from typing import Any, Final

from pyexim.base.octets import lower, words
from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, identity, unchanged

DEFAULT_FILE: Final = "/usr/share/publicsuffix/public_suffix_list.dat"


@dataclass(slots=True)
class Suffixes:
    """The rules of the list, each without its mark."""

    path: str
    identity: Identity
    rules: frozenset[str]
    wildcards: frozenset[str]
    exceptions: frozenset[str]

    def labels(self, domain: str) -> int:
        """Return how many labels of a domain are its public suffix."""
        parts = domain.split(".")
        for start in range(len(parts)):
            rest = ".".join(parts[start:])
            if rest in self.exceptions:
                return len(parts) - start - 1
            if rest in self.rules:
                return len(parts) - start
            if start + 1 < len(parts) and ".".join(parts[start + 1:]) in self.wildcards:
                return len(parts) - start
        return 1


class Psl(Lookup):
    """The query is a domain, the answer its public suffix."""

    query_style = True

    def file_of(self, query: str, options: dict[str, str], scope: Scope) -> str | Deferred:
        return options.get("file", DEFAULT_FILE)

    def open(self, name: str, scope: Scope) -> Suffixes | Deferred:
        try:
            with open(name.encode("latin-1"), "rb") as f:
                was = identity(os.fstat(f.fileno()))
                text = f.read().decode("utf-8", "replace")
        except OSError as e:
            return Deferred(f"failed to open {name} for psl lookup: {e.strerror}")
        rules, wildcards, exceptions = set(), set(), set()
        for line in text.split("\n"):
            fields = words(line)
            if not fields or fields[0].startswith("//"):
                continue
            rule = _ascii(fields[0])
            if rule.startswith("*."):
                wildcards.add(rule[2:])
            elif rule.startswith("!"):
                exceptions.add(rule[1:])
            else:
                rules.add(rule)
        return Suffixes(name, was, frozenset(rules), frozenset(wildcards), frozenset(exceptions))

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        domain = lower(str(key)).rstrip(".")
        if not domain:
            return NOT_FOUND
        return self.answer(domain.split("."), handle.labels(domain))

    def answer(self, labels: list[str], suffix: int) -> Outcome:
        """Return what is asked for, of a domain whose last so many labels are its suffix."""
        return Found(".".join(labels[len(labels) - suffix:]))


class Regdom(Psl):
    """The query is a domain, the answer the part of it that was registered: one label more than the suffix."""

    def answer(self, labels: list[str], suffix: int) -> Outcome:
        return Found(".".join(labels[len(labels) - suffix - 1:])) if suffix < len(labels) else NOT_FOUND


def _ascii(rule: str) -> str:
    """Return a rule with its international labels as they stand in the DNS."""
    if rule.isascii():
        return rule
    mark = rule[:2] if rule.startswith("*.") else rule[:1] if rule.startswith("!") else ""
    try:
        return mark + rule[len(mark):].encode("idna").decode("ascii")
    except UnicodeError:
        return rule
