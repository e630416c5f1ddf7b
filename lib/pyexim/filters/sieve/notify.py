"""Sieve's notify with the method mailto: a short message to somebody.  Spec: RFC 5435, RFC 5436, RFC 6068 (mailto)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from pyexim.base.octets import lower
from pyexim.base.taint import like
from pyexim.filters.outcome import Action, Reply
from pyexim.filters.sieve.lexer import SieveError
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.mailfmt.rfc2047 import encode

if TYPE_CHECKING:
    from pyexim.filters.sieve.script import Script


def read_notify(script: Script) -> Action:
    """Read the command; the message that it asks for."""
    lexer = script.lexer
    texts: dict[str, str] = {}
    while tag := lexer.tag("from", "importance", "options", "message"):
        if tag == "options":
            if lexer.strings() is None:
                raise SieveError("options string list expected")
            continue
        text = lexer.string()
        if text is None:
            raise SieveError(f"{tag} string expected")
        if tag == "importance" and text not in ("1", "2", "3"):
            raise SieveError("invalid importance")
        texts[tag] = text
    uri = lexer.string()
    if uri is None:
        raise SieveError("missing method string")
    script.end()
    to, fields = parse_mailto(uri)
    sender = texts.get("from", script.recipient())
    parsed = parse_address(sender)
    if parsed.error is not None:
        raise SieveError(f'malformed address "{sender}" ({parsed.error})')
    original = script.header("subject")
    subject = texts.get("message") or fields.get("subject") or like(original.replace("\n", " "), original)
    owner = script.run.rules.sieve.enotify_owner
    head = f"Auto-Submitted: auto-notified; {owner}\n"
    return Action("notify", ", ".join(to), script.recipient(), reply=Reply(
        to=", ".join(to), cc=fields.get("cc", ""), from_=sender, headers=head,
        subject=encode(subject, "utf-8", fold=True), text=fields.get("body", "")))


def parse_mailto(uri: str) -> tuple[list[str], dict[str, str]]:
    """Return the recipients and the header fields (to, cc, subject, body) of a mailto URI; SieveError."""
    if not lower(uri).startswith("mailto:"):
        raise SieveError("unknown notification method")
    path, _, query = uri[len("mailto:"):].partition("?")
    fields: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        text = unquote(value, "latin-1").replace("\r\n", "\n")
        key = lower(unquote(name, "latin-1"))
        if key != "body":
            text = text.replace("\n", " ")
        if key in ("to", "cc", "subject", "body"):
            fields[key] = text
    to = []
    for item in split_list(unquote(path, "latin-1").replace("\n", " ")) + split_list(fields.get("to", "")):
        parsed = parse_address(item)
        if parsed.error is not None or not parsed.domain_at:
            raise SieveError("invalid mailto URI")
        to.append(parsed.address)
    if not to:
        raise SieveError("invalid mailto URI")
    return to, fields
