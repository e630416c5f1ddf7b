"""An address that is being routed and delivered, with all that becomes of it on the way.

The word is *address* while routing, *recipient* in the envelope.  One object per address; children
(aliases, forwards) point to their parent.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pyexim.base.record import dataclass, field
from pyexim.base.taint import like
from pyexim.model.host import Host

_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_PLAIN: Final = re.compile(rf"{_ATEXT}(?:(?:{_ATEXT}|\.)*{_ATEXT})?")
_ESCAPED: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def quoted(local_part: str) -> str:
    """Return a local part in quotes, where it needs them."""
    if _PLAIN.fullmatch(local_part):
        return local_part
    return like('"' + local_part.translate(_ESCAPED) + '"', local_part)


def unquoted(local_part: str) -> str:
    """Return a local part without its quotes and backslashes: what they protect is meant (RFC 5321, 4.1.2)."""
    if '"' not in local_part and "\\" not in local_part:
        return local_part
    out = []
    at, n = 0, len(local_part)
    while at < n:
        c = local_part[at]
        if c == "\\" and at + 1 < n:
            at += 1
            out.append(local_part[at])
        elif c != '"':
            out.append(c)
        at += 1
    return like("".join(out), local_part)


@dataclass(slots=True, eq=False)
class Address:
    """One address.

    ``address`` is the whole address, its local part as given, ``domain`` is lower case.
    ``local_part`` is the view of the last router that has looked at it, without quotes: in lower
    case unless caseful_local_part, without affixes (those are in ``prefix`` and ``suffix``); for what
    is transmitted see ``routers.affixes.transmitted_local_part``.  ``unique`` is what duplicates are
    found by and what journal and non-recipients hold.  ``onetime_parent`` belongs to a redirect with
    one_time.  ``vars`` holds the router's ``set`` variables (r_...).
    """

    address: str
    local_part: str = ""
    domain: str = ""
    unique: str = ""
    parent: Address | None = None
    children: int = 0
    """Children still unfinished."""
    start_router: str | None = None
    """Routing begins at this router rather than the first (redirect_router, pass)."""
    # -- set by the router
    router: Any = None
    transport: Any = None
    prefix: str = ""
    prefix_v: str = ""
    suffix: str = ""
    suffix_v: str = ""
    domain_data: str | None = None
    local_part_data: str | None = None
    recipient_data: str | None = None
    sender_data: str | None = None
    address_data: str | None = None
    host_list: list[Host] = field(default_factory=list)
    fallback_hosts: list[Host] = field(default_factory=list)
    self_hostname: str | None = None
    errors_address: str | None = None
    """Where bounces go, when not to the envelope sender; "" means nowhere."""
    headers_add: list[str] = field(default_factory=list)
    headers_remove: str | None = None
    uid: int | None = None
    gid: int | None = None
    initgroups: bool = False
    user_name: str | None = None
    home_dir: str | None = None
    current_dir: str | None = None
    """Home directory for the transport, already expanded where ``home_expanded`` says so."""
    home_expanded: bool = False
    vars: dict[str, str] = field(default_factory=dict)
    mode: int = -1
    localpart_caseful: bool = False
    # -- pipes, files, autoreplies made by redirection
    kind: str = "address"
    """address, pipe, file, directory or reply; for those ``local_part`` is the rest of the item."""
    pipe_expandn: list[str] | None = None
    reply: Any = None
    pipe_allow_expansion: bool = False
    # -- DSN of RFC 3461
    dsn_orcpt: str | None = None
    dsn_flags: int = 0
    # -- what became of it
    message: str | None = None
    """Detail for the log and the bounce."""
    user_message: str | None = None
    """Text for the bounce or the SMTP client, generic."""
    errno: int = 0
    more_errno: int = 0
    special_action: str | None = None
    """freeze, or None."""
    one_time: bool = False
    unseen: bool = False
    known: bool = False
    """The text comes from untainted redirection data, so that $local_part and $domain are not tainted either."""
    retry_use_local_part: bool = False
    retries: list[Any] = field(default_factory=list)
    """Retry records to be written, as retry.RetryItem."""
    delivery_started: float = 0.0
    delivery_seconds: float = 0.0
    host_used: Host | None = None
    smtp_confirmation: str | None = None
    tls_out: Any = None
    flags: set[str] = field(default_factory=set)
    """Rare facts: pipelining, chunking, prdr, utf8, continued, tcp-fastopen, auth=..., dane; timed_out (its last retry
    time has passed), unexplained (a bounce gives no reason)."""
    lookup_facts: dict[str, str] = field(default_factory=dict)
    settled: Any = None
    """The RouteOutcome that the router which made this address has decided for it already: a pipe or
    file, a copy made by "unseen".  ``routers.runner.route_address`` returns it without routing."""

    def __post_init__(self) -> None:
        if not self.domain and not self.local_part and self.kind == "address":
            local_part, _, self.domain = self.address.rpartition("@")
            self.local_part = unquoted(local_part)
        if not self.unique:
            self.unique = self.address

    def top(self) -> Address:
        """Return the original recipient that this address comes from."""
        address = self
        while address.parent is not None:
            address = address.parent
        return address
