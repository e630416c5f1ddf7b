"""What -d+receive and -d+rewrite tell of a message: its envelope and header as they came, and what was made of them."""

from __future__ import annotations

from pyexim.log.debug import Debug
from pyexim.model.message import Header, Message


def before(debug: Debug, headers: list[Header], message: Message) -> None:
    """Show what has come."""
    if not debug.selected("receive"):
        return
    recipients = "".join(f"  {r.address}\n" for r in message.recipients)
    debug.write(f"Sender: {message.sender_address}\nRecipients:\n{recipients}>>Headers received:\n"
                + "".join(h.text for h in headers) + "\n")


def after(debug: Debug, headers: list[Header], message: Message) -> None:
    """Show what has become of it; a line that goes nowhere has an asterisk."""
    if message.unrewritten_sender:
        debug.write(f"rewritten sender = {message.sender_address}\n")
    if debug.selected("receive"):
        debug.write(">>Headers after rewriting and local additions:\n"
                    + "".join(f"{h.type} {h.text}" for h in headers) + "\n")
