"""Hosts: what a router hands to a transport, with what became of each."""

from __future__ import annotations

from pyexim.base.record import dataclass, field

MX_NONE = -1
"""The host did not come from an MX record."""


@dataclass(slots=True)
class Host:
    """One remote host address to try.

    ``address`` is None until the name has been looked up.  ``mx`` is the MX preference, or negative
    (-1 none; more negative for later positions with randomising).  ``port`` None means the
    transport's.  ``sort_key`` breaks ties.  ``dnssec`` is None, True or False as the resolver said.
    """

    name: str
    address: str | None = None
    port: int | None = None
    mx: int = MX_NONE
    sort_key: int = 0
    dnssec: bool | None = None
    certname: str | None = None
    status: str = "unknown"
    """unknown, usable, unusable (until its retry time), or expired."""
    why: str = ""
    last_try: float = 0.0
    continue_from: bool = field(default=False, compare=False)
