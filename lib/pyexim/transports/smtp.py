"""The smtp transport: deliver over TCP/IP by SMTP or LMTP.

What is here: the options, and the conversation with one host at a time, over a new connection or a live one.
The order of hosts, retry times and limits are in ``smtp_hosts``, the session in ``smtp_session``, the
kinds of error in ``smtp_errors``, connections that wait for another message in ``smtp_pool``.

Spec: chapters "The smtp transport" and "SMTP processing".
"""

from __future__ import annotations

import functools
from typing import Any

from pyexim.base.errors import ExpansionError, ForcedFail, RemoteProtocolError
from pyexim.config.configuration import Instance
from pyexim.expand.engine import expand
from pyexim.expand.event import fire
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_host_address
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.net.channel import Channel
from pyexim.net.connect import connect_tcp, dscp_value
from pyexim.retry.errors import ERRNO_EXPANDFAIL, ERRNO_TLSREQUIRED
from pyexim.smtp.client import Awaited, Awaiting, SmtpClient
from pyexim.transports import smtp_auth, smtp_tls, write
from pyexim.transports import smtp_errors as errors
from pyexim.transports.base import DEFER, FAIL, Result, Transport, TransportRun
from pyexim.transports.smtp_errors import HOST, Failure
from pyexim.transports.smtp_hosts import (
    SERIALIZE_LIFE,
    Attempt,
    HostLoop,
    Unable,
    expand_interface,
    find_port,
    host_list,
)
from pyexim.transports.smtp_options import SmtpOptions
from pyexim.transports.smtp_pool import LiveConnection, connection_key
from pyexim.transports.smtp_session import Limits, Sent, Session, local_name, make_envelope


class Smtp(Transport):
    """Deliver over TCP/IP."""

    Options = SmtpOptions
    options: SmtpOptions
    is_local = False

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        o = self.options
        self.protocol = o.protocol or "smtp"
        self.lmtp = self.protocol == "lmtp"
        self.limits = Limits(o.command_timeout, o.data_timeout, o.final_timeout)
        self.may_authenticate = bool(self.options.hosts_try_auth or self.options.hosts_require_auth)
        self._dscp: int | None = None

    def check(self) -> None:
        o = self.options
        if self.protocol not in ("smtp", "lmtp", "smtps"):
            raise self.wrong(f"unknown protocol \"{self.protocol}\"", "protocol")
        for name in ("command_timeout", "data_timeout", "final_timeout"):
            if getattr(o, name) <= 0:
                raise self.wrong(f"command, data, or final timeout value is zero for {self.name} transport", name,
                                 named=False)
        if o.dscp is not None and "$" not in o.dscp and (value := dscp_value(o.dscp)) is None:
            raise self.wrong(f"dscp \"{o.dscp}\" is not known", "dscp")
        else:
            self._dscp = value if o.dscp is not None and "$" not in o.dscp else None

    # -- delivery

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        limit = self.options.message_linelength_limit
        if limit > 0 and run.message.max_received_linelength > limit:
            return [Result(a, FAIL, "message has lines too long for transport") for a in batch]
        scope = run.scope
        try:
            self._refuse_missing_features(run)
            port = find_port(self.options.port, self.protocol, scope, self.name)
            hosts = host_list(self, batch, run)
            return HostLoop(self, batch, run, hosts, port).go()
        except Unable as e:
            return [e.result(a) for a in batch]
        except write.WriteError as e:
            return [Result(a, DEFER, e.text, e.errno) for a in batch]
        finally:
            scope.host = None

    def _refuse_missing_features(self, run: TransportRun) -> None:
        """Defer where an option wants something that is not there and that must not be left out in silence."""
        o = self.options
        for name in ("socks_proxy", "dkim_strict"):
            source = getattr(o, name)
            if not source:
                continue
            try:
                value = expand(source, run.scope)
            except ForcedFail:
                continue
            except ExpansionError as e:
                raise Unable(f"{self.name} transport: {name}: {e.text}") from None
            if value and value not in ("0", "false", "no"):
                raise Unable(f"{self.name} transport: {name} is set, and this build cannot do that")

    def interface_for(self, host: Host, scope: Scope) -> str | None:
        """Return the address to connect from, None for the system's choice.  Raises Unable."""
        source = self.options.interface
        return None if source is None else expand_interface(source, host, scope, self.name)

    def in_list(self, name: str, host: Host, scope: Scope) -> bool:
        """Tell whether a host is in one of the host lists; a list that cannot be checked does not match."""
        source = getattr(self.options, name)
        if source is None or source == "":
            return False
        if source == "*":
            return True
        return bool(match_host_address(host.name, host.address or "", source, scope, name=name))

    # -- one host

    def converse(self, attempt: Attempt, batch: list[Address], run: TransportRun) -> Sent | Failure:
        """Deliver to one host, down a live connection where there is one."""
        scope, host = run.scope, attempt.host
        copy = write.prepare(batch, run, self.options)
        helo = self._helo(run)
        identity = f"{helo or self.options.helo_data} {attempt.interface or ''}"
        if self.may_authenticate:
            identity += smtp_auth.identity(self, host, scope)
        identity += smtp_tls.identity(self, host, scope)
        key = connection_key(self.name, host.name, host.address or "", attempt.port, identity)
        conn = run.continued
        if conn is not None and self.in_list("hosts_require_tls", host, scope):
            conn.close_quietly()  # what is passed to us is not encrypted
            conn = run.continued = None
        if conn is None and scope.services.pool is not None:
            conn = scope.services.pool.take([key])
        else:
            run.continued = None
        if conn is not None:
            outcome = self._over(conn, key, attempt, batch, run, copy, helo)
            if not (isinstance(outcome, Failure) and not outcome.answered) and not _gone_away(outcome):
                return outcome
            # The server has closed an idle connection, which it may: this says nothing about the host.
            attempt.flags.clear()
            attempt.auth, attempt.tls = None, {}
        opened = self._open(attempt, batch, run, helo)
        if isinstance(opened, Failure) and smtp_tls.in_clear(self, opened, host, scope, run.message.message_id):
            attempt.flags.clear()
            opened = self._open(attempt, batch, run, helo, encrypt=False)
        if isinstance(opened, Failure):
            return opened
        session, name = opened
        refused = self._require(host, scope)
        if refused is None and self.may_authenticate:
            refused = smtp_auth.authenticate(self, session, attempt, run)
        if refused is not None:
            session.leave(refused)
            return refused
        sent = self._send(session, attempt, batch, run, copy)
        self._part(session, sent, attempt, key, name, run, 1)
        return sent

    def _helo(self, run: TransportRun) -> str | None:
        """Return the name to introduce ourselves by; None where it depends on the connection."""
        source = self.options.helo_data
        if source is None or source == "$primary_hostname":
            return run.scope.services.primary_hostname
        if "$" not in source and "\\" not in source:
            return _in_ascii(source, run.scope)
        return None

    def _helo_now(self, run: TransportRun, local: tuple[str, int]) -> str:
        source = self.options.helo_data
        assert source is not None
        variables = run.scope.vars
        variables["sending_ip_address"], variables["sending_port"] = local[0], str(local[1])
        try:
            return _in_ascii(expand(source, run.scope), run.scope)
        except ExpansionError as e:
            raise Unable(f"failed to expand helo_data: {e.text}", ERRNO_EXPANDFAIL) from None
        finally:
            del variables["sending_ip_address"], variables["sending_port"]

    def _open(self, attempt: Attempt, batch: list[Address], run: TransportRun, helo: str | None, *,
              encrypt: bool = True) -> tuple[Session, str] | Failure:
        """Connect and introduce ourselves, encrypted where that is wanted (and ``encrypt``)."""
        o, host, scope = self.options, attempt.host, run.scope
        dscp = self._dscp
        if dscp is None and o.dscp is not None:
            try:
                dscp = dscp_value(expand(o.dscp, scope))
            except ExpansionError as e:
                raise Unable(f"failed to expand dscp for {self.name} transport: {e.text}") from None
        if o.event_action is not None and self.event("tcp:connect", scope):
            return Failure(HOST, "", errors.ERRNO_EVENT, errors.detail(host), with_host=False)
        debug = scope.services.debug
        dialogue = debug.dialogue() if debug is not None else None
        if dialogue is not None:
            dialogue.connecting(host.name, host.address or "", attempt.port, attempt.interface)
        try:
            sock = connect_tcp(host.address or "", attempt.port, timeout=o.connect_timeout,
                               interface=attempt.interface, keepalive=o.keepalive, dscp=dscp)
        except OSError as e:
            if dialogue is not None:
                dialogue.failed(e.strerror or str(e))
            return errors.connect_failed(e, host)
        if dialogue is not None:
            dialogue.connected()
        session = Session(Channel(sock), host, self.limits, SmtpClient(lmtp=self.lmtp), dialogue)
        greeted = None
        if o.event_action is not None:
            session.on_close = functools.partial(self.event, "tcp:close", scope)
            greeted = functools.partial(self._greeted, host, scope)
        local = local_name(sock)
        attempt.flags.append(f"interface={local[0]}:{local[1]}")
        smtp_tls.publish(None, batch, scope)
        if self.protocol == "smtps" and (failure := self._encrypt(session, attempt, batch, run)) is not None:
            return failure
        try:
            name = helo if helo is not None else self._helo_now(run, local)
        except Unable as e:
            session.quit()
            scope.services.log.main(f"H={host.name} [{host.address}]: {e.text}", message_id=run.message.message_id)
            return errors.Failure(errors.HOST, e.text, e.errno, with_host=False)
        failure = session.start(name, extended=not self.in_list("hosts_avoid_esmtp", host, scope), greeted=greeted)
        if failure is None and self.protocol != "smtps":
            failure = self._start_tls(session, attempt, batch, run, name, encrypt=encrypt)
        if failure is not None:
            session.leave(failure)
            return failure
        if o.event_action is not None and session.client.hello_answer is not None:
            self.event("smtp:ehlo", scope, session.client.hello_answer.text)
        return session, name

    def _start_tls(self, session: Session, attempt: Attempt, batch: list[Address], run: TransportRun, helo: str, *,
                   encrypt: bool) -> Failure | None:
        """Ask for TLS where that is wanted, and introduce ourselves again; why not, where it must be."""
        host, scope = attempt.host, run.scope
        if not encrypt or not smtp_tls.wanted(self, host, session.client.capabilities, scope):
            return smtp_tls.required(self, host, scope, smtp_tls.NOT_OFFERED)
        answer = session.start_tls()
        if isinstance(answer, Failure):
            return answer
        if not answer.positive:
            return smtp_tls.refused(self, host, answer, scope)
        return self._encrypt(session, attempt, batch, run) or session.hello(helo)

    def _encrypt(self, session: Session, attempt: Attempt, batch: list[Address], run: TransportRun) -> Failure | None:
        """Encrypt the connection; the failure, after which there is none."""
        host, plain = attempt.host, session.channel
        assert isinstance(plain, Channel)
        try:
            session.client.tls_started()
        except RemoteProtocolError as e:
            session.drop()
            return errors.malformed(Awaited(Awaiting.STARTTLS, "STARTTLS"), e.text, host)
        made = smtp_tls.encrypt(self, plain, host, run.scope, self.limits.command, run.message.message_id)
        if isinstance(made, Failure):
            session.drop()
            made.quit = False
            return made
        session.channel, session.tls = made
        smtp_tls.publish(session.tls, batch, run.scope)
        attempt.tls = smtp_tls.log_facts(session.tls)
        return None

    def event(self, name: str, scope: Scope, data: str = "", errno: int = 0) -> str:
        """Expand event_action, which is set, for one event; the text that came of it."""
        return fire(self.options.event_action or "", scope, name, data, errno, where=f"{self.name} transport")

    def _greeted(self, host: Host, scope: Scope, banner: str) -> Failure | None:
        """Tell of the server's greeting; the failure if the event says to go away."""
        text = self.event("smtp:connect", scope, banner)
        if not text:
            return None
        return Failure(HOST, f"deferred by smtp:connect event expansion: {text}", ERRNO_EXPANDFAIL,
                       errors.detail(host))

    def _require(self, host: Host, scope: Scope) -> Failure | None:
        """Refuse to go on where the options want of TLS what is not there."""
        detail = errors.detail(host)
        for name in ("hosts_require_ocsp", "hosts_require_alpn"):
            if self.in_list(name, host, scope):
                return Failure(HOST, f"{name} matches, and this build cannot do that", ERRNO_TLSREQUIRED, detail)
        if self.in_list("hosts_require_dane", host, scope):
            return Failure(HOST, "DANE is required (hosts_require_dane), and this build does not have it",
                           ERRNO_TLSREQUIRED, detail)
        return None

    def _over(self, conn: LiveConnection, key: str, attempt: Attempt, batch: list[Address], run: TransportRun,
              copy: write.Copy, helo: str | None) -> Sent | Failure:
        """Deliver down a live connection."""
        host = attempt.host
        debug = run.scope.services.debug
        dialogue = debug.dialogue() if debug is not None else None
        session = Session(conn.channel or Channel(conn.sock), host, self.limits,
                          SmtpClient(lmtp=self.lmtp, capabilities=conn.capabilities), dialogue)
        attempt.flags += ["continued", f"interface={conn.local[0]}:{conn.local[1]}"]
        session.authenticated, session.tls = bool(conn.facts.get("authenticated")), conn.facts.get("tls")
        if session.tls is not None:
            smtp_tls.publish(session.tls, batch, run.scope)
            attempt.tls = smtp_tls.log_facts(session.tls, continued=True)
        name = conn.helo
        if conn.capabilities is None:
            # What -MC passes says nothing of the server's abilities.
            name = helo if helo is not None else self._helo_now(run, conn.local)
            failure = session.hello(name, extended=not self.in_list("hosts_avoid_esmtp", host, run.scope))
            if failure is not None:
                session.leave(failure)
                return failure
        sent = self._send(session, attempt, batch, run, copy)
        self._part(session, sent, attempt, key, name, run, conn.messages + 1)
        return sent

    def _send(self, session: Session, attempt: Attempt, batch: list[Address], run: TransportRun,
              copy: write.Copy) -> Sent:
        o, scope, host, client = self.options, run.scope, attempt.host, session.client
        message = run.message
        sender = run.return_path
        recipients = [write.envelope_recipient(a, affixes=o.rcpt_include_affixes) for a in batch]
        smtputf8 = message.smtputf8
        if smtputf8:
            from pyexim.transports.smtp_utf8 import is_converted, to_ascii  # rarely used
            try:
                if is_converted(o.utf8_downconvert, message, scope, offered="SMTPUTF8" in client.capabilities):
                    sender, recipients = to_ascii(sender, scope), [to_ascii(x, scope) for x in recipients]
                    smtputf8 = False
            except ExpansionError as e:
                return Sent(failure=Failure(errors.MESSAGE, f"utf8_downconvert: {e.text}", ERRNO_EXPANDFAIL))
        if smtputf8 and "SMTPUTF8" not in client.capabilities:
            return Sent(failure=Failure(errors.MESSAGE, "utf8 support required but not offered for forwarding", 0,
                                        errors.detail(host), permanent=True))
        if o.hosts_avoid_pipelining is not None:
            client.pipelining = not self.in_list("hosts_avoid_pipelining", host, scope)
        try:
            authenticated = smtp_auth.mail_parameter(self, session.authenticated, scope)
        except Unable:
            session.quit()
            raise
        envelope = make_envelope(
            batch, recipients, sender, message, client, size_addition=o.size_addition, smtputf8=smtputf8,
            chunking=o.transport_filter is None and self.in_list("hosts_try_chunking", host, scope),
            prdr=len(batch) > 1 and self.in_list("hosts_try_prdr", host, scope),
            ignore_quota=self.lmtp and o.lmtp_ignore_quota, authenticated=authenticated)
        if attempt.auth is not None and authenticated is not None:
            attempt.auth = (*attempt.auth[:2], authenticated)
        if scope.config.main.mua_wrapper:
            envelope.whole, envelope.chunking, envelope.prdr = True, False, False
        sent = session.send(envelope, copy)
        taken = [batch[number] for number, told in sent.told.items() if told.status == "ok"]
        if taken:
            run.delivered(*taken)
        attempt.flags += sent.flags
        return sent

    def _part(self, session: Session, sent: Sent, attempt: Attempt, key: str, helo: str, run: TransportRun,
              count: int) -> None:
        """Park the connection for another message, or say goodbye."""
        pool, limit = run.scope.services.pool, self.options.connection_max_messages
        # With events, a connection is closed where its transport can still tell of it.
        host = attempt.host
        if not sent.usable or pool is None or 0 < limit <= count or self.options.event_action is not None or (
                session.tls is not None and self.in_list("hosts_nopass_tls", host, run.scope)):
            session.leave(sent.failure)
            return
        facts: dict[str, Any] = {"authenticated": session.authenticated}
        channel = None
        if session.tls is not None:
            facts["tls"], channel = session.tls, session.channel
        sock = session.channel.sock if channel is not None else session.channel.detach()
        assert sock is not None
        pool.park(LiveConnection(
            sock=sock, transport=self.name, host_name=host.name, host_address=host.address or "",
            host_port=attempt.port, key=key, lmtp=self.lmtp, capabilities=session.client.capabilities, helo=helo,
            messages=count, limit=limit, local=local_name(sock), facts=facts, channel=channel))

    # -- one connection at a time

    def serialize(self, host: Host, run: TransportRun) -> bool | None:
        """Note that we connect to a host of serialize_hosts: None where it is none, False where another process has."""
        scope = run.scope
        hints = scope.services.hints
        if hints is None or not self.in_list("serialize_hosts", host, scope):
            return None
        now = scope.services.clock.time()
        return bool(hints.count_in("misc", f"host-serialize-{host.name}", 1, now, SERIALIZE_LIFE))

    def end_serialize(self, host: Host, run: TransportRun) -> None:
        """The connection of a host of serialize_hosts is at an end."""
        run.scope.services.hints.count_out("misc", f"host-serialize-{host.name}", run.scope.services.clock.time())


def _gone_away(outcome: Sent | Failure) -> bool:
    """Tell whether a live connection ended before this message got anywhere."""
    if isinstance(outcome, Failure):
        return not outcome.answered
    failure = outcome.failure
    if failure is None or outcome.told:
        return False
    return (not outcome.begun and not failure.answered) or (failure.kind == errors.MESSAGE and ": 421" in failure.text)


def _in_ascii(name: str, scope: Scope) -> str:
    """Return a HELO name in the form that every server understands."""
    if name.isascii():
        return name
    from pyexim.transports.smtp_utf8 import helo_to_ascii  # rarely used
    return helo_to_ascii(name, scope)
