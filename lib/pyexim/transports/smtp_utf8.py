"""Internationalised mail to hosts that do not know it: addresses in their ASCII form.

Only the envelope is converted.  Spec: chapter "Internationalisation", option utf8_downconvert of smtp.
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand
from pyexim.expand.operators_utf8 import domain_to_alabel, localpart_to_alabel
from pyexim.expand.scope import Scope
from pyexim.model.message import Message


def is_converted(option: int | str, message: Message, scope: Scope, *, offered: bool) -> bool:
    """Tell whether the envelope of a message with SMTPUTF8 is to be converted for a host; ExpansionError.

    The option's 1 (always), 0 (never) or -1 (where the host does not offer SMTPUTF8) comes before what an ACL
    has set; anything else leaves that.
    """
    value = message.utf8_downconvert
    try:
        text = option if isinstance(option, str) and "$" not in option else expand(str(option), scope)
    except ForcedFail:
        text = ""
    if text in ("1", "0", "-1"):
        value = int(text)
    return value > 0 or (value < 0 and not offered)


def to_ascii(address: str, scope: Scope) -> str:
    """Return an address with local part and domain in A-form; ExpansionError where that is no UTF-8."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    return f"{localpart_to_alabel(scope, local, None, '')}{at}{domain_to_alabel(scope, domain, None, '')}"


def helo_to_ascii(name: str, scope: Scope) -> str:
    """Return a HELO name in A-form, or as it is where it cannot be converted."""
    try:
        return domain_to_alabel(scope, name, None, "")
    except ExpansionError:
        return name
