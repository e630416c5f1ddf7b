"""TLS in a session: is it offered, the STARTTLS command, the handshake, and what follows from its success or failure.

The encryption itself is in ``tls/``, without I/O; the octets pass through ``receive.channel``.  A handshake is served
piece by piece, as everything else of a session.
Spec: chapter "Encrypted SMTP connections using TLS/SSL"; the options named at each place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import is_digits
from pyexim.base.taint import taint
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.scope import Scope
from pyexim.match.lists import split_list
from pyexim.receive.texts import connection_info, host_and_ident
from pyexim.smtp.server import Command
from pyexim.tls import api as tls
from pyexim.tls.api import ServerSettings, TlsFailure

if TYPE_CHECKING:
    from pyexim.config.configuration import Configuration
    from pyexim.config.main_options import MainOptions
    from pyexim.expand.scope import Services
    from pyexim.receive.session import Session
    from pyexim.tls.context import Context
    from pyexim.tls.engine import Engine

UNAVAILABLE: Final = "TLS currently unavailable"
INTERNAL: Final = "Internal error"
"""What the line about an error says where an option cannot be expanded: another line tells which."""
_BY_NAME: Final = ("tls_in_sni", "tls_sni")
"""Where one of these stands in tls_certificate, some options are expanded again when a client has named a host."""


class Encryption:
    """What a session knows of TLS."""

    __slots__ = ("_engine", "_on_connect", "advertised", "pending")

    def __init__(self) -> None:
        self.advertised = False
        """The last reply to EHLO offered STARTTLS."""
        self.pending = False
        """A handshake is to be made, or is being made: nothing else can be understood."""
        self._engine: Engine | None = None
        self._on_connect = False

    def offer(self, session: Session) -> str:
        """Return the line of the reply to EHLO, "" for none; note what it offers."""
        self.advertised = False
        if session.conn.tls_in.active:
            return ""
        self.advertised = self.can_be_offered(session)
        return "STARTTLS" if self.advertised else ""

    def can_be_offered(self, session: Session) -> bool:
        """Tell whether this client may use STARTTLS."""
        return session.matches(session.main.tls_advertise_hosts, "tls_advertise_hosts") and not tls.missing()

    # -- the command

    def command(self, session: Session, command: Command) -> None:
        """Do the STARTTLS command."""
        conn, core, main = session.conn, session.core, session.main
        if not self.advertised and not conn.tls_in.active:
            session.syntax_error("protocol", 503, "STARTTLS command used when not advertised")
            return
        if conn.tls_in.active and conn.sender_helo_name is not None:
            session.syntax_error("protocol", 503, "STARTTLS command used when not advertised")
            return
        if main.acl_smtp_starttls is not None:
            result = acl.run_acl("starttls", main.acl_smtp_starttls, session.scope)
            if result.status != acl.OK:
                session.refuse(result, f"STARTTLS {command.argument}")
                return
        session.incomplete("STARTTLS")
        session.new_message()
        core.reset()
        if conn.tls_in.active:
            self._failed(session, TlsFailure("(STARTTLS received after TLS started): "))
            core.reply(554, "Already in TLS")
            core.refuse_all, core.refuse_code = "Security failure", 554
            return
        try:
            self._prepare(session)
        except TlsFailure as e:
            self._failed(session, e)
            core.reply(454, UNAVAILABLE)
            return
        # What the client has sent after the command, in clear, is not its own perhaps: it is forgotten.
        core.reply(220, "TLS go ahead")

    def on_connect(self, session: Session) -> bool:
        """Begin TLS where the connection is to begin with it: True where the handshake is to be made first."""
        conn = session.conn
        if not (session.run.tls_on_connect or conn.interface_port in on_connect_ports(session.main)):
            return False
        conn.tls_on_connect = self._on_connect = True
        try:
            self._prepare(session)
        except TlsFailure as e:
            self._failed(session, e)
            session.core.close()
            return True
        early = session.core.take_input()  # what came with the header of a proxy
        if early:
            self._step(session, early)
        return True

    def _prepare(self, session: Session) -> None:
        """Make ready for a handshake; raises TlsFailure where our own settings do not allow it."""
        main = session.main
        tickets = session.matches(main.tls_resumption_hosts, "tls_resumption_hosts")
        verify = "none"
        if session.matches(main.tls_verify_hosts, "tls_verify_hosts"):
            verify = "must"
        elif session.matches(main.tls_try_verify_hosts, "tls_try_verify_hosts"):
            verify = "try"
        scope = session.scope
        settings = settings_of(main, scope, verify=verify != "none", tickets=tickets)
        contexts = contexts_of(session.config)

        def on_sni(name: str) -> Context | None:
            session.conn.tls_in.sni = taint(name)
            if not any(x in (main.tls_certificate or "") for x in _BY_NAME):
                return None
            other = settings_of(main, scope, verify=verify != "none", tickets=tickets)
            return contexts.get(other) if other != settings else None

        needs_alpn = bool(settings.alpn) and session.matches(main.hosts_require_alpn, "hosts_require_alpn")
        self._engine = tls.accept(contexts.get(settings), verify=verify, on_sni=on_sni, must_name_protocol=needs_alpn)
        self.pending = True

    # -- the handshake

    def go_on(self, session: Session) -> None:
        """Take what the client has sent, waiting for it, and go on with the handshake; raises InputTimeout."""
        self._step(session, session.channel.read_raw())

    def _step(self, session: Session, data: bytes) -> None:
        engine, channel = self._engine, session.channel
        assert engine is not None
        engine.receive(data)
        try:
            if not data:
                raise TlsFailure("(SSL_accept): TCP connection closed by peer")
            done = engine.handshake()
        except TlsFailure as e:
            channel.write_raw(engine.to_send())
            self._tell_of_certificate(session, engine)
            self._give_up(session, e)
            return
        channel.write_raw(engine.to_send())
        if done:
            self._begun(session, engine)

    def timed_out(self, session: Session) -> None:
        """The client was silent in the middle of the handshake."""
        self._give_up(session, TlsFailure("(SSL_accept): timed out"))

    def broken(self, session: Session, text: str) -> None:
        """Something is wrong with what the client sends, which is the end of its input."""
        self._failed(session, TlsFailure(text))

    def _begun(self, session: Session, engine: Engine) -> None:
        conn, core = session.conn, session.core
        self.pending = False
        self._engine = None
        self._tell_of_certificate(session, engine)
        session.channel.encrypt(engine)
        conn.tls_in = engine.facts()
        if conn.tls_in.sni is not None:
            conn.tls_in.sni = taint(conn.tls_in.sni)
        keep = session.main.tls_remember_esmtp and conn.esmtp and not self._on_connect
        if not self._on_connect:
            # The client begins anew; what it said in clear may have been somebody else's words.
            session.forget_client(keep_esmtp=keep)
            core.tls_started(keep_esmtp=keep)
            conn.received_protocol = f"{'local-' if session.local else ''}{'e' if keep else ''}smtps"
        if session.auth.servers:
            session.auth.by_certificate(session)
        if self._on_connect and not session.open_encrypted():
            core.close()
        early = engine.read()
        if early:
            core.receive_data(early)

    def _tell_of_certificate(self, session: Session, engine: Engine) -> None:
        for line in engine.verify_errors:
            address = session.conn.sender_host_address
            session.log.main(f"[{address}] {line}" if address else line)

    def _failed(self, session: Session, failure: TlsFailure) -> None:
        host = host_and_ident(session.conn, session.log, use_h=False)
        session.log.main(f"TLS error on connection from {host} {failure}")

    def _give_up(self, session: Session, failure: TlsFailure) -> None:
        """End the session: what the other side would say now cannot be understood."""
        self.pending = False
        self._engine = None
        self._failed(session, failure)
        session.notquit_reason = "tls-failed"
        if session.logged_connection:
            session.log.main(f"{connection_info(session.conn, session.log, inetd=session.inetd)} closed by EOF",
                             selector="smtp_connection")
        session.core.close()


# -- settings

def on_connect_ports(main: MainOptions) -> frozenset[int]:
    """Return the ports on which TLS begins at once."""
    found = set()
    for item in split_list(main.tls_on_connect_ports or ""):
        if is_digits(item):
            found.add(int(item[:6]))
        else:
            import socket

            try:
                found.add(socket.getservbyname(item, "tcp"))
            except OSError:
                continue
    return frozenset(found)


def contexts_of(config: Configuration) -> tls.Contexts:
    """Return where a configuration's contexts are kept."""
    found: tls.Contexts | None = config.compiled.get("tls")
    if found is None:
        found = config.compiled["tls"] = tls.Contexts()
    return found


def settings_of(main: MainOptions, scope: Scope, *, verify: bool, tickets: bool) -> ServerSettings:
    """Return the expanded settings for a client; raises TlsFailure, after a line in the log, where that fails."""
    def value(name: str) -> str | None:
        source: str | None = getattr(main, name)
        if not source or is_literal(source):
            return source
        try:
            return expand(source, scope)
        except ForcedFail:
            return None
        except ExpansionError as e:
            scope.services.log.panic(f"expansion of {name} failed: {e.text}")
            raise TlsFailure(INTERNAL, configuration=True) from None

    def items(name: str) -> tuple[str, ...]:
        return tuple(x for x in split_list(value(name) or "") if x)

    return ServerSettings(
        certificates=items("tls_certificate"), privatekeys=items("tls_privatekey"),
        verify_certificates=(value("tls_verify_certificates") or "") if verify else "",
        crl=(value("tls_crl") or "") if verify else "", ciphers=value("tls_require_ciphers") or None,
        options=main.openssl_options or "", tickets=tickets, dhparam=value("tls_dhparam") or "",
        dh_max_bits=main.tls_dh_max_bits, curves=_curves(value("tls_eccurve")), alpn=items("tls_alpn"),
        ocsp=items("tls_ocsp_file"), hostname=main.primary_hostname or "")


def _curves(text: str | None) -> str:
    return "auto" if text is None else ":".join(x for x in split_list(text) if x)


_OPTIONS: Final = ("tls_certificate", "tls_privatekey", "tls_verify_certificates", "tls_crl", "tls_require_ciphers",
                   "tls_dhparam", "tls_eccurve", "tls_alpn", "tls_ocsp_file")


def prepare(config: Configuration, services: Services, *, on_connect: bool) -> None:
    """Make ahead what does not depend on a client, in the daemon before it forks; say what is wrong with TLS.

    The children then share the certificate of our own making and the keys of session tickets.
    """
    main = config.main
    if not (main.tls_advertise_hosts or main.tls_on_connect_ports or on_connect):
        return
    missing = tls.missing()
    if missing:
        services.log.main(f"Warning: TLS is not offered: {missing}")
        return
    if not main.tls_certificate:
        services.log.main("Warning: No server certificate defined; will use a selfsigned one.\n Suggested action: "
                          "either install a certificate or change tls_advertise_hosts option")
    if not all(is_literal(getattr(main, name) or "") for name in _OPTIONS):
        return
    verify = bool(main.tls_verify_hosts or main.tls_try_verify_hosts)
    try:
        contexts_of(config).get(settings_of(main, Scope(config, services), verify=verify,
                                            tickets=bool(main.tls_resumption_hosts)))
    except TlsFailure as e:
        services.log.main(f"Warning: TLS cannot be used as it is configured: {e}")
