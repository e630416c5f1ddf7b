"""The lmtp transport."""

from __future__ import annotations

from pyexim.config.option import BOOL, INT, STRING, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class LmtpOptions(TransportOptions):
    """The options of its section."""

    batch_id: str | None = option(STRING, None, expanded=True)
    batch_max: int = option(INT, 1)
    command: str | None = option(STRING, None, expanded=True)
    ignore_quota: bool = option(BOOL, False)
    socket: str | None = option(STRING, None, expanded=True)
    timeout: int = option(TIME, 300)
