"""What every address that a filter has made gets from the filter, be it a user's or the system's."""

from __future__ import annotations

from typing import Final

from pyexim.base.taint import untaint
from pyexim.filters.outcome import Action
from pyexim.mailfmt.address import parse_address, split_list
from pyexim.model.address import Address

NOBODY: Final = "**bad-reply**"


def dress(child: Address, action: Action) -> None:
    """Give a child what the command that made it says: errors address, mode, variables, the reply."""
    if action.errors_to is not None:
        child.errors_address = action.errors_to
    if action.no_error:
        child.flags.add("ignore_error")
    if action.mode >= 0:
        child.mode = action.mode
    if action.kind == "pipe":
        child.pipe_allow_expansion = True
        child.pipe_expandn = [untaint(value) for value in action.numbers]
        if action.this_address:
            child.vars["thisaddress"] = action.this_address
    if action.kind == "reply":
        child.reply = action.reply


def reply_name(action: Action) -> tuple[str, str | None]:
    """Return what a reply is called, after its recipients, and what is wrong with these."""
    recipients = []
    good = True
    for item in split_list(action.reply.to if action.reply is not None else ""):
        parsed = parse_address(item, allow_domain_literals=True)
        if parsed.error is not None or not parsed.address:
            good = False
        else:
            recipients.append(parsed.address)
    name = ">" + untaint(", ".join(recipients) or NOBODY)
    return name, None if good and recipients else "filter autoreply generated syntactically invalid recipient"
