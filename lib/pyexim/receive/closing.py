"""The end of a session: by too many mistakes, loss, timeout or in good order; what the logs say of it.

Spec: chapter "Log files"; the ACL acl_smtp_notquit and $smtp_notquit_reason; selectors smtp_no_mail,
lost_incoming_connection, smtp_connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.receive.texts import connection_info, duration, host_and_ident, shown, tls_text
from pyexim.smtp.server import SyncError, TooMany

if TYPE_CHECKING:
    from pyexim.receive.message import Incoming
    from pyexim.receive.session import Session

HISTORY: Final = 20
"""Commands that are remembered."""


def _history(session: Session) -> str:
    if not session.conn.smtp_command_history:
        return ""
    more = "..." if session.commands_total >= HISTORY else ""
    return f"  C={more}{','.join(session.conn.smtp_command_history)}"


def too_many(session: Session, event: TooMany) -> None:
    who = host_and_ident(session.conn, session.log, use_h=False)
    if event.kind == "syntax or protocol errors":
        text = ("dropped: too many syntax or protocol errors (last command was "
                f'"{shown(event.line)}",{_history(session)})')
        session.quit_seen = True  # no ACL for the end of such a session, as in Exim
    elif event.kind == "unrecognized commands":
        text = f'dropped: too many unrecognized commands (last was "{shown(event.line)}")'
        run_notquit(session, "bad-commands")
    else:
        text = f'dropped: too many nonmail commands (last was "{shown(event.line)}")'
        run_notquit(session, "bad-commands")
    session.log.reject(f"SMTP call from {who} {text}")
    session.exit_code = 0 if event.kind == "unrecognized commands" else 1
    session.incomplete("error")


def unsynchronised(session: Session, event: SyncError) -> None:
    offered = "" if session.core.pipelining else " not"
    session.log.reject(f"SMTP protocol synchronization error (next input sent too soon: pipelining was{offered} "
                    f'advertised): rejected "{shown(event.line)}" {session.who()} '
                    f'next input="{shown(event.input.decode("latin-1"))}"')
    session.notquit_reason = "synchronization-error"
    session.exit_code = 1
    session.incomplete("sync failure")


def _since(session: Session) -> str:
    seconds = session.clock.time() - session.conn.started
    return f" D={duration(seconds, millisec=session.log.selected('millisec'))}"


def lost(session: Session, phase: str) -> None:
    conn, log = session.conn, session.log
    session.notquit_reason = "connection-lost"
    session.exit_code = 1
    if phase == "data" or session.incoming is not None:
        incoming = session.incoming
        where = lost_where(incoming) if incoming is not None else " (header)"
        log.main(f"{connection_info(conn, log, inetd=session.inetd)} lost while reading message data{where}",
                 selector="lost_incoming_connection")
        session.core.send_raw(b"421 Lost incoming connection\r\n")
    elif session.core.state in ("sender", "ready"):
        session.incomplete("connection lost")
        run_notquit(session, "connection-lost")
        if log.wants("lost_incoming_connection"):
            what = "EOF" if session.local else "disconnection"
            log.main(f"unexpected {what} while reading SMTP command from "
                     f"{host_and_ident(conn, log, use_h=False)}{_since(session)}", selector="lost_incoming_connection")
        session.core.send_raw(f"421 {session.active_hostname} lost input connection\r\n".encode("latin-1"))
    else:
        run_notquit(session, "connection-lost")
        if session.logged_connection:
            log.main(f"{connection_info(conn, log, inetd=session.inetd)} lost{_since(session)}",
                     selector="smtp_connection")
        session.core.send_raw(f"421 {session.active_hostname} lost input connection\r\n".encode("latin-1"))
    session.drop_incoming()


def lost_where(incoming: Incoming) -> str:
    """Return how far a message had come when its client was lost."""
    collector = incoming.collector
    if not collector.size:
        return " (header)"
    return "" if collector.header_ended else " (after header)"


def timed_out(session: Session) -> None:
    conn, log = session.conn, session.log
    host = host_and_ident(conn, log, use_h=False)
    session.exit_code = 1
    name = session.active_hostname
    if session.core.in_data:
        session.notquit_reason = "data-timeout"
        sender = session.scope.message.sender_address if session.scope.message is not None else ""
        log.main(f"SMTP data timeout (message abandoned) on connection from {host} F=<{sender}>")
        session.core.send_raw(f"421 {name} SMTP incoming data timeout - closing connection.\r\n".encode("latin-1"))
    else:
        session.notquit_reason = "command-timeout"
        session.incomplete("command timeout")
        log.main(f"SMTP command timeout on connection from {host}")
        session.core.send_raw(f"421 {name}: SMTP command timeout - closing connection\r\n".encode("latin-1"))
    session.drop_incoming()


def run_notquit(session: Session, reason: str) -> None:
    """Run the ACL for sessions that do not end with QUIT, once."""
    session.drop_incoming()
    source = session.main.acl_smtp_notquit
    if source is None or session.quit_seen:
        return
    session.quit_seen = True
    session.conn.smtp_notquit_reason = reason
    acl.run_acl("notquit", source, session.scope)


def log_dropped(session: Session) -> None:
    """Log the end of a connection by the verb drop, where its beginning was logged."""
    if session.logged_connection:
        session.log.main(f"{connection_info(session.conn, session.log, inetd=session.inetd)} closed by DROP in ACL",
                         message_id=session.dropped_id, selector="smtp_connection")


def end(session: Session) -> None:
    """Log what is to be logged of the end of a session, after the ACL for those that do not end with QUIT."""
    log, conn = session.log, session.conn
    if session.welcomed:
        run_notquit(session, session.notquit_reason or "local-error")
    if session.notquit_reason == "acl-drop":
        log_dropped(session)
    session.drop_incoming()
    if session.welcomed and session.mails == 0 and log.selected("smtp_no_mail"):
        history = _history(session).replace("  C=", " C=")
        text = (f"no MAIL in SMTP connection from {host_and_ident(conn, log, use_h=False)}{_since(session)}"
                f"{tls_text(conn, log)}{history}")
        log.main(text, selector="smtp_no_mail")
    if session.session_debug is not None:
        session.session_debug.stop()
