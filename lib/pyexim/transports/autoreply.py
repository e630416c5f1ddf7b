"""The autoreply transport."""

from __future__ import annotations

from pyexim.config.option import ADDRESS_LIST, BOOL, INT, OCTAL, STRING, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class AutoreplyOptions(TransportOptions):
    """The options of its section."""

    bcc: str | None = option(STRING, None, expanded=True)
    cc: str | None = option(STRING, None, expanded=True)
    file: str | None = option(STRING, None, expanded=True)
    file_expand: bool = option(BOOL, False)
    file_optional: bool = option(BOOL, False)
    from_: str | None = option(STRING, None, expanded=True, name="from")
    headers: str | None = option(STRING, None, expanded=True)
    log: str | None = option(STRING, None, expanded=True)
    mode: int = option(OCTAL, 0o600)
    never_mail: str | None = option(ADDRESS_LIST, None, expanded=True)
    once: str | None = option(STRING, None, expanded=True)
    once_file_size: int = option(INT, 0)
    once_repeat: int | str = option(TIME, 0, expanded=True)
    reply_to: str | None = option(STRING, None, expanded=True)
    return_message: bool = option(BOOL, False)
    subject: str | None = option(STRING, None, expanded=True)
    text: str | None = option(STRING, None, expanded=True)
    to: str | None = option(STRING, None, expanded=True)
