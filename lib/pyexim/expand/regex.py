"""Regular expressions of the configuration, by PCRE2: compiled once, with limits, over octets.

Spec: chapter "Regular expressions".  Patterns and subjects are text with one character per octet; they
are matched as bytes, without UTF unless the pattern itself asks for it (``(*UTF)``).

A pattern carries limits on the work of one match and on its depth, so that a pathological one ends in
"no match" with RegexLimit instead of hanging; a pattern may lower the limits itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pyexim.base.taint import Tainted

MATCH_LIMIT: Final = 2_000_000
DEPTH_LIMIT: Final = 100_000
_LIMITS: Final = b"(*LIMIT_MATCH=%d)(*LIMIT_DEPTH=%d)" % (MATCH_LIMIT, DEPTH_LIMIT)
CACHE_LIMIT: Final = 2048


class RegexLimit(Exception):
    """A match took more work than is allowed; counts as no match, and is worth a log line."""


class Regex:
    """A compiled regular expression; made by :func:`compile`."""

    __slots__ = ("_code", "_context", "_cy", "groups", "names", "pattern")

    def __init__(self, pattern: str, caseless: bool) -> None:
        import pcre2  # heavy: only where there is a pattern

        # The package's objects around a match cost ten times the match; its inner layer does not.
        self._cy: Any = pcre2._cy
        self._context: Any = pcre2._EMPTY_MATCH_CONTEXT
        flags = pcre2.ASCII | (pcre2.IGNORECASE if caseless else 0)
        compiled = pcre2.compile(_LIMITS + pattern.encode("latin-1"), flags, jit=True)
        self._code: Any = compiled._pcre2_code
        self.pattern = pattern
        self.groups: int = compiled.groups
        self.names: dict[str, int] = dict(compiled.groupindex)

    def search(self, text: str) -> list[str] | None:
        """Return the whole match and what each group captured ("" where it took no part), or None.

        Groups after the last one that took part are left out.  The pieces are Tainted if the text is.
        Raises RegexLimit.
        """
        subject = text.encode("latin-1")
        spans = self._spans(subject, 0)
        if spans is None:
            return None
        out = [text[a:b] if a >= 0 else "" for a, b in spans]
        while len(out) > 1 and spans[len(out) - 1][0] < 0:
            out.pop()
        if text.__class__ is not str:
            return [Tainted(x) for x in out]
        return out

    def matches(self, text: str) -> bool:
        """Tell whether the expression matches anywhere; captures are of no interest.  Raises RegexLimit."""
        subject = text.encode("latin-1")
        try:
            return self._cy.match(self._code, subject, len(subject), 0, self._context, 0)[0] is not None
        except self._cy.LibraryError as e:
            raise RegexLimit(str(e)) from None

    def _spans(self, subject: bytes, start: int) -> list[tuple[int, int]] | None:
        cy = self._cy
        try:
            data = cy.match(self._code, subject, len(subject), start, self._context, 0)[0]
        except cy.LibraryError as e:
            raise RegexLimit(str(e)) from None
        if data is None:
            return None
        span = cy.match_substring_span_bynumber
        return [span(data, subject, i) for i in range(self.groups + 1)]

    def replace(self, text: str, replacement: Iterable[str | int]) -> str:
        """Return the text with each match replaced by literal texts and what groups captured.  Raises RegexLimit."""
        cy = self._cy
        template = b""
        for part in replacement:
            if isinstance(part, str):
                template += part.encode("latin-1").replace(b"\\", b"\\\\").replace(b"$", b"$$")
            elif part <= self.groups:
                template += b"${%d}" % part
        options = cy.SubstituteOption.GLOBAL | cy.SubstituteOption.UNSET_EMPTY
        try:
            out = cy.substitute(self._code, template, text.encode("latin-1"), 0, options=options)[0]
        except cy.LibraryError as e:
            raise RegexLimit(str(e)) from None
        return out.decode("latin-1")  # type: ignore[no-any-return]

    def finditer(self, text: str) -> Iterator[tuple[int, int, list[str]]]:
        """Yield (start, end, groups) of each match, left to right, as Perl's /g finds them.  Raises RegexLimit."""
        subject = text.encode("latin-1")
        cy = self._cy
        span = cy.match_substring_span_bynumber
        tainted = text.__class__ is not str
        try:
            for data, _, _ in cy.match_generator(self._code, subject, len(subject), 0, self._context):
                spans = [span(data, subject, i) for i in range(self.groups + 1)]
                groups = [text[a:b] if a >= 0 else "" for a, b in spans]
                if tainted:
                    groups = [Tainted(x) for x in groups]
                yield spans[0][0], spans[0][1], groups
        except cy.LibraryError as e:
            raise RegexLimit(str(e)) from None


_cache: dict[tuple[str, bool], Regex | str] = {}


def compile_or_error(pattern: str, caseless: bool = False) -> Regex | str:
    """Return a compiled expression, or Exim's message where the pattern is wrong."""
    key = (pattern, caseless)
    found = _cache.get(key)
    if found is None:
        try:
            found = Regex(pattern, caseless)
        except Exception as e:
            if not hasattr(e, "pos"):
                raise
            text = str(e).partition("; ")[2]
            offset = max(0, e.pos - len(_LIMITS))
            found = f'regular expression error in "{pattern}": {text} at offset {offset}'
        if len(_cache) >= CACHE_LIMIT:
            for old in list(_cache)[:CACHE_LIMIT // 2]:
                del _cache[old]
        _cache[key] = found
    return found


def compile(pattern: str, caseless: bool = False) -> Regex:
    """Return the compiled expression, from the cache where possible; ValueError with Exim's message."""
    found = compile_or_error(pattern, caseless)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def fault(pattern: str) -> str | None:
    """Return Exim's message for a wrong pattern, None for a good one; cheap for those of common form.

    What Python's own expressions understand is good here, and saves a short-lived process PCRE2.
    """
    try:
        re.compile(pattern)
    except re.error:
        found = compile_or_error(pattern)
        if isinstance(found, str):
            text = found.removeprefix(f'regular expression error in "{pattern}": ')
            return f"regular expression error: {text} while compiling {pattern}"
    return None
