"""AUTH in a session: what is offered, the command, and what follows from its success or failure.

The mechanisms are in ``auth/``, as conversations without I/O.
Spec: chapter "SMTP authentication"; RFC 4954; the options, variables and events named at each place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.errors import ExpansionDefer, ExpansionError, ForcedFail
from pyexim.base.octets import lower, upper
from pyexim.base.taint import taint
from pyexim.expand.engine import expand
from pyexim.expand.event import fire
from pyexim.receive.texts import host_and_ident
from pyexim.smtp.parameters import decode_xtext
from pyexim.smtp.server import Command

if TYPE_CHECKING:
    from pyexim.auth.base import Authenticator, Verdict
    from pyexim.auth.dialogue import ServerDialogue
    from pyexim.config.configuration import Configuration
    from pyexim.receive.session import Session

_FALSE: Final = frozenset({"", "0", "no", "false"})
_REPLIES: Final = {
    "ok": (235, "Authentication succeeded"),
    "fail": (535, "Incorrect authentication data"),
    "defer": (435, "Unable to authenticate at present"),
    "cancelled": (501, "Authentication cancelled"),
    "bad base64": (501, "Invalid base64 data"),
    "unexpected": (553, "Initial data not expected"),
}


class Authentication:
    """What a session knows of AUTH."""

    __slots__ = ("_by", "_dialogue", "advertised", "servers")

    def __init__(self, config: Configuration) -> None:
        self.servers: list[Authenticator] = config.compiled.get("auth_servers") or []
        self.advertised: set[str] = set()
        """Names of the authenticators that the last reply to EHLO offered."""
        self._by: Authenticator | None = None
        """By whom the client has authenticated, or tries to."""
        self._dialogue: ServerDialogue | None = None

    def offer(self, session: Session) -> str:
        """Return the line of the reply to EHLO, "" for none; note what it offers."""
        self.advertised.clear()
        if not self.servers or session.conn.sender_host_authenticated:
            return ""
        if not session.matches(session.main.auth_advertise_hosts, "auth_advertise_hosts"):
            return ""
        names = []
        for driver in self.servers:
            if driver.public_name and _wanted(driver, session):
                self.advertised.add(driver.name)
                names.append(upper(driver.public_name))
        return "AUTH " + " ".join(names) if names else ""

    def command(self, session: Session, command: Command) -> None:
        """Do the AUTH command."""
        conn, core, main = session.conn, session.core, session.main
        conn.authentication_failed = True
        unadvertised = session.controls.allow_auth_unadvertised
        if not self.advertised and not unadvertised:
            session.syntax_error("protocol", 503, "AUTH command used when not advertised")
            return
        if conn.sender_host_authenticated:
            session.syntax_error("protocol", 503, "already authenticated")
            return
        if core.state in ("sender", "ready"):
            session.syntax_error("protocol", 503, "not permitted in mail transaction")
            return
        if main.acl_smtp_auth is not None:
            result = acl.run_acl("auth", main.acl_smtp_auth, session.scope)
            if result.status != acl.OK:
                session.refuse(result, f"AUTH {command.argument}", fail_code=503)
                return
        name, _, initial = command.argument.replace("\t", " ").partition(" ")
        driver = next((d for d in self.servers if lower(d.public_name) == lower(name)
                       and d.public_name and (unadvertised or d.name in self.advertised)), None)
        if driver is None:
            session.syntax_error("protocol", 504, f"{name} authentication mechanism not supported")
            return
        from pyexim.auth.base import AuthRun  # only where a client authenticates
        from pyexim.auth.dialogue import ServerDialogue

        run = AuthRun(session.scope, driver.name)
        run.clear()
        conn.authenticated_id = conn.authenticated_fail_id = None
        self._by = driver
        self._dialogue = ServerDialogue(driver, run)
        self._go_on(session, self._dialogue.begin(initial.strip(" ")))

    def answer(self, session: Session, line: str) -> None:
        """Take the client's answer to a challenge."""
        dialogue = self._dialogue
        assert dialogue is not None
        self._go_on(session, dialogue.answer(line))

    def _go_on(self, session: Session, step: str | Verdict) -> None:
        if isinstance(step, str):
            session.core.challenge(step)
            return
        dialogue, driver = self._dialogue, self._by
        assert dialogue is not None and driver is not None
        self._dialogue = None
        try:
            self._decided(session, driver, step)
        finally:
            dialogue.run.clear()

    def _decided(self, session: Session, driver: Authenticator, verdict: Verdict) -> None:
        conn = session.conn
        code, text = _REPLIES[verdict.status]
        _debug_print(session, driver)
        set_id = None
        if verdict.status in ("ok", "fail", "defer"):
            set_id = _expand_id(session, driver)
        if verdict.status == "ok":
            conn.sender_host_authenticated = driver.name
            conn.sender_host_auth_pubname = driver.public_name
            conn.authenticated_id = set_id
            conn.authentication_failed = False
            if conn.esmtp and not (conn.received_protocol or "").endswith("a"):
                conn.received_protocol = f"{conn.received_protocol}a"
            session.core.reply(code, text)
            return
        log_text = f"{code} {text}"
        if set_id:
            conn.authenticated_fail_id = set_id
            log_text += f" (set_id={set_id})"
        if verdict.log_text:
            log_text += f": {verdict.log_text}"
        if verdict.user_text:
            text += f": {verdict.user_text}"
        who = host_and_ident(conn, session.log, use_h=False)
        session.log.reject(f"{driver.name} authenticator failed for {who}: {log_text}")
        action = session.main.event_action
        if action is not None:
            _failure_event(session, action, driver, f"{code} {text}")
        session.core.reply(code, text)

    def by_certificate(self, session: Session) -> None:
        """Authenticate a client whose certificate is good, where an authenticator is for that.  Spec: chapter 42."""
        from pyexim.auth.base import AuthRun  # only where a client is encrypted
        from pyexim.auth.tls import Tls

        conn = session.conn
        driver = next((d for d in self.servers if isinstance(d, Tls)), None)
        if driver is None or not conn.tls_in.certificate_verified:
            return
        run = AuthRun(session.scope, driver.name)
        run.clear()
        try:
            verdict = driver.decide(run)
            _debug_print(session, driver)
            if verdict.status == "ok":
                self._by = driver
                conn.sender_host_authenticated = conn.sender_host_auth_pubname = driver.name
                conn.authenticated_id = _expand_id(session, driver)
            elif verdict.log_text:
                who = host_and_ident(conn, session.log, use_h=False)
                session.log.reject(f"{driver.name} authenticator failed for {who}: {verdict.log_text}")
        finally:
            run.clear()

    def sender_parameter(self, session: Session, command: Command, value: str) -> str | None:
        """Take AUTH= of MAIL: None where the command goes on, "" where it was answered, or the text of the error."""
        conn, message = session.conn, session.scope.message
        assert message is not None
        if value in ("", "<>"):
            return None
        sender = decode_xtext(value)
        if sender is None:
            return "invalid data for AUTH"
        ignored = ""
        conn.authenticated_sender = taint(sender)
        if session.main.acl_smtp_mailauth is not None:
            result = acl.run_acl("mailauth", session.main.acl_smtp_mailauth, session.scope)
            if result.status == acl.DEFER:
                conn.authenticated_sender = None
                session.refuse(result, f"MAILAUTH {command.argument}")
                return ""
            if result.status != acl.OK:
                ignored = "rejected by ACL"
        elif not conn.sender_host_authenticated:
            ignored = "client not authenticated"
        if not ignored and conn.sender_host_authenticated and not self._believed(session):
            ignored = "server_mail_auth_condition failed"
            if conn.authenticated_id is not None:
                ignored += f': authenticated ID="{conn.authenticated_id}"'
        if ignored:
            conn.authenticated_sender = None
            session.log.main(f"ignoring AUTH={value} from {session.who()} ({ignored})")
        message.authenticated_sender = conn.authenticated_sender
        return None

    def _believed(self, session: Session) -> bool:
        """Tell what server_mail_auth_condition of the client's authenticator says."""
        source = self._by.options.server_mail_auth_condition if self._by is not None else None
        if source is None:
            return True
        try:
            return lower(expand(source, session.scope)) not in _FALSE
        except ExpansionError:
            return False


def _wanted(driver: Authenticator, session: Session) -> bool:
    """Tell what server_advertise_condition says."""
    source = driver.options.server_advertise_condition
    if source is None:
        return True
    try:
        return lower(expand(source, session.scope)) not in _FALSE
    except (ForcedFail, ExpansionDefer):
        return False
    except ExpansionError as e:
        session.log.panic(f'failed to expand condition "{source}" for {driver.name} authenticator: {e.text}')
        return False


def _debug_print(session: Session, driver: Authenticator) -> None:
    """Show server_debug_print where authentication is debugged."""
    source, debug = driver.options.server_debug_print, session.scope.services.debug
    if source is None or debug is None or not debug.selected("auth"):
        return
    try:
        debug("auth", expand(source, session.scope).rstrip("\n"))
    except ExpansionError as e:
        debug("auth", f"expansion of server_debug_print failed: {e.text}")


def _expand_id(session: Session, driver: Authenticator) -> str | None:
    """Return what server_set_id gives; None where it is unset or cannot be expanded."""
    source = driver.options.server_set_id
    if source is None:
        return None
    try:
        return taint(expand(source, session.scope))
    except ExpansionError:
        return None


def _failure_event(session: Session, action: str, driver: Authenticator, reply: str) -> None:
    """Tell of a failure, with the authenticator's name where that of success stands."""
    conn = session.conn
    conn.sender_host_authenticated = driver.name
    try:
        fire(action, session.scope, "auth:fail", reply)
    finally:
        conn.sender_host_authenticated = None

