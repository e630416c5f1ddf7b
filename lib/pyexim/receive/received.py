"""The Received: line, and the other lines that reception makes: Message-Id:, Date:, From:, Sender:.

The default received_header_text is made by a function of its own that gives the same text as its
expansion; any other text is expanded.  Spec: sections "The Received: header line", "The Message-ID:
header line", "Constructed addresses" of the chapter "Message processing".
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pyexim import EXIM_VERSION
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.config.main_options import MainOptions
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import quote_local_part
from pyexim.model.message import Message
from pyexim.receive.texts import received_host

DEFAULT_BANNER: Final = "$smtp_active_hostname ESMTP Exim $version_number $tod_full"


@cache
def default_received_text() -> str:
    """Return the default of received_header_text."""
    return MainOptions().received_header_text or ""


def received_text(scope: Scope, message: Message) -> str:
    """Return the Received: field without its date; "" where there is to be none."""
    source = scope.config.main.received_header_text
    if not source:
        return ""
    if source != default_received_text() or message.conn.tls_in.active:
        try:
            return expand(source, scope).rstrip("\n")
        except ForcedFail:
            return ""
        except ExpansionError as e:
            raise ExpansionError(f'expansion of "{source}" (received_header_text) failed: {e.text}') from None
    conn = message.conn
    host = received_host(conn, scope.services.log)
    if host is not None:
        text = f"Received: from {host}\n\tby "
    else:
        ident = f"from {quote_local_part(conn.sender_ident)} " if conn.sender_ident else ""
        helo = f"(helo={conn.sender_helo_name})\n\t" if conn.sender_helo_name else ""
        text = f"Received: {ident}{helo}by "
    protocol = f"with {conn.received_protocol} " if conn.received_protocol else ""
    text += f"{scope.config.main.primary_hostname} {protocol}(Exim {EXIM_VERSION})\n\t"
    if message.sender_address:
        text += f"(envelope-from <{message.sender_address}>)\n\t"
    text += f"id {message.message_id}"
    if message.received_for:
        text += f"\n\tfor {message.received_for}"
    return text


def make_message_id(scope: Scope, message: Message) -> str:
    """Return the value of a Message-Id: line for a message, with its angle brackets."""
    main = scope.config.main
    extra = ""
    domain = main.primary_hostname or ""
    if main.message_id_header_domain:
        other = _expanded(main.message_id_header_domain, "message_id_header_domain", scope)
        if other:
            domain = "".join(c if c.isascii() and (c.isalnum() or c in "-.:[]") else "-" for c in other)
    if main.message_id_header_text:
        added = _expanded(main.message_id_header_text, "message_id_header_text", scope)
        if added:
            extra = "." + "".join(c if c.isascii() and (c.isalnum() or c in "!#$%&'*+-/=?^_`{|}~") else "-"
                                  for c in added)
    return f"<E{message.message_id}{extra}@{domain}>"


def _expanded(source: str, name: str, scope: Scope) -> str:
    try:
        return expand(source, scope)
    except ForcedFail:
        return ""
    except ExpansionError as e:
        scope.services.log.panic(f'expansion of "{source}" ({name}) failed: {e.text}',
                                 message_id=scope.message.message_id if scope.message else None)
        return ""
