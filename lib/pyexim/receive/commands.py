"""The commands of an SMTP session that move no mail, and the table of all handlers.

A handler gets the session and a command that is in order (``smtp.server`` sees to that) and answers it.
Spec: chapter "SMTP processing", and the options named at each place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.octets import lower
from pyexim.base.taint import taint
from pyexim.match.lists import match_domain
from pyexim.receive import helo, queries, transaction
from pyexim.receive.texts import fold_reply
from pyexim.smtp.server import Command

if TYPE_CHECKING:
    from pyexim.receive.session import Session


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
        if main.helo_lookup_domains and conn.sender_host_name is None and match_domain(
                lower(name), main.helo_lookup_domains, session.scope, name="helo_lookup_domains"):
            session.look_up_host()
        conn.host_name_untold = False
        if not helo.verified(session, command.verb):
            session.core.reply(550, f"{command.verb} argument does not match calling host")
            session.log.reject(f'rejected "{command.verb} {name}" from {session.who_untagged()}')
            return
    conn.esmtp = command.verb == "EHLO"
    who = conn.sender_host_name or name
    greeting = f"{session.active_hostname} Hello {conn.sender_ident + ' at ' if conn.sender_ident else ''}{who}"
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
    prefix = "local-" if session.local else ""
    # With -oMaa a client counts as authenticated.
    conn.received_protocol = (f"{prefix}{'e' if conn.esmtp else ''}smtp{'s' if conn.tls_in.active else ''}"
                              f"{'a' if conn.esmtp and conn.sender_host_authenticated else ''}")
    if conn.esmtp:
        greeting += "\n" + "\n".join(_offers(session))
    else:
        core.pipelining = core.chunking = False
        session.auth.advertised.clear()
        session.offered_pipelining = False
    session.drop_incoming()
    session.new_message()
    core.reply(code, greeting)


def _offers(session: Session) -> list[str]:
    """Return the lines of the reply to EHLO, and note what was offered."""
    main, core, conn = session.main, session.core, session.conn
    out = []
    for shown in [n for n in session.shown_lists if n.endswith("advertise_hosts")]:
        del session.shown_lists[shown]  # each EHLO asks anew
    session.size_limit = session.message_size_limit()
    out.append(f"SIZE {session.size_limit}" if session.size_limit else "SIZE")
    if main.limits_advertise_hosts and session.matches(main.limits_advertise_hosts, "limits_advertise_hosts"):
        mails = session.value_of(main.smtp_accept_max_per_connection, "smtp_accept_max_per_connection", 1000)
        rcpts = session.value_of(main.recipients_max, "recipients_max", 50000)
        out.append("LIMITS" + (f" MAILMAX={mails}" if mails > 0 else "") + (f" RCPTMAX={rcpts}" if rcpts > 0 else ""))
    if main.accept_8bitmime:
        out.append("8BITMIME")
    session.show_lists("dsn_advertise_hosts")
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
    if auth := session.auth.offer(session):
        out.append(auth)
    core.chunking = session.matches(main.chunking_advertise_hosts, "chunking_advertise_hosts")
    conn.chunking_offered = core.chunking
    if core.chunking:
        out.append("CHUNKING")
    if tls := session.encryption.offer(session):
        out.append(tls)
    if main.prdr_enable:
        session.offered_prdr = True
        out.append("PRDR")
    session.show_lists("smtputf8_advertise_hosts")
    session.offered_smtputf8 = main.accept_8bitmime and session.matches(
        main.smtputf8_advertise_hosts, "smtputf8_advertise_hosts")
    if session.offered_smtputf8:
        out.append("SMTPUTF8")
    out.append("HELP")
    return out


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
    if not session.conn.tls_in.active and session.encryption.can_be_offered(session):
        verbs.insert(0, "STARTTLS")
    session.core.reply(214, "Commands supported:\nAUTH " + " ".join(verbs))


def quit_(session: Session, command: Command) -> None:
    """QUIT: the ACL may give the last words."""
    session.incomplete("QUIT")
    session.quit_seen = True
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


def auth(session: Session, command: Command) -> None:
    """AUTH."""
    session.auth.command(session, command)


def starttls(session: Session, command: Command) -> None:
    """STARTTLS."""
    session.encryption.command(session, command)


HANDLERS: Final[dict[str, Callable[[Session, Command], None]]] = {
    "HELO": hello, "EHLO": hello, "MAIL": transaction.mail, "RCPT": transaction.rcpt, "DATA": transaction.data,
    "BDAT": transaction.bdat, "RSET": rset,
    "NOOP": noop, "HELP": help_, "QUIT": quit_, "AUTH": auth, "STARTTLS": starttls,
    **queries.HANDLERS,
}
