"""What an expansion can see: the configuration, the services, and the items at work.

One Scope serves a session, a message being received, a delivery; parts of it are replaced as work
goes on.  The language's rooms (expand, match, lookup) read it and call its services; they write only
``vars`` (values of the running evaluation: numeric variables, $item, $value, lookup data) and what
``${acl`` and ``set`` change on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pyexim.base.clock import Clock, SystemClock
from pyexim.base.record import dataclass, field

if TYPE_CHECKING:
    from pyexim.config.configuration import Configuration
    from pyexim.model.address import Address
    from pyexim.model.connection import Connection
    from pyexim.model.host import Host
    from pyexim.model.message import Message


class LogSink(Protocol):
    """The logs, as far as the language needs them (log.Log implements it)."""

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None: ...
    def reject(self, text: str, *, message_id: str | None = None, headers: str = "",
               also_main: bool = True) -> None: ...
    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None: ...
    def crash(self, text: str) -> None: ...
    def selected(self, selector: str) -> bool: ...
    def wants(self, selector: str) -> bool: ...


@dataclass(slots=True)
class Services:
    """What a process offers to everything that runs in it; made once by a door (cli, master)."""

    log: LogSink
    clock: Clock = field(default_factory=SystemClock)
    resolver: Any = None
    """dns.resolver.Resolver of the project; None until first use: call ``dns()``."""
    hints: Any = None
    """hints.Hints: the hints databases."""
    privileged: Any = None
    """deliver.starter.Client: opens files and runs local transports as another user; None when the
    process itself has no privilege to give up or to ask for."""
    debug: Any = None
    """log.debug.Debug or None: where -d writes."""
    exim_uid: int = -1
    exim_gid: int = -1
    primary_hostname: str = ""
    submit: Callable[[list[str], bytes], int] | None = None
    """Submit a message made by us: arguments as for the command, then the message; exit code."""
    start_delivery: Callable[[str, str], int | None] | None = None
    """Ask for a delivery attempt of a message (id, queue) that this process has put on the spool."""
    make_resolver: Callable[[Any], Any] | None = None
    caller_uid: int = -1
    caller_gid: int = -1
    admin: bool = False
    trusted: bool = False
    message_reference: str | None = None
    """-oMm: the id that a message of our own refers to (R= on its reception line)."""
    config_dir: str = ""
    initial_cwd: str = ""
    pool: Any = None
    """transports.smtp connection pool: live connections that the next delivery may continue."""


@dataclass(slots=True)
class Scope:
    """The view of one evaluation."""

    config: Configuration
    services: Services
    conn: Connection | None = None
    message: Message | None = None
    address: Address | None = None
    host: Host | None = None
    """The host at work in a transport ($host, $host_address, $host_port)."""
    router_name: str = ""
    transport_name: str = ""
    vars: dict[str, str] = field(default_factory=dict)
    """Values by variable name that stand above all others: "0".."9", "item", "value", "domain_data",
    "acl_arg1", "acl_narg", "acl_verify_message", "runrc", "lookup_dnssec_authenticated", "n0",
    "sn0", "regex1", "dnslist_domain", "sender_rate", "local_user_uid", "self_hostname"...  Whoever
    sets one removes it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Anything a feature wants to keep for this scope, under its own name."""
    acl: Any = None
    """acl.run.AclRun while an ACL is running (what ${acl, $acl_verify_message use)."""
    verify_mode: str = ""
    """"S" or "R" while an address is being verified."""
    expand_forbidden: frozenset[str] = frozenset()
    """Items that a redirect router forbids ("readfile", "run", "lookup", "perl", ...)."""
    headers_added: list[str] = field(default_factory=list)
    """Header lines that the ACLs of this message have added so far ($headers_added)."""
    is_delivery: bool = False
