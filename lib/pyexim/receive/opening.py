"""The beginning of a session: is the client welcome, and what is it greeted with?

Spec: host_lookup, host_reject_connection, rfc1413_hosts, smtp_banner, smtp_active_hostname,
smtp_enforce_sync, pipelining_connect_advertise_hosts; the ACL acl_smtp_connect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim import EXIM_VERSION
from pyexim.acl import api as acl
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand, is_literal
from pyexim.mailfmt import dates
from pyexim.model.reply import Reply
from pyexim.receive import closing
from pyexim.receive.message import PROHIBITED, TEMPORARY
from pyexim.receive.received import DEFAULT_BANNER
from pyexim.receive.rejection import write_rejection
from pyexim.receive.sizes import SizeError, size_limit
from pyexim.receive.texts import connection_info, fold_reply, full_host, shown, tls_text

if TYPE_CHECKING:
    from pyexim.receive.session import Session


def begin(session: Session) -> bool:
    """Set up the session and check the connection; False when it is refused."""
    conn, main = session.conn, session.main
    timeout = main.smtp_receive_timeout
    session.channel.set_timeout(session.value_of(timeout, "smtp_receive_timeout", 300))
    if not conn.started:
        conn.started = session.clock.time()
    conn.received_protocol = "local-smtp" if session.local else "smtp"
    session.active_hostname = _active_hostname(session)
    if session.active_hostname != main.primary_hostname:
        conn.smtp_active_hostname = session.active_hostname
    session.note_originator()
    session.new_message()
    session.show_lists("hosts_connection_nolog")
    try:
        session.size_limit = size_limit(main.message_size_limit, session.scope)
    except SizeError as e:
        session.log.panic(f"invalid message_size_limit: {e}")
        session.core.send(Reply(421, TEMPORARY, True))
        return False
    if conn.kind == "tcp" or not session.local:
        if not _check_host(session):
            return False
        _proxy(session)
    return True


def welcome(session: Session) -> bool:
    """Ask the ACL and greet, after the handshake where the connection begins with TLS; False when it is refused."""
    conn, main = session.conn, session.main
    if session.log.wants("smtp_connection") and not (
            main.hosts_connection_nolog and session.matches(main.hosts_connection_nolog, "hosts_connection_nolog")):
        session.logged_connection = True
        if conn.kind != "tcp" or session.inetd:  # the daemon has written its line before the session
            session.log.main(connection_info(conn, session.log, inetd=session.inetd), selector="smtp_connection")
    if session.local:
        session.unqualified = {"sender": True, "recipient": True}
    if not _connect_acl(session):
        return False
    session.welcomed = _greet(session)
    return session.welcomed


def _active_hostname(session: Session) -> str:
    main = session.main
    source = main.smtp_active_hostname
    primary = main.primary_hostname or ""
    if not source:
        return primary
    try:
        return expand(source, session.scope) or primary
    except ForcedFail:
        return primary
    except ExpansionError as e:
        session.log.panic(f'failed to expand "{source}" (smtp_active_hostname): {e.text}')
        return primary


def _check_host(session: Session) -> bool:
    """Look up the host where that is wanted, refuse it where the configuration does."""
    conn, main = session.conn, session.main
    session.show_lists("host_lookup")
    if main.host_lookup and session.matches(main.host_lookup, "host_lookup"):
        session.look_up_host()
    session.show_lists("host_reject_connection", "sender_unqualified_hosts", "recipient_unqualified_hosts",
                       "helo_verify_hosts", "helo_try_verify_hosts", "helo_accept_junk_hosts")
    if main.rfc1413_query_timeout > 0 and conn.kind == "tcp" and main.rfc1413_hosts and session.matches(
            main.rfc1413_hosts, "rfc1413_hosts"):
        from pyexim.receive.ident import query  # only where it is configured

        conn.sender_ident = query(conn, main.rfc1413_query_timeout, session.log)
    if main.host_reject_connection and session.matches(main.host_reject_connection, "host_reject_connection"):
        session.log.reject(f"refused connection from {session.who_untagged()} (host_reject_connection)",
                           also_main=session.log.selected("connection_reject"))
        session.core.send(Reply(554, "SMTP service not available", True))
        return False
    if session.inetd and main.smtp_load_reserve is not None and session.run.load_average() > main.smtp_load_reserve:
        if not session.matches(main.smtp_reserve_hosts, "smtp_reserve_hosts"):
            session.core.send(Reply(421, "Too much load; please try again later", True))
            host = full_host(conn, session.log)
            session.log.reject(f"temporarily refused connection from {host}: not in reserve list "
                            f"and load average = {session.run.load_average() / 1000:.2f}")
            return False
    return True


def _proxy(session: Session) -> None:
    """Let a proxy say whom it speaks for."""
    main = session.main
    session.show_lists("hosts_proxy")
    if main.hosts_proxy and session.conn.kind == "tcp" and session.matches(main.hosts_proxy, "hosts_proxy"):
        from pyexim.receive import proxy  # only where it is configured

        proxy.negotiate(session)


def _connect_acl(session: Session) -> bool:
    conn, main = session.conn, session.main
    if main.acl_smtp_connect is None:
        session.banner = None
        return True
    result = acl.run_acl("connect", main.acl_smtp_connect, session.scope)
    if result.status == acl.OK:
        session.banner = result
        return True
    deferred = result.status == acl.DEFER
    text = (f'{session.who()}{tls_text(conn, session.log)} {"temporarily " if deferred else ""}'
            'rejected connection in "connect" ACL')
    if result.log_text:
        text += f": {result.log_text}"
    write_rejection(session.log, text, result, selector="connection_reject")
    code = result.code or (451 if deferred else 550)
    session.core.send(Reply(code, fold_reply(result.user_text or (TEMPORARY if deferred else PROHIBITED)), True))
    if result.status == acl.DROP:
        session.flush()
        closing.run_notquit(session, "acl-drop")
        closing.log_dropped(session)
    return False


def _greet(session: Session) -> bool:
    """Send the banner, unless the client has spoken first."""
    conn, main = session.conn, session.main
    code, text = 220, ""
    if session.banner is not None and session.banner.user_text:
        code, text = session.banner.code or 220, session.banner.user_text
    elif main.smtp_banner is None or main.smtp_banner == DEFAULT_BANNER:
        text = f"{session.active_hostname} ESMTP Exim {EXIM_VERSION} {dates.rfc5322(session.clock.time())}"
    else:
        try:
            source = main.smtp_banner
            text = source if is_literal(source) else expand(source, session.scope)
        except ExpansionError as e:
            session.log.panic(f'Expansion of "{main.smtp_banner}" (smtp_banner) failed: {e.text}')
            session.core.send(Reply(421, "Unexpected failure, please try later", True))
            session.exit_code = 1
            return False
    enforce = session.controls.enforce_sync if session.controls.enforce_sync is not None else main.smtp_enforce_sync
    checked = enforce and conn.kind == "tcp"
    if not session.local:
        session.pipe_connect = bool(main.pipelining_connect_advertise_hosts) and session.matches(
            main.pipelining_connect_advertise_hosts, "pipelining_connect_advertise_hosts")
    if checked and not session.pipe_connect:
        if session.channel.has_input():
            session.core.receive_data(session.channel.read())
            early = shown(session.core.peek_input(150).decode("latin-1"))
            session.log.reject("SMTP protocol synchronization error (input sent without waiting for greeting): "
                            f'rejected connection from {session.who()} input="{early}"')
            session.core.send(Reply(554, "SMTP synchronization error", True))
            return False
        session.enforce_sync()
    session.show_lists("pipelining_connect_advertise_hosts")
    session.core.multiline = session.controls.multiline
    session.core.send(Reply(code, text))
    return True
