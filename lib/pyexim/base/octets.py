"""Octets: the one crossing between bytes and the text used inside.

Inside, text is ``str`` with one character per octet (the ISO-8859-1 view), so that lengths and
positions count octets as Exim counts them.  The methods of ``str`` follow Unicode (``"\\xdf".upper()``
is two characters, ``"\\xa0".isspace()`` is true) and would corrupt such text; the functions here touch
ASCII only.
"""

from __future__ import annotations

from typing import Final

SPACE: Final = " \t\n\v\f\r"
"""What C's isspace() accepts in the C locale."""

_LOWER: Final = {i: i + 32 for i in range(65, 91)}
_UPPER: Final = {i: i - 32 for i in range(97, 123)}


def to_text(data: bytes) -> str:
    """Return the octets as text, one character each."""
    return data.decode("latin-1")


def to_bytes(text: str) -> bytes:
    """Return the octets of a text; ValueError where a character is no octet (a bug of ours)."""
    return text.encode("latin-1")


def lower(text: str) -> str:
    """Lower-case the ASCII letters and nothing else."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def upper(text: str) -> str:
    """Upper-case the ASCII letters and nothing else."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def strip(text: str) -> str:
    """Remove ASCII white space at both ends."""
    return text.strip(SPACE)


def lstrip(text: str) -> str:
    """Remove ASCII white space at the start."""
    return text.lstrip(SPACE)


def rstrip(text: str) -> str:
    """Remove ASCII white space at the end."""
    return text.rstrip(SPACE)


def is_digits(text: str) -> bool:
    """Tell whether the text is one or more ASCII digits."""
    return text.isascii() and text.isdigit()


def words(text: str) -> list[str]:
    """Split at runs of ASCII white space."""
    if text.isascii() and not any(c in text for c in "\x1c\x1d\x1e\x1f"):
        return text.split()
    out: list[str] = []
    start = -1
    for i, c in enumerate(text):
        if c in SPACE:
            if start >= 0:
                out.append(text[start:i])
                start = -1
        elif start < 0:
            start = i
    if start >= 0:
        out.append(text[start:])
    return out


def printable(text: str, *, top_bit: bool = False, tabs: bool = False) -> str:
    """Return the text as Exim prints it in logs: controls as escapes, others in octal.

    ``top_bit`` is the option print_topbitchars: octets above 127 count as printable.  With ``tabs`` so do tabs.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    if tabs and "\t" in text:
        return "\t".join([printable(part, top_bit=top_bit) for part in text.split("\t")])
    return "".join(_PRINTABLE_TOP[c] if top_bit else _PRINTABLE[c] for c in map(ord, text))


def shown(text: str) -> str:
    """Return what a remote server said as logs and reports may have it: lines and tabs stay, the rest is printable."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([c if c in "\t\n\\" else _PRINTABLE[ord(c)] for c in text])


def _table(top_bit: bool) -> list[str]:
    named = {10: "\\n", 13: "\\r", 8: "\\b", 11: "\\v", 12: "\\f", 9: "\\t", 92: "\\\\"}
    return [named.get(i) or (chr(i) if 32 <= i < 127 or (top_bit and i > 127) else f"\\{i:03o}")
            for i in range(256)]


_PRINTABLE: Final = _table(False)
_PRINTABLE_TOP: Final = _table(True)
