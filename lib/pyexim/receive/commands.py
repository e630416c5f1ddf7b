"""The commands of an SMTP session: what each one checks, says and sets.

A handler gets the session and a command that is in order (``smtp.server`` sees to that) and answers it.
Spec: chapters "SMTP processing" and "Access control lists", and the options named at each place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.taint import taint
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import ParsedAddress, parse_address
from pyexim.match.lists import match_domain
from pyexim.model.message import Recipient
from pyexim.receive import helo, queries
from pyexim.receive.message import PROHIBITED, TEMPORARY, Incoming, write_rejection
from pyexim.receive.texts import fold_reply
from pyexim.rewrite import api as rewrite
from pyexim.smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_size, split_parameters
from pyexim.smtp.server import Command

if TYPE_CHECKING:
    from pyexim.receive.session import Session

DSN_NEVER, DSN_SUCCESS, DSN_FAILURE, DSN_DELAY = 2, 4, 8, 16
"""Flags of Recipient.dsn_flags; what the spool writes.  RFC 3461."""
RET_FULL, RET_HDRS = 1, 2
_NOTIFY: Final = {"SUCCESS": DSN_SUCCESS, "FAILURE": DSN_FAILURE, "DELAY": DSN_DELAY}


# -- HELO, EHLO

def hello(session: Session, command: Command) -> None:
    """HELO and EHLO: check the argument, run the ACL, tell what is offered."""
    conn, core, main = session.conn, session.core, session.main
    argument = command.argument
    name = helo.acceptable(argument, session)
    if name is None:
        shown = argument or "(no argument given)"
        session.log.reject(f"rejected {command.verb} from {session.who_untagged()}: syntactically invalid argument(s): "
                           f"{shown}")
        core.count_error(command.line)
        core.reply(501, f"Syntactically invalid {command.verb} argument(s)")
        return
    conn.sender_helo_name = taint(name)
    conn.sender_helo_verified = None
    conn.helo_verify_failed = False
    if not session.local:
        if main.helo_lookup_domains and match_domain(lower(name), main.helo_lookup_domains, session.scope):
            session.look_up_host()
        if not helo.verified(session, command.verb):
            session.core.reply(550, f"{command.verb} argument does not match calling host")
            session.log.reject(f'rejected "{command.verb} {name}" from {session.who_untagged()}')
            return
    conn.esmtp = command.verb == "EHLO"
    prefix = "local-" if session.local else ""
    conn.received_protocol = f"{prefix}{'e' if conn.esmtp else ''}smtp"
    greeting = f"{session.active_hostname} Hello {conn.sender_ident + ' at ' if conn.sender_ident else ''}{name}"
    if not session.local:
        greeting += f" [{conn.sender_host_address}]"
    code = 250
    if main.acl_smtp_helo is not None:
        result = acl.run_acl("helo", main.acl_smtp_helo, session.scope)
        if result.status != acl.OK:
            conn.esmtp = False
            session.refuse(result, f"EHLO or HELO {name}")
            conn.sender_helo_name = None
            return
        if result.user_text:
            greeting, code = result.user_text, result.code or 250
    if conn.esmtp:
        greeting += "\n" + "\n".join(_offers(session))
    else:
        core.pipelining = core.chunking = False
        session.offered_pipelining = False
    session.drop_incoming()
    session.new_message()
    core.reply(code, greeting)


def _offers(session: Session) -> list[str]:
    """Return the lines of the reply to EHLO, and note what was offered."""
    main, core, conn = session.main, session.core, session.conn
    out = []
    session.size_limit = session.message_size_limit()
    out.append(f"SIZE {session.size_limit}" if session.size_limit else "SIZE")
    if main.limits_advertise_hosts and session.matches(main.limits_advertise_hosts, "limits_advertise_hosts"):
        mails = session.value_of(main.smtp_accept_max_per_connection, "smtp_accept_max_per_connection", 1000)
        rcpts = session.value_of(main.recipients_max, "recipients_max", 50000)
        out.append("LIMITS" + (f" MAILMAX={mails}" if mails > 0 else "") + (f" RCPTMAX={rcpts}" if rcpts > 0 else ""))
    if main.accept_8bitmime:
        out.append("8BITMIME")
    if main.dsn_advertise_hosts and session.matches(main.dsn_advertise_hosts, "dsn_advertise_hosts"):
        session.offered_dsn = True
        out.append("DSN")
    if main.acl_smtp_etrn is not None:
        out.append("ETRN")
    if main.acl_smtp_vrfy is not None:
        out.append("VRFY")
    if main.acl_smtp_expn is not None:
        out.append("EXPN")
    core.pipelining = session.controls.pipelining and session.matches(
        main.pipelining_advertise_hosts, "pipelining_advertise_hosts")
    if core.pipelining:
        session.offered_pipelining = True
        out.append("PIPELINING")
        if session.pipe_connect:
            session.offered_pipe_connect = True
            out.append("PIPECONNECT")
    core.chunking = session.matches(main.chunking_advertise_hosts, "chunking_advertise_hosts")
    conn.chunking_offered = core.chunking
    if core.chunking:
        out.append("CHUNKING")
    out.append("HELP")
    return out


def literal_size(source: str | None, scope: Scope) -> int:
    """Return the value of message_size_limit, 0 for no limit."""
    if not source:
        return 0
    cached = _SIZES.get(source)
    if cached is not None:
        return cached
    try:
        text = expand(source, scope)
    except ExpansionError as e:
        if not isinstance(e, ForcedFail):
            scope.services.log.panic(f"unable to expand message_size_limit: {e.text}")
        return 0
    value = _size(text)
    if value is None:
        scope.services.log.panic(f'invalid value for message_size_limit: "{text}"')
        return 0
    if is_literal(source):
        _SIZES[source] = value
    return value


_SIZES: dict[str, int] = {}
"""Values of literal sizes."""
_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(text: str) -> int | None:
    """Return the value of "50M" and the like."""
    digits = text.strip(" \t\n")
    factor = 1
    if digits[-1:].upper() in _UNITS:
        factor = _UNITS[digits[-1].upper()]
        digits = digits[:-1]
    return int(digits) * factor if digits.isascii() and digits.isdigit() else None


# -- MAIL

def mail(session: Session, command: Command) -> None:
    """MAIL FROM: parameters, address, limits, ACL."""
    core, main, conn = session.core, session.main, session.conn
    if session.helo_required and (not conn.sender_helo_name or core.state == "start"):
        core.reply(503, "HELO or EHLO required")
        session.log.reject(f"rejected MAIL from {session.who_untagged()}: no HELO/EHLO given")
        core.count_error(command.line)
        return
    if not conn.esmtp:
        session.pipe_connect_over()
    argument = command.argument
    if not argument:
        session.syntax_error("protocol", 501, "MAIL must have an address operand")
        return
    limit = session.value_of(main.smtp_accept_max_per_connection, "smtp_accept_max_per_connection", 1000)
    if limit > 0 and session.mails >= limit:
        core.reply(421, "too many messages in this connection")
        session.log.reject(f"rejected MAIL command {session.who()}: too many messages in one connection")
        return
    message = session.begin_message()
    path, parameters = split_parameters(argument, MAIL_PARAMETERS if conn.esmtp else frozenset())
    wrong = _mail_parameters(session, parameters)
    if wrong is not None:
        session.syntax_error("syntax", 501, wrong)
        return
    parsed, address = _address(session, path, "MAIL")
    if parsed.error is not None:
        session.syntax_error("syntax", 501, f"{argument}: {parsed.error}", parsed.error)
        return
    given = address
    if session.conn.kind != "tcp" and session.local and not conn.submitter_trusted:
        address = session.untrusted_sender(address)
    elif address and not parsed.domain_at:
        if not session.takes_unqualified("sender"):
            session.log.reject(f"unqualified sender rejected: <{path.strip('<>')}> {session.who()}")
            core.reply(501, f"{argument}: sender address must contain a domain")
            return
        address = taint(f"{address}@{main.qualify_domain}")
    if not _size_allowed(session, message.message_size, given):
        return
    if session.config.rewrite and address and rewrite.has_rules(session.config, "F"):
        address = rewrite.rewrite_one(address, "F", session.scope)
    message.sender_address = taint(address)
    session.envelope.raw_sender = given if parsed.domain_at or not given else address
    if main.acl_smtp_mail is not None and not _mail_acl(session, address):
        return
    session.mails += 1
    if main.acl_smtp_mail is None:
        core.reply(250, "OK")


def _mail_acl(session: Session, address: str) -> bool:
    """Run the MAIL ACL; answers."""
    result = acl.run_acl("mail", session.main.acl_smtp_mail, session.scope)
    message = session.scope.message
    assert message is not None
    if result.status in (acl.OK, acl.DISCARD):
        session.mail_discarded = result.status == acl.DISCARD
        session.reply_acl(result, 250, "OK")
        return True
    session.refuse(result, f"MAIL <{address}>")
    message.sender_address = ""
    return False


def _mail_parameters(session: Session, parameters: list[tuple[str, str]]) -> str | None:
    """Take the parameters of MAIL; the text of the error, or None."""
    message = session.scope.message
    assert message is not None
    for name, value in parameters:
        if name == "SIZE":
            size = parse_size(value)
            if size is None:
                return "invalid data for SIZE"
            message.message_size = size
        elif name == "BODY":
            body = value.upper()
            if body not in ("7BIT", "8BITMIME") or not session.main.accept_8bitmime:
                return "invalid data for BODY"
            message.body_8bit = 8 if body == "8BITMIME" else 7
        elif name == "AUTH":
            if value != "<>":
                session.log.main(f"ignoring AUTH={value} from {session.who()} (client not authenticated)")
        elif name == "RET":
            if not session.offered_dsn:
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
            message.dsn_envid = taint(value)
    return None


def _address(session: Session, path: str, verb: str) -> tuple[ParsedAddress, str]:
    """Parse the path of MAIL or RCPT, after the rewriting that comes before any check (flag S)."""
    main = session.main
    if session.config.rewrite and rewrite.has_rules(session.config, "S"):
        path = rewrite.rewrite_smtp(path, session.scope)
    parsed = parse_address(
        path, allow_empty=verb == "MAIL", allow_domain_literals=main.allow_domain_literals,
        strip_trailing_dot=main.strip_trailing_dot, strip_excess_angle_brackets=main.strip_excess_angle_brackets,
        allow_utf8_domains=main.allow_utf8_domains)
    address = parsed.address
    if parsed.domain_at:
        domain = address[parsed.domain_at:]
        if not domain.islower():
            address = taint(address[:parsed.domain_at] + lower(domain))
    return parsed, address


def _size_allowed(session: Session, size: int, address: str) -> bool:
    """Check the announced size and the space on the spool's disk; answers when refused."""
    main, core = session.main, session.core
    limit = session.size_limit = session.message_size_limit()
    if size > 0 and limit > 0 and size > limit:
        core.reply(552, "Message size exceeds maximum permitted")
        shown = f"size={size}" if size < 0x7fffffff else f"size>={0x7fffffff}"
        session.log.reject(f"rejected MAIL FROM:<{address}> {session.who()}: message too big: {shown} max={limit}")
        return False
    checks = main.check_spool_space > 0 or main.check_spool_inodes > 0 or (size > 0 and main.smtp_check_spool_space)
    if checks and not enough_space(session, size if main.smtp_check_spool_space else 0):
        core.reply(452, "space shortage, please try later")
        return False
    return True


def enough_space(session: Session, size: int) -> bool:
    """Tell whether the spool's disk has the space that is to be kept free, and that for a message; logs if not."""
    main = session.main
    try:
        st = os.statvfs(session.run.spool.directory)
    except OSError:
        return True
    space_kib = st.f_bavail * st.f_frsize // 1024
    wanted_kib = main.check_spool_space + (size + 1023) // 1024
    if (main.check_spool_space > 0 or size > 0) and space_kib < wanted_kib:
        session.log.main(f"spool directory space check failed: space={space_kib} inodes={st.f_favail}")
        return False
    if main.check_spool_inodes > 0 and st.f_files > 0 and st.f_favail < main.check_spool_inodes:
        session.log.main(f"spool directory space check failed: space={space_kib} inodes={st.f_favail}")
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
    if session.offered_dsn and "=" in argument:
        path, parameters = split_parameters(argument, RCPT_PARAMETERS)
        for name, value in parameters:
            if name == "NOTIFY":
                flags = notify_flags(value)
                if flags < 0:
                    session.syntax_error("syntax", 501, "Invalid value for NOTIFY parameter")
                    return
            else:
                orcpt = taint(value)
    parsed, address = _address(session, path, "RCPT")
    if parsed.error is not None:
        session.syntax_error("syntax", 501, f"{argument}: {parsed.error}", parsed.error)
        session.count_rcpt("fail")
        return
    if not parsed.domain_at:
        address = _qualified_recipient(session, address, argument)
        if not address:
            return
    if main.percent_hack_domains:
        address = percent_hack(session, address)
    limit = session.value_of(main.recipients_max, "recipients_max", 50000)
    if 0 < limit < session.rcpt_count:
        _too_many_recipients(session)
        return
    raw = address
    if session.config.rewrite and rewrite.has_rules(session.config, "T"):
        address = rewrite.rewrite_one(address, "T", session.scope)
    discard = session.mail_discarded
    if not discard:
        result = acl.run_acl("rcpt", main.acl_smtp_rcpt, session.scope, recipient=address)
        if result.status not in (acl.OK, acl.DISCARD):
            session.count_rcpt("defer" if result.status == acl.DEFER else "fail")
            session.refuse(result, f"RCPT {path}")
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
    message.recipients.append(Recipient(taint(address), dsn_orcpt=orcpt, dsn_flags=flags))
    session.envelope.raw_recipients.append(raw)


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
    for word in value.split(",") if value else ():
        flag = _NOTIFY.get(word.upper())
        if flag is None:
            return -1
        flags |= flag
    return flags


def _qualified_recipient(session: Session, address: str, argument: str) -> str:
    """Return an address without domain with one, or "" after a refusal; postmaster is always taken."""
    main = session.main
    message = session.scope.message
    assert message is not None
    if lower(address) == "postmaster" or session.takes_unqualified("recipient"):
        return taint(f"{address}@{main.qualify_recipient}")
    session.log.reject(f"unqualified recipient rejected: {argument} {session.who()}")
    session.count_rcpt("fail")
    session.core.reply(501, f"{argument}: recipient address must contain a domain")
    return ""


def percent_hack(session: Session, address: str) -> str:
    """Turn user%host@domain into user@host where the domain is in percent_hack_domains."""
    main = session.main
    for _ in range(16):
        local_part, _, domain = address.rpartition("@")
        at = local_part.rfind("%")
        if at < 0 or not match_domain(domain, main.percent_hack_domains or "", session.scope):
            break
        user, host = local_part[:at], local_part[at + 1:]
        if not host:
            break
        address = taint(f"{user}@{lower(host)}")
    return address


def _too_many_recipients(session: Session) -> None:
    message, main, core = session.scope.message, session.main, session.core
    assert message is not None
    session.count_rcpt("fail")
    if main.recipients_max_reject:
        if not session.too_many_recipients:
            session.log.reject(f"too many recipients: message rejected: sender=<{message.sender_address}> {session.who()}")
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
        session.new_message()
        return
    start = _predata(session, "DATA")
    if start is None:
        return
    code, text = start
    if _open(session, chunked=False):
        session.core.reply(code, text or 'Enter message, ending with "." on a line by itself')


def bdat(session: Session, command: Command) -> None:
    """BDAT: as DATA with the first chunk; each chunk is read without a word before it."""
    session.pipe_connect_over()
    core = session.core
    if session.incoming is None:
        if session.too_many_recipients and session.main.recipients_max_reject:
            core.refuse_chunk(554, "Too many recipients")
            return
        result = _predata_result(session)
        if result is not None and result.status != acl.OK:
            text = result.user_text or (TEMPORARY if result.status == acl.DEFER else PROHIBITED)
            _log_predata(session, result, "BDAT")
            core.refuse_chunk(result.code or (451 if result.status == acl.DEFER else 550), fold_reply(text))
            return
        if not _open(session, chunked=True):
            return
    core.start_chunk(command)


def _predata_result(session: Session) -> acl.AclResult | None:
    main = session.main
    if main.acl_smtp_predata is None:
        return None
    return acl.run_acl("predata", main.acl_smtp_predata, session.scope)


def _log_predata(session: Session, result: acl.AclResult, verb: str) -> None:
    deferred = result.status == acl.DEFER
    text = f"{session.who()} {'temporarily ' if deferred else ''}rejected {verb}"
    if result.log_text:
        text += f": {result.log_text}"
    write_rejection(session.log, text, result)


def _predata(session: Session, verb: str) -> tuple[int, str] | None:
    """Run the predata ACL; (code, text) of the go-ahead, or None after a refusal."""
    result = _predata_result(session)
    if result is None:
        return 354, ""
    if result.status == acl.OK:
        return result.code or 354, fold_reply(result.user_text)
    if result.status == acl.DISCARD:
        message = session.scope.message
        assert message is not None
        message.recipients.clear()
        session.envelope.discarded_by = "predata"
        return 354, ""
    session.refuse(result, verb)
    session.new_message()
    return None


def _open(session: Session, *, chunked: bool) -> bool:
    """Begin to take the message; answers when that is impossible."""
    incoming = Incoming(session.run, session.scope, session.origin(), session.envelope, size_limit=session.size_limit
                        or session.message_size_limit())
    incoming.chunked = chunked
    if session.offered_pipelining:
        used = session.core.pipelined
        incoming.pipelining = ("" if used else "-") if not session.offered_pipe_connect else (
            "." if used else ".-")
    main, flags = session.main, incoming.message.flags
    if main.sender_unqualified_hosts and session.takes_unqualified("sender"):
        flags.add("allow_unqualified_sender")
    if main.recipient_unqualified_hosts and session.takes_unqualified("recipient"):
        flags.add("allow_unqualified_recipient")
    try:
        incoming.open(lf_is_space=not chunked, chunked=chunked)
    except OSError as e:
        message = session.scope.message
        ident = message.message_id if message is not None else ""
        session.log.panic(f"Failed to create spool file for {ident}: {e.strerror}")
        if chunked:
            session.core.refuse_chunk(452, "Error while writing spool file")
        else:
            session.core.reply(452, "Error while writing spool file")
        incoming.abort()
        return False
    session.incoming = incoming
    return True


# -- the others

def rset(session: Session, command: Command) -> None:
    """RSET: forget the transaction."""
    session.incomplete("RSET")
    session.new_message()
    session.core.reply(250, "Reset OK")


def noop(session: Session, command: Command) -> None:
    """NOOP."""
    session.core.reply(250, "OK")


def help_(session: Session, command: Command) -> None:
    """HELP: the commands that there are."""
    verbs = ["HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "NOOP", "QUIT", "RSET", "HELP"]
    main = session.main
    if main.acl_smtp_etrn is not None:
        verbs.append("ETRN")
    if main.acl_smtp_expn is not None:
        verbs.append("EXPN")
    if main.acl_smtp_vrfy is not None:
        verbs.append("VRFY")
    session.core.reply(214, "Commands supported:\nAUTH " + " ".join(verbs))


def quit_(session: Session, command: Command) -> None:
    """QUIT: the ACL may give the last words."""
    session.incomplete("QUIT")
    session.quit_seen = True
    conn = session.conn
    text = f"{session.active_hostname} closing connection"
    main = session.main
    if main.acl_smtp_quit is not None:
        result = acl.run_acl("quit", main.acl_smtp_quit, session.scope)
        if result.user_text and result.status == acl.OK:
            text = fold_reply(result.user_text)
        elif result.error:
            session.log.panic(f"ACL for QUIT returned ERROR: {result.log_text}")
    session.core.reply(221, text)
    if session.logged_connection:
        session.log_closed_by_quit()


def not_offered(session: Session, command: Command) -> None:
    """AUTH and STARTTLS: this server offers neither."""
    session.syntax_error("protocol", 503, f"{command.verb} command used when not advertised")


HANDLERS: Final[dict[str, Callable[[Session, Command], None]]] = {
    "HELO": hello, "EHLO": hello, "MAIL": mail, "RCPT": rcpt, "DATA": data, "BDAT": bdat, "RSET": rset,
    "NOOP": noop, "HELP": help_, "QUIT": quit_, "AUTH": not_offered, "STARTTLS": not_offered,
    **queries.HANDLERS,
}
