"""The expansion variables: where the value of each comes from.

Spec: chapter "String expansions", section 9.  A value in ``Scope.vars`` stands above the sources named
here.  A variable whose feature was not used expands as in an Exim session without it.  The values of those
that carry what a stranger sent are Tainted, whatever their source says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.taint import Tainted, taint
from pyexim.expand import headers, hosts, table, times
from pyexim.expand.base import Evaluate
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.connection import TlsFacts

Getter = Callable[[Scope], str]
EXIM_VERSION: Final = "4.99"


# -- where values come from


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _constant(text: str) -> Getter:
    return lambda scope: text


def _conn(field: str, unset: str = "") -> Getter:
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


def _conn_flag(field: str, no: str, yes: str) -> Getter:
    def get(scope: Scope) -> str:
        conn = scope.conn or (scope.message.conn if scope.message else None)
        return yes if conn is not None and getattr(conn, field) else no

    return get


def _message(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None:
            return unset
        value = getattr(message, field)
        return unset if value is None else value if isinstance(value, str) else str(value)

    return get


def _address(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None:
            return unset
        return _text(getattr(address, field)) or unset

    return get


def _main(field: str) -> Getter:
    return lambda scope: _text(getattr(scope.config.main, field))


def _service(field: str) -> Getter:
    return lambda scope: _text(getattr(scope.services, field))


def _fact(name: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        value = scope.facts.get(name)
        return unset if value is None else _text(value)

    return get


def _tainted(getter: Getter) -> Getter:
    def get(scope: Scope) -> str:
        value = getter(scope)
        return Tainted(value) if value and value.__class__ is not Tainted else value

    return get


# -- addresses


def _parent(field: str, top: bool) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None:
            return ""
        source: Address | None = address.top() if top else address.parent
        return "" if source is None else _text(getattr(source, field))

    return get


def _local_part(scope: Scope) -> str:
    """Without affixes and without quotes; the parent's for a pipe, file or reply."""
    address = scope.address
    if address is None:
        return ""
    if address.kind != "address" and address.parent is not None:
        address = address.parent
    text = address.local_part
    if '"' in text or "\\" in text:
        return unquote(text)
    return text


def unquote(text: str) -> str:
    """Return a local part without its quotes and backslashes."""
    out = []
    at, n = 0, len(text)
    while at < n:
        c = text[at]
        if c == "\\" and at + 1 < n:
            at += 1
            out.append(text[at])
        elif c != '"':
            out.append(c)
        at += 1
    return "".join(out)


def _domain(scope: Scope) -> str:
    address = scope.address
    if address is None:
        return ""
    if address.kind != "address" and address.parent is not None:
        address = address.parent
    return address.domain


def _kind(kinds: frozenset[str]) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is None or address.kind not in kinds:
            return ""
        return address.local_part or address.address

    return get


def _sender_part(domain: bool) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None:
            return ""
        local, at, host = message.sender_address.rpartition("@")
        if domain:
            return host if at else ""
        return local if at else host

    return get


def _recipients(separator: str) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is None or not scope.facts.get("enable_dollar_recipients"):
            return ""
        if separator == ":":
            return ":".join(r.address.replace(":", "::") for r in message.recipients)
        return separator.join(r.address for r in message.recipients)

    return get


def _recipients_count(scope: Scope) -> str:
    return str(len(scope.message.recipients)) if scope.message is not None else "0"


def _return_path(scope: Scope) -> str:
    address = scope.address
    if address is not None and address.errors_address is not None:
        return address.errors_address
    message = scope.message
    return "" if message is None or not scope.is_delivery else message.sender_address


# -- hosts and TLS


def _host(field: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        host = scope.host
        if host is None:
            address = scope.address
            if address is None or not address.host_list:
                return unset
            host = address.host_list[0]
        return _text(getattr(host, field)) or unset

    return get


def _log_port(scope: Scope) -> bool:
    return scope.services.log.selected("incoming_port")


def _fullhost(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return "" if conn is None else hosts.sender_fullhost(conn, port=_log_port(scope))


def _rcvhost(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return "" if conn is None else hosts.sender_rcvhost(conn, port=_log_port(scope))


def _sender_host_name(scope: Scope) -> str:
    """Looked up when it is first asked for."""
    conn = scope.conn or (scope.message.conn if scope.message else None)
    if conn is None or not conn.sender_host_address:
        return ""
    if conn.sender_host_name is None and not conn.host_lookup_failed and not scope.is_delivery:
        table.service("host_name")(conn, scope)
    return conn.sender_host_name or ""


def _tls(field: str, unset: str, out: bool | None) -> Getter:
    """A fact of the inbound or outbound TLS session; None: outbound while delivering."""
    def get(scope: Scope) -> str:
        facts: TlsFacts | None = None
        outbound = scope.transport_name != "" if out is None else out
        if outbound:
            facts = scope.address.tls_out if scope.address is not None else None
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


def _tls_cert(field: str, out: bool) -> Getter:
    getter = _tls(field, "", out)
    return lambda scope: getter(scope)


# -- the machine


def _space(directory: Callable[[Scope], str], inodes: bool) -> Getter:
    def get(scope: Scope) -> str:
        try:
            st = os.statvfs(directory(scope) or "/")
        except OSError:
            return "-1"
        if inodes:
            return str(st.f_favail if st.f_files else -1)
        return str(st.f_bavail * (st.f_frsize // 512) // 2)

    return get


def _log_directory(scope: Scope) -> str:
    path = scope.config.main.log_file_path or ""
    for item in path.split(":"):
        item = item.strip(" ")
        if item.startswith("/"):
            return os.path.dirname(item)
    return _spool_directory(scope)


def _spool_directory(scope: Scope) -> str:
    return scope.config.main.spool_directory or ""


def _load_average(scope: Scope) -> str:
    try:
        return str(int(os.getloadavg()[0] * 1000))
    except OSError:
        return "-1"


def _config_dir(scope: Scope) -> str:
    return scope.services.config_dir or os.path.dirname(scope.config.file) or "."


def _localhost_number(scope: Scope) -> str:
    value = scope.config.main.localhost_number
    return value if value else "0"


def _message_age(scope: Scope) -> str:
    message = scope.message
    if message is None or not message.received_time:
        return "0"
    started = scope.facts.get("delivery_started")
    now = started if started is not None else scope.services.clock.time()
    return str(max(0, int(now - message.received_time)))


def _received_time(scope: Scope) -> str:
    return str(int(scope.message.received_time)) if scope.message is not None else "0"


def _bounce_limit(scope: Scope) -> str:
    return str(scope.config.main.bounce_return_size_limit)


def _qualify_recipient(scope: Scope) -> str:
    main = scope.config.main
    return main.qualify_recipient or _qualify_domain(scope)


def _qualify_domain(scope: Scope) -> str:
    return scope.config.main.qualify_domain or _primary_hostname(scope)


def _primary_hostname(scope: Scope) -> str:
    return scope.services.primary_hostname or scope.config.main.primary_hostname or ""


def _smtp_active_hostname(scope: Scope) -> str:
    conn = scope.conn or (scope.message.conn if scope.message else None)
    return (conn.smtp_active_hostname if conn is not None else None) or _primary_hostname(scope)


def _exim_version(scope: Scope) -> str:
    return scope.config.main.exim_version or EXIM_VERSION


def _exim_path(scope: Scope) -> str:
    return scope.config.main.exim_path or _text(scope.facts.get("exim_path")) or "/usr/sbin/exim"


def _headers_added(scope: Scope) -> str:
    return "\n".join(h.rstrip("\n") for h in scope.headers_added)


def _originator(field: str) -> Getter:
    def get(scope: Scope) -> str:
        message = scope.message
        if message is not None and getattr(message, f"originator_{field}") >= 0:
            return str(getattr(message, f"originator_{field}"))
        return str(getattr(scope.services, f"caller_{field}"))

    return get


def _history(scope: Scope) -> str:
    conn = scope.conn
    return ",".join(conn.smtp_command_history) if conn is not None else ""


def _sender_data(field: str) -> Getter:
    def get(scope: Scope) -> str:
        address = scope.address
        if address is not None:
            value = getattr(address, field)
            if value is not None:
                return str(value)
        message = scope.message
        return _text(getattr(message, field, None)) if message is not None else ""

    return get


def _spam(name: str) -> Getter:
    def get(scope: Scope) -> str:
        return scope.message.spam.get(name, "") if scope.message is not None else ""

    return get


def _dkim(name: str, unset: str = "") -> Getter:
    def get(scope: Scope) -> str:
        return scope.message.dkim.get(name, unset) if scope.message is not None else unset

    return get


def _authenticated_sender(scope: Scope) -> str:
    message = scope.message
    if message is not None and message.authenticated_sender is not None:
        return message.authenticated_sender
    return _conn("authenticated_sender")(scope)


def _queue_size(scope: Scope) -> str:
    count = scope.facts.get("queue_size")
    return _text(count() if callable(count) else count)


def _received_count(scope: Scope) -> str:
    message = scope.message
    if message is None:
        return "0"
    return str(message.received_count)


_unset: Final = _constant("")

VARIABLES: Final[dict[str, Getter]] = {
    "acl_narg": _constant("0"),
    "acl_verify_message": _unset,
    "address_data": _address("address_data"),
    "address_file": _kind(frozenset({"file", "directory"})),
    "address_pipe": _kind(frozenset({"pipe"})),
    "atrn_host": _unset,
    "atrn_mode": _unset,
    "authenticated_fail_id": _conn("authenticated_fail_id"),
    "authenticated_id": _conn("authenticated_id"),
    "authenticated_sender": _tainted(_authenticated_sender),
    "authentication_failed": _conn_flag("authentication_failed", "0", "1"),
    "av_failed": _fact("av_failed", "0"),
    "body_linecount": _message("body_linecount", "0"),
    "body_zerocount": _message("body_zerocount", "0"),
    "bounce_recipient": _message("bounce_recipient"),
    "bounce_return_size_limit": _bounce_limit,
    "caller_gid": _service("caller_gid"),
    "caller_uid": _service("caller_uid"),
    "callout_address": _fact("callout_address"),
    "compile_number": _constant("1"),
    "config_dir": _config_dir,
    "config_file": lambda scope: scope.config.file,
    "connection_id": _conn("connection_id"),
    "csa_status": _fact("csa_status"),
    "dkim_algo": _dkim("algo"),
    "dkim_bodylength": _dkim("bodylength", "9999999999999"),
    "dkim_canon_body": _dkim("canon_body"),
    "dkim_canon_headers": _dkim("canon_headers"),
    "dkim_copiedheaders": _dkim("copiedheaders"),
    "dkim_created": _dkim("created", "0"),
    "dkim_cur_signer": _dkim("cur_signer"),
    "dkim_domain": _dkim("domain"),
    "dkim_expires": _dkim("expires", "9999999999999"),
    "dkim_headernames": _dkim("headernames"),
    "dkim_identity": _dkim("identity"),
    "dkim_key_granularity": _dkim("key_granularity", "*"),
    "dkim_key_length": _dkim("key_length", "0"),
    "dkim_key_nosubdomains": _dkim("key_nosubdomains", "0"),
    "dkim_key_notes": _dkim("key_notes"),
    "dkim_key_srvtype": _dkim("key_srvtype", "*"),
    "dkim_key_testing": _dkim("key_testing", "0"),
    "dkim_selector": _dkim("selector"),
    "dkim_signers": _dkim("signers"),
    "dkim_verify_reason": _dkim("verify_reason"),
    "dkim_verify_status": _dkim("verify_status"),
    "dmarc_alignment_dkim": _fact("dmarc_alignment_dkim"),
    "dmarc_alignment_spf": _fact("dmarc_alignment_spf"),
    "dmarc_domain_policy": _fact("dmarc_domain_policy"),
    "dmarc_status": _fact("dmarc_status"),
    "dmarc_status_text": _fact("dmarc_status_text"),
    "dmarc_used_domains": _fact("dmarc_used_domain"),
    "dnslist_domain": _unset,
    "dnslist_matched": _unset,
    "dnslist_text": _unset,
    "dnslist_value": _unset,
    "domain": _tainted(_domain),
    "domain_data": _address("domain_data"),
    "event_data": _unset,
    "event_defer_errno": _constant("0"),
    "event_name": _unset,
    "exim_gid": _service("exim_gid"),
    "exim_path": _exim_path,
    "exim_uid": _service("exim_uid"),
    "exim_version": _exim_version,
    "headers_added": _headers_added,
    "home": _address("home_dir"),
    "host": _host("name"),
    "host_address": _host("address"),
    "host_data": _message("host_data"),
    "host_lookup_deferred": _conn_flag("host_lookup_deferred", "0", "1"),
    "host_lookup_failed": _conn_flag("host_lookup_failed", "0", "1"),
    "host_port": _host("port", "0"),
    "initial_cwd": _service("initial_cwd"),
    "inode": _constant("0"),
    "interface_address": _conn("interface_address"),
    "interface_port": _conn("interface_port", "-1"),
    "item": _unset,
    "ldap_dn": _unset,
    "load_average": _load_average,
    "local_part": _tainted(_local_part),
    "local_part_data": _address("local_part_data"),
    "local_part_prefix": _address("prefix"),
    "local_part_prefix_v": _tainted(_address("prefix_v")),
    "local_part_suffix": _address("suffix"),
    "local_part_suffix_v": _tainted(_address("suffix_v")),
    "local_part_verified": _address("local_part_data"),
    "local_scan_data": _fact("local_scan_data"),
    "local_user_gid": _constant("4294967295"),
    "local_user_uid": _constant("4294967295"),
    "localhost_number": _localhost_number,
    "log_inodes": _space(_log_directory, True),
    "log_space": _space(_log_directory, False),
    "lookup_dnssec_authenticated": _unset,
    "mailstore_basename": _unset,
    "malware_name": _fact("malware_name"),
    "max_received_linelength": _message("max_received_linelength", "0"),
    "message_age": _message_age,
    "message_body": headers.message_body,
    "message_body_end": headers.message_body_end,
    "message_body_size": _message("body_size", "0"),
    "message_exim_id": _message("message_id"),
    "message_headers": headers.message_headers,
    "message_headers_raw": headers.message_headers_raw,
    "message_id": _message("message_id"),
    "message_linecount": _message("message_linecount", "0"),
    "message_size": _message("message_size", "0"),
    "mime_anomaly_level": _constant("0"),
    "mime_anomaly_text": _unset,
    "mime_boundary": _unset,
    "mime_charset": _unset,
    "mime_content_description": _unset,
    "mime_content_disposition": _unset,
    "mime_content_id": _unset,
    "mime_content_size": _constant("0"),
    "mime_content_transfer_encoding": _unset,
    "mime_content_type": _unset,
    "mime_decoded_filename": _unset,
    "mime_filename": _unset,
    "mime_is_coverletter": _constant("0"),
    "mime_is_multipart": _constant("0"),
    "mime_is_rfc822": _constant("0"),
    "mime_part_count": _constant("-1"),
    "original_domain": _tainted(_parent("domain", True)),
    "original_local_part": _tainted(_parent("local_part", True)),
    "originator_gid": _originator("gid"),
    "originator_uid": _originator("uid"),
    "parent_domain": _tainted(_parent("domain", False)),
    "parent_local_part": _tainted(_parent("local_part", False)),
    "pid": lambda scope: str(os.getpid()),
    "prdr_requested": _fact("prdr_requested", "no"),
    "primary_hostname": _primary_hostname,
    "proxy_external_address": _conn("proxy_external_address"),
    "proxy_external_port": _conn("proxy_external_port", "0"),
    "proxy_local_address": _conn("proxy_local_address"),
    "proxy_local_port": _conn("proxy_local_port", "0"),
    "proxy_session": _conn_flag("proxy_session", "no", "yes"),
    "prvscheck_address": _unset,
    "prvscheck_keynum": _unset,
    "prvscheck_result": _unset,
    "qualify_domain": _qualify_domain,
    "qualify_recipient": _qualify_recipient,
    "queue_name": _message("queue_name"),
    "queue_size": _queue_size,
    "rcpt_count": _constant("0"),
    "rcpt_defer_count": _constant("0"),
    "rcpt_fail_count": _constant("0"),
    "received_count": _received_count,
    "received_for": _tainted(_message("received_for")),
    "received_ip_address": _conn("interface_address"),
    "received_port": _conn("interface_port", "-1"),
    "received_protocol": _conn("received_protocol"),
    "received_time": _received_time,
    "recipient_data": _address("recipient_data"),
    "recipient_verify_failure": _unset,
    "recipients": _tainted(_recipients(", ")),
    "recipients_count": _recipients_count,
    "recipients_list": _tainted(_recipients(":")),
    "regex_match_string": _unset,
    "reply_address": headers.reply_address,
    "return_path": _tainted(_return_path),
    "return_size_limit": _bounce_limit,
    "router_name": lambda scope: scope.router_name,
    "runrc": _constant("0"),
    "self_hostname": _address("self_hostname"),
    "sender_address": _tainted(_message("sender_address")),
    "sender_address_data": _message("sender_address_data"),
    "sender_address_domain": _tainted(_sender_part(True)),
    "sender_address_local_part": _tainted(_sender_part(False)),
    "sender_data": _sender_data("sender_data"),
    "sender_fullhost": _tainted(_fullhost),
    "sender_helo_dnssec": _conn_flag("sender_helo_dnssec", "no", "yes"),
    "sender_helo_name": _tainted(_conn("sender_helo_name")),
    "sender_helo_verified": _conn_flag("sender_helo_verified", "no", "yes"),
    "sender_host_address": _conn("sender_host_address"),
    "sender_host_authenticated": _conn("sender_host_authenticated"),
    "sender_host_dnssec": _conn_flag("sender_host_dnssec", "no", "yes"),
    "sender_host_name": _tainted(_sender_host_name),
    "sender_host_port": _conn("sender_host_port", "0"),
    "sender_ident": _conn("sender_ident"),
    "sender_rate": _unset,
    "sender_rate_limit": _unset,
    "sender_rate_period": _unset,
    "sender_rcvhost": _tainted(_rcvhost),
    "sender_verify_failure": _unset,
    "sending_ip_address": _unset,
    "sending_port": _constant("-1"),
    "smtp_active_hostname": _smtp_active_hostname,
    "smtp_command": _tainted(_conn("smtp_command")),
    "smtp_command_argument": _tainted(_conn("smtp_command_argument")),
    "smtp_command_history": _history,
    "smtp_count_at_connection_start": _conn("smtp_count_at_connection_start", "0"),
    "smtp_notquit_reason": _conn("smtp_notquit_reason"),
    "spam_action": _spam("action"),
    "spam_bar": _spam("bar"),
    "spam_report": _spam("report"),
    "spam_score": _spam("score"),
    "spam_score_int": _spam("score_int"),
    "spf_guess": _fact("spf_guess"),
    "spf_header_comment": _fact("spf_header_comment"),
    "spf_received": _fact("spf_received"),
    "spf_result": _fact("spf_result"),
    "spf_result_guessed": _fact("spf_result_guessed", "no"),
    "spf_smtp_comment": _fact("spf_smtp_comment"),
    "spool_directory": _spool_directory,
    "spool_inodes": _space(_spool_directory, True),
    "spool_space": _space(_spool_directory, False),
    "srs_recipient": _fact("srs_recipient"),
    "thisaddress": _unset,
    "tls_bits": _tls("bits", "0", None),
    "tls_certificate_verified": _tls("certificate_verified", "0", None),
    "tls_cipher": _tls("cipher", "", None),
    "tls_in_bits": _tls("bits", "0", False),
    "tls_in_certificate_verified": _tls("certificate_verified", "0", False),
    "tls_in_cipher": _tls("cipher", "", False),
    "tls_in_cipher_std": _tls("cipher_std", "", False),
    "tls_in_ocsp": _tls("ocsp", "0", False),
    "tls_in_ourcert": _tls_cert("ourcert", False),
    "tls_in_peercert": _tls_cert("peercert", False),
    "tls_in_peerdn": _tainted(_tls("peerdn", "", False)),
    "tls_in_resumption": _tls("resumption", "0", False),
    "tls_in_sni": _tainted(_tls("sni", "", False)),
    "tls_in_ver": _tls("ver", "", False),
    "tls_out_bits": _tls("bits", "0", True),
    "tls_out_certificate_verified": _tls("certificate_verified", "0", True),
    "tls_out_cipher": _tls("cipher", "", True),
    "tls_out_cipher_std": _tls("cipher_std", "", True),
    "tls_out_dane": _constant("no"),
    "tls_out_ocsp": _tls("ocsp", "0", True),
    "tls_out_ourcert": _tls_cert("ourcert", True),
    "tls_out_peercert": _tls_cert("peercert", True),
    "tls_out_peerdn": _tls("peerdn", "", True),
    "tls_out_resumption": _tls("resumption", "0", True),
    "tls_out_sni": _tls("sni", "", True),
    "tls_out_tlsa_usage": _constant("0"),
    "tls_out_ver": _tls("ver", "", True),
    "tls_peerdn": _tls("peerdn", "", None),
    "tls_sni": _tls("sni", "", None),
    "tod_bsdinbox": times.tod_bsdinbox,
    "tod_epoch": times.tod_epoch,
    "tod_epoch_l": times.tod_epoch_l,
    "tod_full": times.tod_full,
    "tod_log": times.tod_log,
    "tod_logfile": times.tod_logfile,
    "tod_zone": times.tod_zone,
    "tod_zulu": times.tod_zulu,
    "transport_name": lambda scope: scope.transport_name,
    "value": _unset,
    "verify_mode": lambda scope: scope.verify_mode,
    "version_number": _exim_version,
    "warn_message_delay": _fact("warn_message_delay"),
    "warn_message_recipients": _fact("warn_message_recipients"),
    "warnmsg_delay": _fact("warn_message_delay"),
    "warnmsg_recipients": _fact("warn_message_recipients"),
}
for _i in range(1, 10):
    VARIABLES[f"acl_arg{_i}"] = _unset
    VARIABLES[f"regex{_i}"] = _unset
for _i in range(1, 5):
    VARIABLES[f"auth{_i}"] = _unset
for _i in range(10):
    VARIABLES[f"n{_i}"] = _constant("0")
    VARIABLES[f"sn{_i}"] = _constant("0")

_TAINTED_OVERRIDES: Final = frozenset({
    "domain", "local_part", "original_domain", "original_local_part", "parent_domain", "parent_local_part",
    "sender_address", "return_path", "smtp_command", "smtp_command_argument", "thisaddress"})
"""Variables whose value stays Tainted when it was put into Scope.vars by name."""


def find(name: str) -> tuple[Evaluate | None, str]:
    """Return (what yields the variable's value, "") or (None, a note for the error text)."""
    source = VARIABLES.get(name)
    if source is not None:
        return _getter(name, source), ""
    if name.startswith("acl_"):
        return _find_acl(name)
    if name.startswith("r_"):
        return _router_variable(name), ""
    return None, ""


def _getter(name: str, source: Getter) -> Evaluate:
    if name in _TAINTED_OVERRIDES:
        def get_tainted(scope: Scope) -> str:
            values = scope.vars
            if name in values:
                return taint(values[name])
            return source(scope)

        return get_tainted

    def get(scope: Scope) -> str:
        values = scope.vars
        if name in values:
            return values[name]
        return source(scope)

    return get


_ACL_NAME: Final = re.compile(r"acl_([cm](?:[0-9_][A-Za-z0-9_]*)?)")


def _find_acl(name: str) -> tuple[Evaluate | None, str]:
    found = _ACL_NAME.fullmatch(name)
    if found is None:
        if name[4:5] not in ("c", "m"):
            return None, " (user-defined ACL variables must start acl_c or acl_m)"
        return None, " (6th character of a user-defined ACL variable must be a digit or underscore)"
    key = found[1]
    if key[0] == "c":
        def get_c(scope: Scope) -> str:
            conn = scope.conn
            if conn is None:
                conn = scope.message.conn if scope.message is not None else None
            value = conn.acl_c.get(key) if conn is not None else None
            return value if value is not None else _unset_acl(scope, name)

        return get_c, ""

    def get_m(scope: Scope) -> str:
        message = scope.message
        value = message.acl_m.get(key) if message is not None else None
        return value if value is not None else _unset_acl(scope, name)

    return get_m, ""


def _unset_acl(scope: Scope, name: str) -> str:
    if scope.config.main.strict_acl_vars:
        raise ExpansionError(f'unknown variable name "{name}" (strict_acl_vars is set)')
    return ""


def _router_variable(name: str) -> Evaluate:
    short = name[2:]

    def get(scope: Scope) -> str:
        if name in scope.vars:
            return scope.vars[name]
        address = scope.address
        if address is None or not address.vars:
            return ""
        found = address.vars.get(name)
        return found if found is not None else address.vars.get(short, "")

    return get
