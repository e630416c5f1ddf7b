"""Sieve's vacation: an answer to whoever writes, once in some days.

Spec: RFC 5230; option sieve_vacation_directory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pyexim.base.taint import like
from pyexim.filters.outcome import Action, Reply
from pyexim.filters.personal import is_personal
from pyexim.filters.sieve.lexer import SieveError
from pyexim.mailfmt.address import parse_address
from pyexim.mailfmt.rfc2047 import encode

if TYPE_CHECKING:
    from pyexim.filters.sieve.script import Script

DEFAULT_DAYS: Final = 7
MAX_DAYS: Final = 31
_TEXT_HEADER: Final = ('MIME-Version: 1.0\nContent-Type: text/plain;\n\tcharset="utf-8"\n'
                       "Content-Transfer-Encoding: quoted-printable")


def read_vacation(script: Script, obeyed: bool) -> Action | None:
    """Read the command; the reply that it asks for, None where none is to be sent."""
    lexer, run = script.lexer, script.run
    if run.say is None and run.rules.sieve.vacation_directory is None:
        raise SieveError("vacation disabled")
    if obeyed and script.vacation_done:
        raise SieveError("trying to execute vacation more than once")
    days, mime = DEFAULT_DAYS, False
    texts: dict[str, str] = {}
    own: list[str] = []
    while tag := lexer.tag("days", "subject", "from", "addresses", "mime", "handle"):
        if tag == "mime":
            mime = True
        elif tag == "days":
            number = lexer.number()
            if number is None:
                raise SieveError("missing number")
            days = min(max(number, 1), MAX_DAYS)
        elif tag == "addresses":
            found = lexer.strings()
            if found is None:
                raise SieveError("addresses string list expected")
            own = found
        else:
            text = lexer.string()
            if text is None:
                raise SieveError(f"{tag} string expected")
            if tag == "from":
                parsed = parse_address(text)
                if parsed.error is not None:
                    raise SieveError(f'malformed address "{text}" ({parsed.error})')
            texts[tag] = text
    reason = lexer.string()
    if reason is None:
        raise SieveError("missing reason string")
    script.end()
    if not obeyed:
        return None
    script.vacation_done = True
    sender = script.message.sender_address
    if not sender or run.say is not None or not is_personal(run, own, copies=True):
        return None
    return Action("reply", f">{sender}", reply=_reply(script, sender, texts, reason, days, mime))


def _reply(script: Script, sender: str, texts: dict[str, str], reason: str, days: int, mime: bool) -> Reply:
    subject = texts.get("subject")
    if subject is None:
        original = script.header("subject")
        subject = like(f"Auto: {original}", original) if original else "Automated reply"
    key = texts["handle"] if "handle" in texts else "\0".join(
        [texts.get("subject", ""), texts.get("from", ""), "mime" if mime else "", reason])
    name = hashlib.md5(key.encode("latin-1"), usedforsecurity=False).hexdigest().upper()
    reply = Reply(to=sender, from_=texts.get("from", script.recipient()), once_repeat=days * 86400,
                  subject=encode(subject.replace("\n", " "), "utf-8", fold=True),
                  once=f"{script.run.rules.sieve.vacation_directory}/{name}", make_directory=True)
    if mime:
        head, _, body = reason.replace("\r\n", "\n").partition("\n\n")
        reply.headers, reply.text = head, body
    else:
        reply.headers, reply.text = _TEXT_HEADER, quoted_printable(reason.replace("\r\n", "\n"))
    return reply


def quoted_printable(text: str) -> str:
    """Return a text in quoted-printable (RFC 2045), lines of at most 76 characters."""
    out = []
    for line in text.split("\n"):
        current = ""
        for i, c in enumerate(line):
            plain = "!" <= c <= "~" and c != "="
            coded = c if plain or (c in " \t" and i < len(line) - 1) else f"={ord(c):02X}"
            if len(current) + len(coded) > 75:
                out.append(current + "=\n")
                current = ""
            current += coded
        out.append(current + "\n")
    return "".join(out)[:-1]
