"""The expansion variables: where the value of each comes from.

Spec: chapter "String expansions", section 9.  A value in ``Scope.vars`` stands above the sources named
here.  A variable whose feature was not used expands as in an Exim session without it.  The values of those
that carry what a stranger sent are Tainted, whatever their source says.
"""

from __future__ import annotations

import os
import re
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.taint import taint
from pyexim.expand import headers, times
from pyexim.expand.base import Evaluate
from pyexim.expand.scope import Scope
from pyexim.expand.sources import (
    Getter,
    authenticated_sender,
    bounce_limit,
    config_dir,
    conn_flag,
    dkim,
    exim_path,
    exim_version,
    filter_number,
    from_address,
    from_conn,
    from_constant,
    from_domain,
    from_fact,
    from_host,
    from_kind,
    from_local_part,
    from_message,
    from_parent,
    from_service,
    from_space,
    from_tainted,
    from_tls,
    fullhost,
    headers_added,
    history,
    load_average,
    localhost_number,
    log_directory,
    message_age,
    message_flag,
    originator,
    primary_hostname,
    qualify_domain,
    qualify_recipient,
    queue_size,
    rcvhost,
    received_count,
    received_time,
    recipients,
    recipients_count,
    return_path,
    sender_data,
    sender_host_name,
    sender_part,
    smtp_active_hostname,
    spam,
    spool_directory,
    tls_cert,
    unless_known,
)

_unset: Final = from_constant("")

VARIABLES: Final[dict[str, Getter]] = {
    "acl_narg": from_constant("0"),
    "acl_verify_message": _unset,
    "address_data": from_address("address_data"),
    "address_file": from_kind(frozenset({"file", "directory"})),
    "address_pipe": from_kind(frozenset({"pipe"})),
    "atrn_host": _unset,
    "atrn_mode": _unset,
    "authenticated_fail_id": from_conn("authenticated_fail_id"),
    "authenticated_id": from_conn("authenticated_id"),
    "authenticated_sender": from_tainted(authenticated_sender),
    "authentication_failed": conn_flag("authentication_failed", "0", "1"),
    "av_failed": from_fact("av_failed", "0"),
    "body_linecount": from_message("body_linecount", "0"),
    "body_zerocount": from_message("body_zerocount", "0"),
    "bounce_recipient": from_message("bounce_recipient"),
    "bounce_return_size_limit": bounce_limit,
    "caller_gid": from_service("caller_gid"),
    "caller_uid": from_service("caller_uid"),
    "callout_address": from_fact("callout_address"),
    "compile_number": from_constant("1"),
    "config_dir": config_dir,
    "config_file": lambda scope: scope.config.file,
    "connection_id": from_conn("connection_id"),
    "csa_status": from_fact("csa_status"),
    "dkim_algo": dkim("algo"),
    "dkim_bodylength": dkim("bodylength", "9999999999999"),
    "dkim_canon_body": dkim("canon_body"),
    "dkim_canon_headers": dkim("canon_headers"),
    "dkim_copiedheaders": dkim("copiedheaders"),
    "dkim_created": dkim("created", "0"),
    "dkim_cur_signer": dkim("cur_signer"),
    "dkim_domain": dkim("domain"),
    "dkim_expires": dkim("expires", "9999999999999"),
    "dkim_headernames": dkim("headernames"),
    "dkim_identity": dkim("identity"),
    "dkim_key_granularity": dkim("key_granularity", "*"),
    "dkim_key_length": dkim("key_length", "0"),
    "dkim_key_nosubdomains": dkim("key_nosubdomains", "0"),
    "dkim_key_notes": dkim("key_notes"),
    "dkim_key_srvtype": dkim("key_srvtype", "*"),
    "dkim_key_testing": dkim("key_testing", "0"),
    "dkim_selector": dkim("selector"),
    "dkim_signers": dkim("signers"),
    "dkim_verify_reason": dkim("verify_reason"),
    "dkim_verify_status": dkim("verify_status"),
    "dmarc_alignment_dkim": from_fact("dmarc_alignment_dkim"),
    "dmarc_alignment_spf": from_fact("dmarc_alignment_spf"),
    "dmarc_domain_policy": from_fact("dmarc_domain_policy"),
    "dmarc_status": from_fact("dmarc_status"),
    "dmarc_status_text": from_fact("dmarc_status_text"),
    "dmarc_used_domains": from_fact("dmarc_used_domain"),
    "dnslist_domain": _unset,
    "dnslist_matched": _unset,
    "dnslist_text": _unset,
    "dnslist_value": _unset,
    "domain": unless_known(from_domain),
    "domain_data": from_address("domain_data"),
    "event_data": _unset,
    "event_defer_errno": from_constant("0"),
    "event_name": _unset,
    "exim_gid": from_service("exim_gid"),
    "exim_path": exim_path,
    "exim_uid": from_service("exim_uid"),
    "exim_version": exim_version,
    "headers_added": headers_added,
    "home": from_address("home_dir"),
    "host": from_host("name"),
    "host_address": from_host("address"),
    "host_data": from_message("host_data"),
    "host_lookup_deferred": conn_flag("host_lookup_deferred", "0", "1"),
    "host_lookup_failed": conn_flag("host_lookup_failed", "0", "1"),
    "host_port": from_host("port", "0"),
    "initial_cwd": from_service("initial_cwd"),
    "inode": from_constant("0"),
    "interface_address": from_conn("interface_address"),
    "interface_port": from_conn("interface_port", "-1"),
    "item": _unset,
    "ldap_dn": _unset,
    "load_average": load_average,
    "local_part": unless_known(from_local_part),
    "local_part_data": from_address("local_part_data"),
    "local_part_prefix": from_address("prefix"),
    "local_part_prefix_v": from_tainted(from_address("prefix_v")),
    "local_part_suffix": from_address("suffix"),
    "local_part_suffix_v": from_tainted(from_address("suffix_v")),
    "local_part_verified": from_address("local_part_data"),
    "local_scan_data": from_fact("local_scan_data"),
    "local_user_gid": from_constant("4294967295"),
    "local_user_uid": from_constant("4294967295"),
    "localhost_number": localhost_number,
    "log_inodes": from_space(log_directory, True),
    "log_space": from_space(log_directory, False),
    "lookup_dnssec_authenticated": _unset,
    "mailstore_basename": _unset,
    "malware_name": from_fact("malware_name"),
    "max_received_linelength": from_message("max_received_linelength", "0"),
    "message_age": message_age,
    "message_body": headers.message_body,
    "message_body_end": headers.message_body_end,
    "message_body_size": from_message("body_size", "0"),
    "message_exim_id": from_message("message_id"),
    "message_headers": headers.message_headers,
    "message_headers_raw": headers.message_headers_raw,
    "message_id": from_message("message_id"),
    "message_linecount": from_message("message_linecount", "0"),
    "message_smtputf8": message_flag("smtputf8"),
    "message_size": from_message("message_size", "0"),
    "mime_anomaly_level": from_constant("0"),
    "mime_anomaly_text": _unset,
    "mime_boundary": _unset,
    "mime_charset": _unset,
    "mime_content_description": _unset,
    "mime_content_disposition": _unset,
    "mime_content_id": _unset,
    "mime_content_size": from_constant("0"),
    "mime_content_transfer_encoding": _unset,
    "mime_content_type": _unset,
    "mime_decoded_filename": _unset,
    "mime_filename": _unset,
    "mime_is_coverletter": from_constant("0"),
    "mime_is_multipart": from_constant("0"),
    "mime_is_rfc822": from_constant("0"),
    "mime_part_count": from_constant("-1"),
    "original_domain": from_tainted(from_parent("domain", True)),
    "original_local_part": from_tainted(from_parent("local_part", True)),
    "originator_gid": originator("gid"),
    "originator_uid": originator("uid"),
    "parent_domain": from_tainted(from_parent("domain", False)),
    "parent_local_part": from_tainted(from_parent("local_part", False)),
    "pid": lambda scope: str(os.getpid()),
    "prdr_requested": from_fact("prdr_requested", "no"),
    "primary_hostname": primary_hostname,
    "proxy_external_address": from_conn("proxy_external_address"),
    "proxy_external_port": from_conn("proxy_external_port", "0"),
    "proxy_local_address": from_conn("proxy_local_address"),
    "proxy_local_port": from_conn("proxy_local_port", "0"),
    "proxy_session": conn_flag("proxy_session", "no", "yes"),
    "prvscheck_address": _unset,
    "prvscheck_keynum": _unset,
    "prvscheck_result": _unset,
    "qualify_domain": qualify_domain,
    "qualify_recipient": qualify_recipient,
    "queue_name": from_message("queue_name"),
    "queue_size": queue_size,
    "rcpt_count": from_constant("0"),
    "rcpt_defer_count": from_constant("0"),
    "rcpt_fail_count": from_constant("0"),
    "received_count": received_count,
    "received_for": from_tainted(from_message("received_for")),
    "received_ip_address": from_conn("interface_address"),
    "received_port": from_conn("interface_port", "-1"),
    "received_protocol": from_conn("received_protocol"),
    "received_time": received_time,
    "recipient_data": from_address("recipient_data"),
    "recipient_verify_failure": _unset,
    "recipients": from_tainted(recipients(", ")),
    "recipients_count": recipients_count,
    "recipients_list": from_tainted(recipients(":")),
    "regex_match_string": _unset,
    "reply_address": headers.reply_address,
    "return_path": from_tainted(return_path),
    "return_size_limit": bounce_limit,
    "router_name": lambda scope: scope.router_name,
    "runrc": from_constant("0"),
    "self_hostname": from_address("self_hostname"),
    "sender_address": from_tainted(from_message("sender_address")),
    "sender_address_data": from_message("sender_address_data"),
    "sender_address_domain": from_tainted(sender_part(True)),
    "sender_address_local_part": from_tainted(sender_part(False)),
    "sender_data": sender_data("sender_data"),
    "sender_fullhost": from_tainted(fullhost),
    "sender_helo_dnssec": conn_flag("sender_helo_dnssec", "no", "yes"),
    "sender_helo_name": from_tainted(from_conn("sender_helo_name")),
    "sender_helo_verified": conn_flag("sender_helo_verified", "no", "yes"),
    "sender_host_address": from_conn("sender_host_address"),
    "sender_host_authenticated": from_conn("sender_host_authenticated"),
    "sender_host_dnssec": conn_flag("sender_host_dnssec", "no", "yes"),
    "sender_host_name": from_tainted(sender_host_name),
    "sender_host_port": from_conn("sender_host_port", "0"),
    "sender_ident": from_conn("sender_ident"),
    "sender_rate": _unset,
    "sender_rate_limit": _unset,
    "sender_rate_period": _unset,
    "sender_rcvhost": from_tainted(rcvhost),
    "sender_verify_failure": _unset,
    "sending_ip_address": _unset,
    "sending_port": from_constant("-1"),
    "smtp_active_hostname": smtp_active_hostname,
    "smtp_command": from_tainted(from_conn("smtp_command")),
    "smtp_command_argument": from_tainted(from_conn("smtp_command_argument")),
    "smtp_command_history": history,
    "smtp_count_at_connection_start": from_conn("smtp_count_at_connection_start", "0"),
    "smtp_notquit_reason": from_conn("smtp_notquit_reason"),
    "spam_action": spam("action"),
    "spam_bar": spam("bar"),
    "spam_report": spam("report"),
    "spam_score": spam("score"),
    "spam_score_int": spam("score_int"),
    "spf_guess": from_fact("spf_guess"),
    "spf_header_comment": from_fact("spf_header_comment"),
    "spf_received": from_fact("spf_received"),
    "spf_result": from_fact("spf_result"),
    "spf_result_guessed": from_fact("spf_result_guessed", "no"),
    "spf_smtp_comment": from_fact("spf_smtp_comment"),
    "spool_directory": spool_directory,
    "spool_inodes": from_space(spool_directory, True),
    "spool_space": from_space(spool_directory, False),
    "srs_recipient": from_fact("srs_recipient"),
    "thisaddress": _unset,
    "tls_bits": from_tls("bits", "0", None),
    "tls_certificate_verified": from_tls("certificate_verified", "0", None),
    "tls_cipher": from_tls("cipher", "", None),
    "tls_in_bits": from_tls("bits", "0", False),
    "tls_in_certificate_verified": from_tls("certificate_verified", "0", False),
    "tls_in_cipher": from_tls("cipher", "", False),
    "tls_in_cipher_std": from_tls("cipher_std", "", False),
    "tls_in_ocsp": from_tls("ocsp", "0", False),
    "tls_in_ourcert": tls_cert("ourcert", False),
    "tls_in_peercert": tls_cert("peercert", False),
    "tls_in_peerdn": from_tainted(from_tls("peerdn", "", False)),
    "tls_in_resumption": from_tls("resumption", "0", False),
    "tls_in_sni": from_tainted(from_tls("sni", "", False)),
    "tls_in_ver": from_tls("ver", "", False),
    "tls_out_bits": from_tls("bits", "0", True),
    "tls_out_certificate_verified": from_tls("certificate_verified", "0", True),
    "tls_out_cipher": from_tls("cipher", "", True),
    "tls_out_cipher_std": from_tls("cipher_std", "", True),
    "tls_out_dane": from_constant("no"),
    "tls_out_ocsp": from_tls("ocsp", "0", True),
    "tls_out_ourcert": tls_cert("ourcert", True),
    "tls_out_peercert": tls_cert("peercert", True),
    "tls_out_peerdn": from_tls("peerdn", "", True),
    "tls_out_resumption": from_tls("resumption", "0", True),
    "tls_out_sni": from_tls("sni", "", True),
    "tls_out_tlsa_usage": from_constant("0"),
    "tls_out_ver": from_tls("ver", "", True),
    "tls_peerdn": from_tls("peerdn", "", None),
    "tls_sni": from_tls("sni", "", None),
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
    "version_number": exim_version,
    "warn_message_delay": from_fact("warn_message_delay"),
    "warn_message_recipients": from_fact("warn_message_recipients"),
    "warnmsg_delay": from_fact("warn_message_delay"),
    "warnmsg_recipients": from_fact("warn_message_recipients"),
}
for _i in range(1, 10):
    VARIABLES[f"acl_arg{_i}"] = _unset
    VARIABLES[f"regex{_i}"] = _unset
for _i in range(1, 5):
    VARIABLES[f"auth{_i}"] = _unset
for _i in range(10):
    VARIABLES[f"n{_i}"] = from_constant("0")
    VARIABLES[f"sn{_i}"] = filter_number(f"sn{_i}")

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
