"""The arrival line ("<=") with all its fields, the message's own log, and whether delivery starts at once.

Spec: chapter "Log files", sections "Logging message reception" and "Reducing or increasing what is
logged"; options queue_only and its relatives, smtp_accept_queue_per_connection.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import printable
from pyexim.mailfmt import rfc2047
from pyexim.receive.texts import duration, host_and_ident, tls_text

if TYPE_CHECKING:
    from pyexim.receive.api import ReceiveRun
    from pyexim.receive.message import Incoming


_MAX_SUBJECT: Final = 100


def line(incoming: Incoming) -> str:
    """Return the arrival line of a message, without time stamp and id."""
    message, scope = incoming.message, incoming.scope
    conn, log = message.conn, scope.services.log
    selected = log.selected
    flag = "(=" if incoming.controls.fake_code == 550 else "<="
    text = f"{flag} {printable(message.sender_address) or '<>'}"
    if incoming.envelope.reference:
        text += f" R={incoming.envelope.reference}"
    text += " " + host_and_ident(conn, log)
    if conn.received_protocol:
        text += f" P={conn.received_protocol}"
    if conn.proxy_local_address and selected("proxy"):
        text += f" PRX={conn.proxy_local_address}"
    if incoming.pipelining is not None and selected("pipelining"):
        text += f" L{incoming.pipelining}"
    text += tls_text(conn, log)
    if conn.sender_host_authenticated:
        text += f" A={conn.sender_host_authenticated}"
        if conn.authenticated_id:
            text += f":{conn.authenticated_id}"
            if selected("smtp_mailauth") and message.authenticated_sender:
                text += f":{message.authenticated_sender}"
    if incoming.replies:
        text += " PRDR"
    if incoming.chunked:
        text += " K"
    text += f" S={message.message_size}"
    if message.queue_name:
        text += f" Q={message.queue_name}"
    if selected("8bitmime"):
        text += f" M8S={message.body_8bit}"
    if selected("receive_time"):
        text += f" RT={duration(message.received_time_complete - message.received_time, millisec=selected('millisec'))}"
    header = incoming.fields.prefixed("message-id")
    if header is not None:
        created = incoming.fields.id_created
        if (not created and selected("msg_id")) or (created and selected("msg_id_created")):
            value = _message_id(header.text)
            if value:
                text += f" id{'*' if created else ''}={value}"
    if selected("subject"):
        text += _subject(incoming)
    if selected("received_sender"):
        text += f" from <{incoming.envelope.raw_sender}>"
    if selected("received_recipients") and message.recipients:
        text += " for " + " ".join(incoming.envelope.raw_recipients)
    return text


def _message_id(text: str) -> str:
    """Return the id of a Message-Id: line as the log shows it: without comments and brackets around it."""
    value = text.partition(":")[2].strip(" \t\n")
    start = value.find("<")
    if start >= 0:
        end = value.find(">", start)
        value = value[start + 1:end if end >= 0 else len(value)]
    return printable(value)


def _subject(incoming: Incoming) -> str:
    main = incoming.scope.config.main
    for header in incoming.fields.headers:
        if header.type != "*" and header.text[:8].lower() == "subject:":
            value = header.text[8:].strip(" \t\n")
            value = rfc2047.decode(value, main.headers_charset or "UTF-8", check_length=main.check_rfc2047_length)
            shown = "\t".join(printable(part, top_bit=main.print_topbitchars)
                              for part in value[:_MAX_SUBJECT].split("\t")).replace('"', '\\"')
            return f' T="{shown}"'
    return ""


def message_log(incoming: Incoming, text: str, frozen: str) -> None:
    """Begin the message's own log; a failure is reported and does no harm."""
    log = incoming.scope.services.log
    stamp = getattr(log, "time_stamp", lambda: "")()
    content = f"{stamp} Received from {text[3:]}\n"
    if frozen:
        content += f"{stamp} {frozen}\n"
    try:
        incoming.write_message_log(content)
    except OSError as e:
        log.panic(f"Couldn't open message log: {e.strerror}", message_id=incoming.message.message_id)


def wants_queue_only(run: ReceiveRun, *, smtp: bool) -> bool:
    """Tell whether messages are only to be queued for reasons known before any message comes."""
    main = run.config.main
    if run.queue_only:
        return True
    overridden = run.delivery_requested and main.queue_only_override
    if main.queue_only and not overridden:
        return True
    if main.queue_only_file and not overridden:
        for item in main.queue_only_file.split(":"):
            name = item.strip(" \t\n")
            if name.startswith("smtp"):
                continue
            if name and os.path.exists(name):
                return True
    return False


def load_too_high(run: ReceiveRun) -> str:
    """Return why delivery does not start at the present load, or ""."""
    main = run.config.main
    limit = main.queue_only_load
    if limit is None or (run.delivery_requested and main.queue_only_override):
        return ""
    load = run.load_average()
    return f"load average {load / 1000:.2f}" if load > limit else ""
