"""MAIL, RCPT, DATA and BDAT: what each one checks, says and sets.

Spec: chapters "SMTP processing" and "Access control lists"; options recipients_max, message_size_limit,
check_spool_space, percent_hack_domains, smtp_accept_max_per_connection, dsn_advertise_hosts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.octets import lower
from pyexim.base.taint import taint
from pyexim.expand import regex
from pyexim.mailfmt.address import ParsedAddress, parse_address
from pyexim.model.message import Recipient
from pyexim.receive.collect import FROM_LINE
from pyexim.receive.message import Incoming
from pyexim.receive.rejection import write_rejection
from pyexim.receive.texts import fold_reply
from pyexim.rewrite import api as rewrite
from pyexim.routers.percent import percent_hack
from pyexim.smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_size, split_parameters
from pyexim.smtp.server import Command

if TYPE_CHECKING:
    from pyexim.receive.session import Session

DSN_NEVER, DSN_SUCCESS, DSN_FAILURE, DSN_DELAY = 2, 4, 8, 16
"""Flags of Recipient.dsn_flags; what the spool writes.  RFC 3461."""
RET_FULL, RET_HDRS = 1, 2
_NOTIFY: Final = {"SUCCESS": DSN_SUCCESS, "FAILURE": DSN_FAILURE, "DELAY": DSN_DELAY}



# -- MAIL

def mail(session: Session, command: Command) -> None:
    """MAIL FROM: parameters, address, limits, ACL."""
    core, main, conn = session.core, session.main, session.conn
    session.mails += 1
    if (not conn.sender_helo_name or core.state == "start") and session.matches(main.hosts_require_helo,
                                                                                "hosts_require_helo"):
        core.reply(503, "HELO or EHLO required")
        session.log.reject(f"rejected MAIL from {session.who_untagged()}: no HELO/EHLO given")
        return
    if not conn.esmtp:
        session.pipe_connect_over()
    argument = command.argument
    if not argument:
        session.syntax_error("protocol", 501, "MAIL must have an address operand")
        return
    limit = session.value_of(main.smtp_accept_max_per_connection, "smtp_accept_max_per_connection", 1000)
    if 0 < limit < session.mails:
        core.reply(421, "too many messages in this connection")
        session.log.reject(f"rejected MAIL command {session.who()}: too many messages in one connection")
        return
    message = session.begin_message()
    conn.authenticated_sender = None
    path, parameters = split_parameters(argument, MAIL_PARAMETERS if conn.esmtp else frozenset())
    message.message_size = -1  # what $message_size says of one that is not announced
    wrong = _mail_parameters(session, command, parameters)
    if wrong is not None:
        if wrong:
            session.syntax_error("syntax", 501, wrong)
        return
    protocol = (conn.received_protocol or "").removeprefix("utf8")
    conn.received_protocol = f"utf8{protocol}" if message.smtputf8 else protocol
    parsed = _address(session, path, "MAIL")
    if parsed.error is not None:
        session.syntax_error("syntax", 501, f"{path}: {parsed.error}", parsed.error)
        return
    given = address = parsed.address
    if address and not parsed.domain_at:
        if not session.takes_unqualified("sender"):
            session.log.reject(f"unqualified sender rejected: <{path.strip('<>')}> {session.who()}",
                               also_main=session.log.selected("smtp_syntax_error"))
            core.reply(501, f"{path}: sender address must contain a domain")
            return
        address = taint(f"{address}@{main.qualify_domain}")
    if not _size_allowed(session, max(message.message_size, 0), given):
        return
    message.sender_address = taint(address)
    session.envelope.raw_sender = given if parsed.domain_at or not given else address
    if main.smtp_ratelimit_mail:
        session.slow_down("smtp_ratelimit_mail", session.mails)
    prdr = session.scope.vars.get("prdr_requested") is not None
    accepted = "OK, PRDR Requested" if prdr else "OK"
    if main.acl_smtp_mail is not None and not _mail_acl(session, address, accepted):
        return
    if main.acl_smtp_mail is None:
        core.reply(250, accepted)


def _mail_acl(session: Session, address: str, accepted: str) -> bool:
    """Run the MAIL ACL; answers."""
    result = acl.run_acl("mail", session.main.acl_smtp_mail, session.scope)
    message = session.scope.message
    assert message is not None
    if result.status in (acl.OK, acl.DISCARD):
        session.mail_discarded = result.status == acl.DISCARD
        session.reply_acl(result, 250, accepted)
        return True
    session.refuse(result, f"MAIL <{address}>")
    message.sender_address = ""
    return False


def _mail_parameters(session: Session, command: Command, parameters: list[tuple[str, str]]) -> str | None:
    """Take the parameters of MAIL; the text of the error ("" where the command has been answered), or None."""
    message = session.scope.message
    assert message is not None
    for name, value in parameters:
        if name == "SIZE":
            message.message_size = parse_size(value) or 0  # a number that is none is ignored, as in Exim
        elif name == "BODY":
            if not value:
                continue
            body = value.upper()
            if body not in ("7BIT", "8BITMIME") or not session.main.accept_8bitmime:
                return "invalid data for BODY"
            message.body_8bit = 8 if body == "8BITMIME" else 7
        elif name == "AUTH":
            wrong = session.auth.sender_parameter(session, command, value)
            if wrong is not None:
                return wrong
        elif name == "SMTPUTF8":
            if not session.offered_smtputf8:
                return "SMTPUTF8 used when not advertised"
            message.smtputf8 = True
        elif name == "PRDR":
            if session.offered_prdr and session.main.acl_smtp_data_prdr is not None:
                session.scope.vars["prdr_requested"] = "yes"
        elif name == "RET":
            if not session.offered_dsn:
                continue
            if not value:
                continue
            ret = {"FULL": RET_FULL, "HDRS": RET_HDRS}.get(value.upper())
            if ret is None:
                return "Value for RET is invalid"
            if message.dsn_ret:
                return "RET can be specified once only"
            message.dsn_ret = ret
        elif name == "ENVID":
            if not session.offered_dsn:
                continue
            if message.dsn_envid is not None:
                return "ENVID can be specified once only"
            message.dsn_envid = taint(value) if value else None
    return None


def _address(session: Session, path: str, verb: str) -> ParsedAddress:
    """Parse the path of MAIL or RCPT, after the rewriting that comes before any check (flag S)."""
    main = session.main
    if session.config.rewrite and rewrite.has_rules(session.config, "S"):
        path = rewrite.rewrite_smtp(path, session.scope)
    return parse_address(
        path, allow_empty=verb == "MAIL", allow_domain_literals=main.allow_domain_literals,
        strip_trailing_dot=main.strip_trailing_dot, strip_excess_angle_brackets=main.strip_excess_angle_brackets,
        allow_utf8_domains=main.allow_utf8_domains or (
            session.scope.message is not None and session.scope.message.smtputf8))


def _size_allowed(session: Session, size: int, address: str) -> bool:
    """Check the announced size and the space on the spool's disk; answers when refused."""
    main, core = session.main, session.core
    limit = session.size_limit = session.message_size_limit()
    if size > 0 and limit > 0 and size > limit:
        core.reply(552, "Message size exceeds maximum permitted")
        shown = f"size={size}" if size < 0x7fffffff else f"size>={0x7fffffff}"
        session.log.reject(f"rejected MAIL FROM:<{address}> {session.who()}: message too big: {shown} max={limit}",
                           also_main=session.log.selected("size_reject"))
        return False
    checks = (main.check_spool_space > 0 or main.check_spool_inodes > 0 or main.check_log_space > 0
              or main.check_log_inodes > 0 or (size > 0 and main.smtp_check_spool_space))
    if checks and not enough_space(session, size if main.smtp_check_spool_space else 0):
        core.reply(452, "space shortage, please try later")
        return False
    return True


def enough_space(session: Session, size: int) -> bool:
    """Tell whether spool and logs have the space that is to be kept free, and that for a message; logs if not."""
    main = session.main
    if main.check_spool_space > 0 or main.check_spool_inodes > 0 or size > 0:
        wanted_kib = (main.check_spool_space + size + 1023) // 1024
        if not _free(session, "spool", session.run.spool.directory, wanted_kib, main.check_spool_inodes):
            return False
    if main.check_log_space > 0 or main.check_log_inodes > 0:
        settings = getattr(session.log, "settings", None)
        if settings is not None and settings.file_path:
            directory = settings.file_path.rpartition("/")[0] or "/"
            return _free(session, "log", directory, main.check_log_space // 1024, main.check_log_inodes)
    return True


def _free(session: Session, what: str, directory: str, space_kib: int, inodes: int) -> bool:
    """Tell whether a directory's file system has so much room; a file system without inodes has enough of them."""
    try:
        st = os.statvfs(directory)
    except OSError:
        return True
    free_kib = st.f_bavail * st.f_frsize // 1024
    if (space_kib > 0 and free_kib < space_kib) or (inodes > 0 and st.f_files > 0 and st.f_favail < inodes):
        session.log.main(f"{what} directory space check failed: space={free_kib} inodes={st.f_favail}")
        return False
    return True


# -- RCPT

def rcpt(session: Session, command: Command) -> None:
    """RCPT TO: parameters, address, limits, ACL."""
    core, main = session.core, session.main
    message = session.scope.message
    assert message is not None
    session.rcpt_count += 1
    session.scope.vars["rcpt_count"] = str(session.rcpt_count)
    argument = command.argument
    if not argument:
        session.syntax_error("syntax", 501, "RCPT must have an address operand")
        session.count_rcpt("fail")
        return
    flags, orcpt, path = 0, None, argument
    if session.offered_dsn and argument[-1] != ">":
        path, parameters = split_parameters(argument, RCPT_PARAMETERS)
        for name, value in parameters:
            if name == "NOTIFY":
                if flags:
                    session.syntax_error("syntax", 501, "NOTIFY can be specified once only")
                    return
                flags = notify_flags(value)
                if flags < 0:
                    session.syntax_error("syntax", 501, "Invalid value for NOTIFY parameter")
                    return
            else:
                if orcpt is not None:
                    session.syntax_error("syntax", 501, "ORCPT can be specified once only")
                    return
                orcpt = taint(value)
    parsed = _address(session, path, "RCPT")
    if parsed.error is not None:
        session.syntax_error("syntax", 501, f"{path}: {parsed.error}", parsed.error)
        session.count_rcpt("fail")
        return
    address = parsed.address
    if not parsed.domain_at:
        address = _qualified_recipient(session, address, path)
        if not address:
            return
    limit = session.value_of(main.recipients_max, "recipients_max", 50000)
    if 0 < limit < session.rcpt_count:
        _too_many_recipients(session)
        return
    if main.smtp_ratelimit_rcpt:
        session.slow_down("smtp_ratelimit_rcpt", session.rcpt_count)
    discard = session.mail_discarded
    if not discard:
        tested = percent_hack(address, session.scope) if main.percent_hack_domains else address
        result = acl.run_acl("rcpt", main.acl_smtp_rcpt, session.scope, recipient=tested)
        if result.status not in (acl.OK, acl.DISCARD):
            session.count_rcpt("defer" if result.status == acl.DEFER else "fail")
            session.refuse(result, f"RCPT {path}")
            return
        # Without NOTIFY there is nothing to be told about, and ORCPT goes, as in Exim.
        recipient = Recipient(taint(address), dsn_orcpt=orcpt if flags else None, dsn_flags=flags)
        if result.status == acl.OK and (session.controls.cutthrough or session.cutthrough is not None):
            from pyexim.receive.cutthrough import add_recipient  # rarely asked for

            refusal = add_recipient(session, recipient)
            if refusal is not None:
                session.count_rcpt("defer" if refusal.status == acl.DEFER else "fail")
                session.refuse(refusal, f"RCPT {path}")
                return
        session.reply_acl(result, 250, "Accepted")
        if result.status == acl.DISCARD:
            session.envelope.discarded_by = session.envelope.discarded_by or "RCPT"
            _log_discarded(session, path, "RCPT", result)
            return
    else:
        core.reply(250, "Accepted")
        session.envelope.discarded_by = "MAIL"
        _log_discarded(session, path, "MAIL", None)
        return
    message.recipients.append(recipient)
    session.envelope.raw_recipients.append(address)


def _log_discarded(session: Session, path: str, where: str, result: acl.AclResult | None) -> None:
    message = session.scope.message
    assert message is not None
    text = f"{session.who()} F=<{message.sender_address}> RCPT {path}: discarded by {where} ACL"
    if result is not None and result.log_text:
        text += f": {result.log_text}"
    write_rejection(session.log, text, result or acl.AclResult(acl.DISCARD))


def notify_flags(value: str) -> int:
    """Return the flags of a NOTIFY parameter, -1 for a value that is wrong."""
    if value.upper() == "NEVER":
        return DSN_NEVER
    flags = 0
    for word in value.removesuffix(",").split(",") if value else ():
        flag = _NOTIFY.get(word.upper())
        if flag is None:
            return -1
        flags |= flag
    return flags


def _qualified_recipient(session: Session, address: str, path: str) -> str:
    """Return an address without domain with one, or "" after a refusal; postmaster is always taken."""
    main = session.main
    message = session.scope.message
    assert message is not None
    if lower(address) == "postmaster" or session.takes_unqualified("recipient"):
        return taint(f"{address}@{main.qualify_recipient}")
    session.log.reject(f"unqualified recipient rejected: {path} {session.who()}",
                       also_main=session.log.selected("smtp_syntax_error"))
    session.count_rcpt("fail")
    text = f"{path}: recipient address must contain a domain"
    session.core.reply(501, text, rejected_text=f"501 {text}")
    return ""


def _too_many_recipients(session: Session) -> None:
    message, main, core = session.scope.message, session.main, session.core
    assert message is not None
    session.count_rcpt("fail")
    if main.recipients_max_reject:
        if not session.too_many_recipients:
            session.log.reject("too many recipients: message rejected: "
                               f"sender=<{message.sender_address}> {session.who()}")
        core.reply(552, "too many recipients")
    else:
        if not session.too_many_recipients:
            session.log.reject("too many recipients: excess temporarily rejected: "
                               f"sender=<{message.sender_address}> {session.who()}")
        core.reply(452, "too many recipients")
    session.too_many_recipients = True


# -- DATA, BDAT

def data(session: Session, command: Command) -> None:
    """DATA: the predata ACL, then the message."""
    session.pipe_connect_over()
    if session.too_many_recipients and session.main.recipients_max_reject:
        session.core.reply(554, "Too many recipients")
        session.core.reset()
        session.new_message()
        return
    start = _predata(session, "DATA")
    if start is None:
        return
    code, text = start
    if _open(session, chunked=False):
        session.core.reply(code, text or 'Enter message, ending with "." on a line by itself')


def bdat(session: Session, command: Command) -> None:
    """BDAT: the message begins with the first chunk, without predata ACL; a chunk is read without a word before it."""
    session.pipe_connect_over()
    core = session.core
    if session.incoming is None:
        if session.too_many_recipients and session.main.recipients_max_reject:
            core.refuse_chunk(554, "Too many recipients")
            return
        if not _open(session, chunked=True):
            return
    core.start_chunk(command)


def _predata(session: Session, verb: str) -> tuple[int, str] | None:
    """Run the predata ACL; (code, text) of the go-ahead, or None after a refusal."""
    if session.main.acl_smtp_predata is None:
        return 354, ""
    result = acl.run_acl("predata", session.main.acl_smtp_predata, session.scope)
    if result.status == acl.OK:
        return result.code or 354, fold_reply(result.user_text)
    session.refuse(result, verb)
    return None


def _open(session: Session, *, chunked: bool) -> bool:
    """Begin to take the message; answers when that is impossible."""
    incoming = Incoming(session.run, session.scope, session.origin(), session.envelope, size_limit=session.size_limit
                        or session.message_size_limit())
    incoming.chunked = chunked
    incoming.settle_sender()
    if session.offered_pipelining:
        used = session.core.pipelined and session.conn.kind == "tcp"
        incoming.pipelining = ("." if session.offered_pipe_connect else "") + ("" if used else "-")
    main, flags = session.main, incoming.message.flags
    if main.sender_unqualified_hosts and session.takes_unqualified("sender"):
        flags.add("allow_unqualified_sender")
    if main.recipient_unqualified_hosts and session.takes_unqualified("recipient"):
        flags.add("allow_unqualified_recipient")
    try:
        incoming.open(lf_is_space=not chunked, chunked=chunked, strip_from=_from_line(session))
    except OSError as e:
        message = session.scope.message
        ident = message.message_id if message is not None else ""
        session.log.panic(f"Failed to create spool file for {ident}: {e.strerror}")
        if chunked:
            session.core.refuse_chunk(452, "Error while writing spool file")
        else:
            session.core.reply(452, "Error while writing spool file")
            session.core.reset()
        incoming.abort()
        return False
    session.incoming = incoming
    if session.cutthrough is not None and session.cutthrough.active:
        incoming.cutthrough = session.cutthrough
    return True


def _from_line(session: Session) -> FROM_LINE | None:
    """Return the test for a "From " line to be taken off, where this client may send one; its sender is not used."""
    main = session.main
    if session.local:
        if not main.ignore_fromline_local:
            return None
    elif not main.ignore_fromline_hosts or not session.matches(main.ignore_fromline_hosts, "ignore_fromline_hosts"):
        return None
    pattern = main.uucp_from_pattern
    if not pattern:
        return None
    compiled = regex.compile(pattern)
    return lambda line: compiled.search(line) is not None
