"""Header fields: which ones mean something to a mail system, and how their text is taken apart.

Spec: chapter "Format of spool files" for the letters; RFC 5322 section 2.2.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.taint import like

TYPES: Final = {
    "bcc": "B", "cc": "C", "date": "date", "delivery-date": "delivery-date", "envelope-to": "envelope-to",
    "from": "F", "in-reply-to": " ", "message-id": "I", "received": "P", "references": " ",
    "reply-to": "R", "return-path": "return-path", "sender": "S", "subject": " ", "to": "T",
}
"""Lower-case name -> letter of the spool file, or the name itself for fields that reception looks at but
that have no letter.  "Resent-" before the address and id fields gives the same kind."""

RESENT: Final = frozenset({"bcc", "cc", "date", "from", "message-id", "reply-to", "sender", "to"})


def name_of(text: str) -> str:
    """Return the lower-case name of a header field."""
    return text.partition(":")[0].rstrip(" \t").lower()


def kind_of(text: str, *, resent_exists: bool = False) -> str:
    """Return the letter of a header field: "F", "T", "C", "B", "R", "S", "P", "I", or " " for others.

    With ``resent_exists`` the Resent- forms carry the letters; without, they carry them as well, which is
    what decides about rewriting and qualifying.
    """
    name = name_of(text)
    if name.startswith("resent-"):
        base = name[7:]
        if base not in RESENT:
            return " "
        name = base
    kind = TYPES.get(name, " ")
    return kind if len(kind) == 1 else " "


def unfold(text: str) -> str:
    """Join the lines of a header field: each new line goes, the white space after it stays."""
    return like(text.replace("\n", "") if "\n" in text else text, text)


def body_of(text: str) -> str:
    """Return what stands after the colon, unfolded, without white space at its ends."""
    return like(text.partition(":")[2].replace("\n", "").strip(" \t\r"), text)
