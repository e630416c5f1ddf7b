"""Prefixes and suffixes of local parts.  Spec: options local_part_prefix and local_part_suffix.

A prefix may begin, a suffix may end, with an asterisk, which stands for the longest sequence of
characters that leaves the rest of the pattern where it must be.
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.base.record import dataclass
from pyexim.base.taint import like
from pyexim.config.configuration import Instance
from pyexim.match.lists import split_list
from pyexim.model.address import Address, unquoted


@dataclass(frozen=True, slots=True)
class Affix:
    """What was found: the whole affix, and the part that the asterisk stood for."""

    text: str
    wild: str


def find_prefix(local_part: str, patterns: list[str]) -> Affix | None:
    """Return the first prefix that matches, without regard to case."""
    folded = lower(local_part)
    for pattern in patterns:
        if pattern.startswith("*"):
            rest = lower(pattern[1:])
            at = folded.rfind(rest)
            if at >= 0:
                return Affix(local_part[:at + len(rest)], local_part[:at])
        elif folded.startswith(lower(pattern)):
            return Affix(local_part[:len(pattern)], "")
    return None


def find_suffix(local_part: str, patterns: list[str]) -> Affix | None:
    """Return the first suffix that matches, without regard to case."""
    folded = lower(local_part)
    for pattern in patterns:
        if pattern.endswith("*"):
            rest = lower(pattern[:-1])
            at = folded.find(rest)
            if at >= 0:
                return Affix(local_part[at:], local_part[at + len(rest):])
        elif folded.endswith(lower(pattern)):
            return Affix(local_part[len(local_part) - len(pattern):], "")
    return None


class Affixes:
    """The affixes of one router."""

    __slots__ = ("prefix_optional", "prefixes", "suffix_optional", "suffixes")

    def __init__(self, instance: Instance) -> None:
        options = instance.options
        self.prefixes = split_list(options.local_part_prefix) if options.local_part_prefix else []
        self.suffixes = split_list(options.local_part_suffix) if options.local_part_suffix else []
        self.prefix_optional = options.local_part_prefix_optional
        self.suffix_optional = options.local_part_suffix_optional

    def apply(self, address: Address) -> bool:
        """Take the affixes off ``address.local_part``; False where one that must be there is missing."""
        if self.prefixes:
            text = address.local_part
            found = find_prefix(text, self.prefixes)
            if found is not None:
                address.prefix, address.prefix_v = like(found.text, text), like(found.wild, text)
                address.local_part = like(text[len(found.text):], text)
            elif not self.prefix_optional:
                return False
        if self.suffixes:
            text = address.local_part
            found = find_suffix(text, self.suffixes)
            if found is not None:
                address.suffix, address.suffix_v = like(found.text, text), like(found.wild, text)
                address.local_part = like(text[:len(text) - len(found.text)], text)
            elif not self.suffix_optional:
                return False
        return True


def original_case(address: Address) -> str:
    """Return ``address.local_part`` in the case in which it was given."""
    whole = address.address
    text = unquoted(whole[:whole.rfind("@")] if "@" in whole else whole)
    kept = text[len(address.prefix):len(text) - len(address.suffix)]
    local_part = address.local_part
    # Something else may have changed the local part: then it is what it is.
    return like(kept, local_part) if lower(kept) == lower(local_part) else local_part


def transmitted_local_part(address: Address, *, include_affixes: bool = False) -> str:
    """Return the local part as it goes out in RCPT: its case as given, affixes off unless asked for."""
    whole = address.address
    at = whole.rfind("@")
    text = whole[:at] if at >= 0 else str(whole)
    if not include_affixes:
        text = text[len(address.prefix):len(text) - len(address.suffix)]
    return like(text, whole)
