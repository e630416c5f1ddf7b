"""The facts of one incoming connection, or of a submission that has none."""

from __future__ import annotations

from pyexim.base.record import dataclass, field


@dataclass(slots=True)
class TlsFacts:
    """What was agreed on an encrypted connection; all unset on a plain one."""

    active: bool = False
    cipher: str | None = None
    cipher_std: str | None = None
    ver: str | None = None
    bits: int = 0
    peerdn: str | None = None
    sni: str | None = None
    certificate_verified: bool = False
    resumption: int = 0
    ocsp: int = 0
    ourcert: object = None
    peercert: object = None


@dataclass(slots=True)
class Connection:
    """Where a message comes from.

    For a local submission ``sender_host_address`` is None.  ``kind`` is "tcp" (a socket), "stdin"
    (-bs, -bS; a socket there too, under inetd, when ``sender_host_address`` is set) or "local".
    Names are those of the expansion variables; None stands for unset, which expands to nothing.
    """

    kind: str = "local"
    sender_host_address: str | None = None
    sender_host_port: int = 0
    sender_host_name: str | None = None
    """Verified name, set by a reverse lookup; None when none was done or it failed."""
    host_name_untold: bool = False
    """The name was found while the HELO name was verified: log lines do not show it yet (as in Exim)."""
    sender_host_aliases: list[str] = field(default_factory=list)
    host_lookup_failed: bool = False
    host_lookup_deferred: bool = False
    host_lookup_message: str = ""
    """Why the lookup of the name failed, for the log."""
    sender_host_dnssec: bool = False
    interface_address: str | None = None
    """$received_ip_address; $interface_address is its old name."""
    interface_port: int = 0
    sender_ident: str | None = None
    sender_helo_name: str | None = None
    sender_helo_verified: bool | None = None
    sender_helo_dnssec: bool = False
    helo_verify_failed: bool = False
    esmtp: bool = False
    received_protocol: str | None = None
    smtp_active_hostname: str | None = None
    smtp_command: str | None = None
    """The last command as received."""
    smtp_command_argument: str | None = None
    smtp_command_history: list[str] = field(default_factory=list)
    smtp_notquit_reason: str | None = None
    smtp_count_at_connection_start: int = 0
    authenticated_id: str | None = None
    authenticated_fail_id: str | None = None
    authenticated_sender: str | None = None
    sender_host_authenticated: str | None = None
    """Name of the authenticator that succeeded."""
    sender_host_auth_pubname: str | None = None
    """Its mechanism's public name."""
    authentication_failed: bool = False
    tls_in: TlsFacts = field(default_factory=TlsFacts)
    tls_on_connect: bool = False
    proxy_session: bool = False
    proxy_local_address: str | None = None
    proxy_local_port: int = 0
    proxy_external_address: str | None = None
    proxy_external_port: int = 0
    acl_c: dict[str, str] = field(default_factory=dict)
    """ACL variables of the connection, by their names without "acl_" ("c0", "c_foo")."""
    started: float = 0.0
    only_queue: str = ""
    """Why its messages are only to be queued, by what admission said (smtp_accept_queue); "" where they are not."""
    connection_id: str | None = None
    submitter_trusted: bool = True
    batched: bool = False
    """-bS."""
    host_checking: bool = False
    host_checking_callout: bool = False
    """-bhc: callouts are made all the same."""
    """-bh: nothing is to be stored."""
    pipelining_used: bool = False
    chunking_offered: bool = False
    peer_facts: dict[str, str] = field(default_factory=dict)
    """Values of match data such as $host_data."""
