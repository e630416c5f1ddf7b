"""Where the values of variables come from: functions that make and functions that are getters.

A getter takes the Scope and returns text; ``variables`` says which variable has which.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.taint import Tainted
from pyexim.expand import hosts, table
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.connection import TlsFacts

Getter = Callable[[Scope], str]
EXIM_VERSION: Final = "4.99"


def from_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def from_constant(text: str) -> Getter:
    return lambda scope: text


def from_conn(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        conn = scope.conn
        if conn is None:
            message = scope.message
            if message is None:
                return unset
            conn = message.conn
        value = getattr(conn, field)
        return unset if value is None else value if isinstance(value, str) else str(value)

    return get


def conn_flag(field: str, no: str, yes: str) -> Getter:
    def get(scope: Scope) -> str:
        conn = scope.conn or (scope.message.conn if scope.message else None)
        return yes if conn is not None and getattr(conn, field) else no

    return get


def from_message(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None:
            return unset
        value = getattr(message, field)
        return unset if value is None else value if isinstance(value, str) else str(value)

    return get


def message_flag(field: str) -> Getter:
    def get(scope: Scope) -> str:
        return "yes" if scope.message is not None and getattr(scope.message, field) else "no"

    return get


def from_address(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None:
            return unset
        return from_text(getattr(address, field)) or unset

    return get


def from_main(field: str) -> Getter:
    return lambda scope: from_text(getattr(scope.config.main, field))


def from_service(field: str) -> Getter:
    return lambda scope: from_text(getattr(scope.services, field))


def from_fact(name: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        value = scope.facts.get(name)
        return unset if value is None else from_text(value)

    return get


def from_tainted(getter: Getter) -> Getter:
    def get(scope: Scope) -> str:
        value = getter(scope)
        return Tainted(value) if value and value.__class__ is str else value

    return get


def unless_known(getter: Getter) -> Getter:
    """Taint a value unless the address at work was made of untainted text."""
    tainted = from_tainted(getter)

    def get(scope: Scope) -> str:
        address = scope.address
        if address is not None and address.kind != "address" and address.parent is not None:
            address = address.parent
        return getter(scope) if address is not None and address.known else tainted(scope)

    return get


# -- addresses


def from_parent(field: str, top: bool) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None:
            return ""
        source: Address | None = address.top() if top else address.parent
        return "" if source is None else from_text(getattr(source, field))

    return get


def from_local_part(scope: Scope) -> str:
    """Without affixes and without quotes; the parent's for a pipe, file or reply."""
    address = scope.address
    if address is None:
        return ""
    if address.kind != "address" and address.parent is not None:
        address = address.parent
    return address.local_part


def from_domain(scope: Scope) -> str:
    address = scope.address
    if address is None:
        return ""
    if address.kind != "address" and address.parent is not None:
        address = address.parent
    return address.domain


def from_kind(kinds: frozenset[str]) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None or address.kind not in kinds:
            return ""
        return address.local_part or address.address

    return get


def sender_part(domain: bool) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None:
            return ""
        local, at, host = message.sender_address.rpartition("@")
        if domain:
            return host if at else ""
        return local if at else host

    return get


def recipients(separator: str) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None or not scope.facts.get("enable_dollar_recipients"):
            return ""
        if separator == ":":
            return ":".join(r.address.replace(":", "::") for r in message.recipients)
        return separator.join(r.address for r in message.recipients)

    return get


def filter_number(name: str) -> Getter:
    def get(scope: Scope) -> str:
        return scope.message.filter_numbers.get(name, "0") if scope.message is not None else "0"

    return get


def recipients_count(scope: Scope) -> str:
    return str(len(scope.message.recipients)) if scope.message is not None else "0"


def return_path(scope: Scope) -> str:
    address = scope.address
    if address is not None and address.errors_address is not None:
        return address.errors_address
    message = scope.message
    return "" if message is None or not scope.is_delivery else message.sender_address


# -- hosts and TLS


def from_host(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        host = scope.host
        if host is None:
            address = scope.address
            if address is None or not address.host_list:
                return unset
            host = address.host_list[0]
        return from_text(getattr(host, field)) or unset

    return get


def log_port(scope: Scope) -> bool:
    return scope.services.log.selected("incoming_port")


def fullhost(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return "" if conn is None else hosts.sender_fullhost(conn, port=log_port(scope))


def rcvhost(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return "" if conn is None else hosts.sender_rcvhost(conn, port=log_port(scope))


def sender_host_name(scope: Scope) -> str:
    """Looked up when it is first asked for."""
    conn = scope.conn or (scope.message.conn if scope.message else None)
    if conn is None or not conn.sender_host_address:
        return "" if conn is None else conn.sender_host_name or ""
    if conn.sender_host_name is None and not conn.host_lookup_failed and not scope.is_delivery:
        table.service("host_name")(conn, scope)
        conn.host_name_untold = False
    return conn.sender_host_name or ""


def from_tls(field: str, unset: str, out: bool | None) -> Getter:
    """A fact of the inbound or outbound TLS session; None: outbound while delivering."""
    def get(scope: Scope) -> str:
        facts: TlsFacts | None = None
        outbound = scope.transport_name != "" if out is None else out
        if outbound:
            facts = scope.facts.get("tls_out") or (scope.address.tls_out if scope.address is not None else None)
        else:
            conn = scope.conn or (scope.message.conn if scope.message else None)
            facts = conn.tls_in if conn is not None else None
        if facts is None:
            return unset
        value = getattr(facts, field)
        if value is None or value is False:
            return unset
        return "1" if value is True else str(value)

    return get


def tls_cert(field: str, out: bool) -> Getter:
    """A certificate: what is in it can only be reached by its variable's name (``certificates``)."""
    return lambda scope: "<cert>" if tls_certificate(scope, field, out=out) else ""


def tls_certificate(scope: Scope, field: str, *, out: bool) -> str:
    """Return a certificate in PEM form: "ourcert" or "peercert" of a TLS session; "" where there is none."""
    return from_tls(field, "", out)(scope)


# -- the machine


def from_space(directory: Callable[[Scope], str], inodes: bool) -> Getter:
    def get(scope: Scope) -> str:
        try:
            st = os.statvfs(directory(scope) or "/")
        except OSError:
            return "-1"
        if inodes:
            return str(st.f_favail if st.f_files else -1)
        return str(st.f_bavail * (st.f_frsize // 512) // 2)

    return get


def log_directory(scope: Scope) -> str:
    path = scope.config.main.log_file_path or ""
    for item in path.split(":"):
        item = item.strip(" ")
        if item.startswith("/"):
            return os.path.dirname(item)
    return spool_directory(scope)


def spool_directory(scope: Scope) -> str:
    return scope.config.main.spool_directory or ""


def load_average(scope: Scope) -> str:
    try:
        return str(int(os.getloadavg()[0] * 1000))
    except OSError:
        return "-1"


def config_dir(scope: Scope) -> str:
    return scope.services.config_dir or os.path.dirname(scope.config.file) or "."


def localhost_number(scope: Scope) -> str:
    value = scope.config.main.localhost_number
    return value if value else "0"


def message_age(scope: Scope) -> str:
    message = scope.message
    if message is None or not message.received_time:
        return "0"
    started = scope.facts.get("delivery_started")
    now = started if started is not None else scope.services.clock.time()
    return str(max(0, int(now - message.received_time)))


def received_time(scope: Scope) -> str:
    return str(int(scope.message.received_time)) if scope.message is not None else "0"


def bounce_limit(scope: Scope) -> str:
    return str(scope.config.main.bounce_return_size_limit)


def qualify_recipient(scope: Scope) -> str:
    main = scope.config.main
    return main.qualify_recipient or qualify_domain(scope)


def qualify_domain(scope: Scope) -> str:
    return scope.config.main.qualify_domain or primary_hostname(scope)


def primary_hostname(scope: Scope) -> str:
    return scope.services.primary_hostname or scope.config.main.primary_hostname or ""


def smtp_active_hostname(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return (conn.smtp_active_hostname if conn is not None else None) or primary_hostname(scope)


def exim_version(scope: Scope) -> str:
    return scope.config.main.exim_version or EXIM_VERSION


def exim_path(scope: Scope) -> str:
    return scope.config.main.exim_path or from_text(scope.facts.get("exim_path")) or "/usr/sbin/exim"


def headers_added(scope: Scope) -> str:
    return "\n".join(h.rstrip("\n") for h in scope.headers_added)


def originator(field: str) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is not None and getattr(message, f"originator_{field}") >= 0:
            return str(getattr(message, f"originator_{field}"))
        return str(getattr(scope.services, f"caller_{field}"))

    return get


def history(scope: Scope) -> str:
    conn = scope.conn
    return ",".join(conn.smtp_command_history) if conn is not None else ""


def sender_data(field: str) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is not None:
            value = getattr(address, field)
            if value is not None:
                return str(value)
        message = scope.message
        return from_text(getattr(message, field, None)) if message is not None else ""

    return get


def spam(name: str) -> Getter:
    def get(scope: Scope) -> str:
        return scope.message.spam.get(name, "") if scope.message is not None else ""

    return get


def dkim(name: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        return scope.message.dkim.get(name, unset) if scope.message is not None else unset

    return get


def authenticated_sender(scope: Scope) -> str:
    message = scope.message
    if message is not None and message.authenticated_sender is not None:
        return message.authenticated_sender
    return from_conn("authenticated_sender")(scope)


def queue_size(scope: Scope) -> str:
    count = scope.facts.get("queue_size")
    return from_text(count() if callable(count) else count)


def received_count(scope: Scope) -> str:
    message = scope.message
    if message is None:
        return "0"
    return str(message.received_count)
