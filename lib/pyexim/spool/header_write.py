"""Write the content of a -H file, byte for byte as Exim writes it.

Spec: chapter "Format of spool files"; the order of the lines, the ``--`` before tainted values, the
time lines and the recipients' DSN fields are as Exim 4.96 writes them.
"""

from __future__ import annotations

from pyexim.base.errors import SpoolError
from pyexim.base.taint import Tainted
from pyexim.model.connection import Connection
from pyexim.model.message import Message, Recipient
from pyexim.spool.tree import format_tree


def format_header_file(message: Message, primary_hostname: str = "") -> bytes:
    """Return the content of the -H file of a message, as Exim writes it.

    SpoolError for an address that cannot be written down because it contains a newline.
    """
    conn = message.conn
    seconds, _, micros = f"{message.received_time:.6f}".partition(".")
    out = [f"{message.message_id}-H\n{message.originator_login} {message.originator_uid} {message.originator_gid}\n"
           f"<{message.sender_address}>\n{seconds} {message.warning_count}\n"
           f"-received_time_usec .{micros}\n"
           f"-received_time_complete {message.received_time_complete or message.received_time:.6f}"]
    _connection_lines(out, conn, primary_hostname)
    if conn.acl_c or message.acl_m:
        _acl_lines(out, "c", conn.acl_c)
        _acl_lines(out, "m", message.acl_m)
    _message_lines(out, message)
    if conn.tls_in.active:
        _tls_lines(out, conn)
    out.append(f"-tls_resumption {chr(65 + conn.tls_in.resumption)}")
    if conn.tls_in.active and conn.tls_in.ver is not None:
        _line(out, "tls_ver", conn.tls_in.ver)
    _dsn_lines(out, message)
    out.extend(message.extra_spool_lines)
    if message.nonrecipients:
        out.extend(format_tree(message.nonrecipients))
    else:
        out.append("XX")
    out.append(f"{len(message.recipients)}")
    for r in message.recipients:
        address = r.address
        if "\n" in address:
            raise SpoolError("an address with a newline cannot be written to the spool", 22)
        if r.errors_to is None and r.parent < 0 and not r.dsn_flags and r.dsn_orcpt is None:
            out.append(address)
        else:
            out.append(_recipient(r))
    if "\n" in message.sender_address:
        raise SpoolError("an address with a newline cannot be written to the spool", 22)
    out.append("")
    out.append("".join([f"{len(h.text):03d}{h.type} {h.text}" for h in message.headers]))
    return "\n".join(out).encode("latin-1")


def _line(out: list[str], name: str, value: str) -> None:
    """Add a line with a text: two hyphens where the text came from outside, never more than one line."""
    if "\n" in value:
        value = type(value)(value.replace("\n", " "))
    out.append(f"--{name} {value}" if isinstance(value, Tainted) else f"-{name} {value}")


def _connection_lines(out: list[str], conn: Connection, primary_hostname: str) -> None:
    if conn.sender_helo_name:
        _line(out, "helo_name", conn.sender_helo_name)
    address = conn.sender_host_address
    if address is not None:
        hyphen = "--" if isinstance(address, Tainted) else "-"
        out.append(f"{hyphen}host_address [{address}]:{conn.sender_host_port}")
        if conn.sender_host_name is not None:
            _line(out, "host_name", conn.sender_host_name)
    if conn.sender_host_authenticated is not None:
        _line(out, "host_auth", conn.sender_host_authenticated)
    if conn.sender_host_auth_pubname is not None:
        _line(out, "host_auth_pubname", conn.sender_host_auth_pubname)
    if conn.interface_address is not None:
        hyphen = "--" if isinstance(conn.interface_address, Tainted) else "-"
        out.append(f"{hyphen}interface_address [{conn.interface_address}]:{conn.interface_port}")
    if conn.smtp_active_hostname and conn.smtp_active_hostname != primary_hostname:
        _line(out, "active_hostname", conn.smtp_active_hostname)
    if conn.sender_ident is not None:
        _line(out, "ident", conn.sender_ident)
    if conn.received_protocol:
        _line(out, "received_protocol", conn.received_protocol)


def _acl_lines(out: list[str], kind: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        hyphen = "--" if isinstance(value, Tainted) else "-"
        out.append(f"{hyphen}acl{kind} {name[1:]} {len(value)}\n{value}")


def _message_lines(out: list[str], message: Message) -> None:
    conn = message.conn
    if message.spool_wireformat:
        out.append("-spool_file_wireformat")
    else:
        out.append(f"-body_linecount {message.body_linecount}")
    out.append(f"-max_received_linelength {message.max_received_linelength}")
    if message.body_zerocount:
        out.append(f"-body_zerocount {message.body_zerocount}")
    if conn.authenticated_id is not None:
        _line(out, "auth_id", conn.authenticated_id)
    sender = message.authenticated_sender if message.authenticated_sender is not None else conn.authenticated_sender
    if sender is not None:
        _line(out, "auth_sender", sender)
    if message.flags:
        if "allow_unqualified_recipient" in message.flags:
            out.append("-allow_unqualified_recipient")
        if "allow_unqualified_sender" in message.flags:
            out.append("-allow_unqualified_sender")
    if message.deliver_firsttime:
        out.append("-deliver_firsttime")
    if message.frozen_since is not None:
        out.append(f"-frozen {int(message.frozen_since)}")
    if message.dont_deliver:
        out.append("-N")
    if conn.host_lookup_deferred:
        out.append("-host_lookup_deferred")
    if conn.host_lookup_failed:
        out.append("-host_lookup_failed")
    if message.sender_local:
        out.append("-local")
    if message.local_error_message:
        out.append("-localerror")
    if message.local_scan_data is not None:
        _line(out, "local_scan", message.local_scan_data)
    if message.spam:
        for name in ("spam_bar", "spam_score", "spam_score_int"):
            if name in message.spam:
                _line(out, name, message.spam[name])
    if message.manual_thaw:
        out.append("-manual_thaw")
    if message.sender_set_untrusted:
        out.append("-sender_set_untrusted")


def _tls_lines(out: list[str], conn: Connection) -> None:
    tls = conn.tls_in
    if tls.certificate_verified:
        out.append("-tls_certificate_verified")
    if tls.cipher is not None:
        _line(out, "tls_cipher", tls.cipher)
    if isinstance(tls.peercert, str):
        out.append("--tls_peercert " + tls.peercert.replace("\n", "\\n"))
    if tls.peerdn is not None:
        out.append(f"--tls_peerdn {tls.peerdn}")
    if tls.sni is not None:
        out.append(f"--tls_sni {tls.sni}")
    if isinstance(tls.ourcert, str):
        out.append("-tls_ourcert " + tls.ourcert.replace("\n", "\\n"))
    if tls.ocsp:
        out.append(f"-tls_ocsp {tls.ocsp}")


def _dsn_lines(out: list[str], message: Message) -> None:
    if message.smtputf8:
        out.append("-smtputf8")
        if message.utf8_downconvert:
            out.append("-utf8_downcvt" if message.utf8_downconvert > 0 else "-utf8_optdowncvt")
    if message.dsn_envid is not None:
        out.append("-dsn_envid " + message.dsn_envid.replace("\n", " "))
    if message.dsn_ret:
        out.append(f"-dsn_ret {message.dsn_ret}")


def _recipient(r: Recipient) -> str:
    """Return the long form of a recipient: ORCPT and flags of the DSN, errors address and one_time parent."""
    orcpt, errors_to = r.dsn_orcpt or "", r.errors_to or ""
    if "\n" in orcpt or "\n" in errors_to:
        raise SpoolError("an address with a newline cannot be written to the spool", 22)
    return f"{r.address} {orcpt} {len(orcpt)},{r.dsn_flags} {errors_to} {len(errors_to)},{r.parent}#3"
