"""Arguments of MAIL, RCPT and BDAT: what stands after the address.  RFC 5321, 1870, 6152, 3461, 3030.

Only known parameters are taken off, from the right; the first thing that is none ends that, and what
is left is the address (and will be found malformed if something foreign follows it).
"""

from __future__ import annotations

import re

from pyexim.base.taint import like

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "AUTH", "RET", "ENVID", "SMTPUTF8", "PRDR"})
RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})

_option = re.compile(r"[ \t](?:([A-Za-z]*)=([^ \t=]*)|([^ \t=]+))\Z").search
_digits = re.compile(r"[0-9]+\Z").match

MAX_CHUNK = 1 << 62


def split_parameters(argument: str, known: frozenset[str]) -> tuple[str, list[tuple[str, str]]]:
    """Return the address part of an argument and the (NAME, value) pairs after it, leftmost first.

    A word without "=" has itself as its value, as in Exim: it is no good value of those that need one.
    """
    argument = like(argument.rstrip(" \t"), argument)
    found: list[tuple[str, str]] = []
    while (m := _option(argument)) is not None:
        name, value, word = m.groups()
        if word is not None:
            name = value = word
        if not name.isascii() or name.upper() not in known:
            break
        text = argument
        argument = like(argument[:m.start()].rstrip(" \t"), argument)
        if name.upper() == "SIZE" and value and word is None and parse_size(value) is None:
            break  # it goes, and nothing before it counts as a parameter any more, as in Exim
        found.append((name.upper(), like(value, text)))
    found.reverse()
    return argument, found


def parse_size(text: str) -> int | None:
    """Return the number of a SIZE parameter; None where it is none.  Any number of digits."""
    if text[:1] == "-" and _digits(text[1:]):
        return MAX_CHUNK
    if not _digits(text):
        return None
    return int(text) if len(text) <= 18 else MAX_CHUNK


def parse_bdat(argument: str) -> tuple[int, bool] | str:
    """Return (octets, last) of a BDAT argument, or the text of the error."""
    words = argument.split()
    if not words or not _digits(words[0]):
        return "missing size for BDAT command"
    if len(words[0]) > 18:
        return "invalid size for BDAT command"
    if len(words) > 2 or (len(words) == 2 and words[1].upper() != "LAST"):
        return "unexpected argument data"
    return int(words[0]), len(words) == 2


_xtext = re.compile(r"\+([0-9A-F]{2})")
_not_xtext = re.compile(r"[^!-*,-<>-~]")


def decode_xtext(text: str) -> str | None:
    """Return the value of RFC 3461's xtext, or None where it is malformed."""
    if _not_xtext.search(_xtext.sub("", text)):
        return None
    return like(_xtext.sub(lambda m: chr(int(m.group(1), 16)), text), text)
