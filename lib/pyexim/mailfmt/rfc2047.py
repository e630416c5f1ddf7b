"""RFC 2047 encoded words in header text: "=?charset?Q?text?=".

Text is one character per octet; what an octet means is told by a character set's name.  Nothing here
raises: what is no proper encoded word stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re

from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import like

_MAX_WORD = 75
_FIRST_LIMIT = 67
"""Octets after which an encoded word is ended, counted as Exim counts (see ``encode``)."""

_printable = lazy_pattern(r"[\x20-\x7e]*")
_printable_top = lazy_pattern(r"[\x20-\x7e\x80-\xff]*")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-^`{|}~")
_CODED = ["_" if i == 32 else chr(i) if chr(i) in _PLAIN else f"={i:02X}" for i in range(256)]


def needs_encoding(text: str, *, top_bit: bool = False) -> bool:
    """Tell whether a text must be encoded: it has unprintable octets, or looks like an encoded word."""
    return not (_printable_top if top_bit else _printable).fullmatch(text) or "=?" in text or "?=" in text


def encode(text: str, charset: str = "UTF-8", *, fold: bool = False) -> str:
    """Return the text as encoded words where it needs that, otherwise unchanged.

    Words are separated by a space, or by a new line and a space with ``fold``.  A UTF-8 character is
    not divided.  The first word may be longer than the others, as Exim makes it: there the octets
    before the text do not count for its limit.
    """
    if not needs_encoding(text):
        return text
    return like(encode_always(text, charset, fold=fold), text)


def encode_always(text: str, charset: str = "UTF-8", *, fold: bool = False) -> str:
    """Return the text as encoded words even where it need not be."""
    head = f"=?{charset}?Q?"
    utf8 = charset.lower() in ("utf-8", "utf8")
    words: list[str] = []
    word: list[str] = []
    length = 0
    for c in text:
        if length > _FIRST_LIMIT and not (utf8 and "\x80" <= c <= "\xbf"):
            words.append(head + "".join(word) + "?=")
            word = []
            length = len(head)
        coded = _CODED[ord(c)]
        word.append(coded)
        length += len(coded)
    words.append(head + "".join(word) + "?=")
    return ("\n " if fold else " ").join(words)


_word = lazy_pattern(r"=\?([^?]*)\?([QqBb])\?([\x21-\x7e]*?)\?=")
_word_b = lazy_pattern(r"=\?([^?]*)\?([QqBb])\?([\x20-\x7e]*?)\?=")
_q_code = lazy_pattern(r"=([0-9A-Fa-f]{2})")
_q_wrong = lazy_pattern(r"=(?![0-9A-Fa-f]{2})")
_not_base64 = lazy_pattern(r"[^A-Za-z0-9+/=]")
_word_charset = lazy_pattern(r"=\?([^?*]*)(?:\*[^?]*)?\?[QqBb]\?")
_other_ascii = lazy_pattern(r"iso-?2022|csiso2022|utf-?(?:7|16|32)|hz|ucs", re.IGNORECASE)
"""Character sets in which octets of ASCII mean something else."""
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "raw_unicode_escape", "unicode-escape",
                          "unicode_escape", "undefined"})
"""Codecs of the library that no message can mean."""
_blank = lazy_pattern(r"[ \t\r\n]+\Z")


def _payload(kind: str, coded: str) -> str | None:
    """Return the octets of an encoded word, or None where it is malformed."""
    if kind in "Qq":
        if " " in coded or _q_wrong.search(coded):
            return None
        return _q_code.sub(lambda m: chr(int(m.group(1), 16)), coded.replace("_", " "))
    digits = _not_base64.sub("", coded)
    if coded and not digits:
        return None
    try:
        return base64.b64decode(digits.encode("ascii"), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return None


def _convert(octets: str, source: str, target: str) -> str:
    """Convert between character sets; unchanged where that is impossible."""
    if source.lower() == target.lower() or (octets.isascii() and not _other_ascii.match(source)):
        return octets
    try:
        return octets.encode("latin-1").decode(source).encode(target).decode("latin-1")
    except (LookupError, UnicodeError, ValueError):
        return octets


def is_charset(name: str) -> bool:
    """Tell whether a character set is known here."""
    try:
        return codecs.lookup(name).name not in _NO_CHARSETS
    except (LookupError, ValueError):
        return False


def unknown_charset(text: str) -> str | None:
    """Return the first character set that an encoded word names and that is not known here."""
    return next((name for name in _word_charset.findall(text) if name and not is_charset(name)), None)


def decode(text: str, charset: str | None = "UTF-8", *, check_length: bool = True, zero: str = "?") -> str:
    """Replace the encoded words of a text by what they stand for, converted to ``charset``.

    ``charset`` None leaves the octets unconverted ($bh_...).  ``check_length`` is the option
    check_rfc2047_length: words of more than 75 octets are left alone.  White space between two encoded
    words vanishes.  A zero octet becomes ``zero``.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    at = 0
    after_word = False
    while True:
        start = text.find("=?", at)
        if start < 0:
            break
        m = _word.match(text, start)
        if m is None or m.group(2) in "Bb":
            m = _word_b.match(text, start)
        octets = None
        if m is not None and not (check_length and m.end() - start > _MAX_WORD):
            octets = _payload(m.group(2), m.group(3))
        if m is None or octets is None:
            out.append(text[at:start + 2])
            at = start + 2
            after_word = False
            continue
        between = text[at:start]
        if between and not (after_word and _blank.match(between)):
            out.append(between)
        if charset is not None:
            octets = _convert(octets, m.group(1).partition("*")[0], charset)
        out.append(octets.replace("\0", zero))
        at = m.end()
        after_word = True
    out.append(text[at:])
    return like("".join(out), text)
