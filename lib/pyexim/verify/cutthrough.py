"""Cutthrough delivery, the side of the other host: a connection that is held while its message is received.

The first recipient of a message opens it as a callout does (EHLO, MAIL, RCPT), others join it, and once the whole
message is here and no ACL has refused it, it is sent, so that the client can be told what the other host says of it.
Nothing of the message is sent before: one that an ACL refuses at its end costs the other host nothing, and there is
no half-sent message in a session that moves to another process.  Whatever does not suit (``suits``) ends the
connection, and the message goes to the spool as if nothing had been asked for.

Spec: section "Use of the control modifier", control = cutthrough_delivery.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.transports.smtp import Smtp
from pyexim.transports.write import Copy, WriteError, envelope_recipient, stream_smtp
from pyexim.verify.api import DEFER, FAIL, OK, Verified, VerifyOptions
from pyexim.verify.callout import Plan, hosts_of, open_talk, plan_of
from pyexim.verify.talk import Talk, TalkFailed

_UNFIT: Final = ("transport_filter", "dkim_domain", "socks_proxy", "event_action", "return_path", "shadow_transport",
                 "hosts_require_tls", "hosts_require_dane", "hosts_require_auth", "hosts_try_auth", "serialize_hosts",
                 "max_parallel", "body_only", "headers_only", "authenticated_sender_force")
"""Options of a transport with which a delivery is more than what is done here."""


class Cutthrough:
    """The held connection of one message; ``active`` until it is used or given up."""

    def __init__(self, *, pass_deferral: bool) -> None:
        """``pass_deferral``: what the other host defers is not spooled, the client hears of it (defer=pass)."""
        self.pass_deferral = pass_deferral
        self.active = True
        self.batch: list[Address] = []
        """The recipients that the other host has accepted, as routed."""
        self.host: Host | None = None
        self.port = 0
        self.started = 0.0
        """When the connection was asked for."""
        self._talk: Talk | None = None

    # -- recipients

    def join(self, address: Address, scope: Scope) -> Verified:
        """Ask the host of a recipient that has been routed; OK also where nobody was asked.

        FAIL and (with defer=pass) DEFER are for the client.
        """
        try:
            if not self.active or not suits(address) or (self.batch and not self._shares(address)):
                self.end()
                return Verified(OK, address=address)
            if self._talk is None and not self._open(address, scope):
                return Verified(OK, address=address)
            assert self._talk is not None
            recipient = envelope_recipient(address, affixes=address.transport.options.rcpt_include_affixes)
            code = self._talk.command(f"RCPT TO:<{recipient}>")
            if code // 100 == 2:
                self.batch.append(address)
                return Verified(OK, address=address)
            return self._refused(address, code, self._talk.error(), self._talk.response)
        except TalkFailed as e:
            return self._refused(address, e.code, e.text, e.response)
        except ExpansionError as e:
            self.end()
            scope.services.log.panic(f"cutthrough delivery: failed to expand a setting: {e.text}")
            return Verified(OK, address=address)

    def _refused(self, address: Address, code: int, text: str, response: str) -> Verified:
        """Give the connection up; a permanent refusal is the recipient's, a temporary one as defer= says."""
        host = self.host
        self.end()
        log = f"{host.name} [{host.address}] : {text}" if host is not None else text
        if code >= 500:
            return Verified(FAIL, f"Callout verification failed:\n{response}", log, "recipient", address, callout=True)
        if self.pass_deferral:
            return Verified(DEFER, response if code else "", log, "recipient", address, callout=True)
        return Verified(OK, address=address)

    def _shares(self, address: Address) -> bool:
        """Tell whether a further recipient can go down the same connection, in the same transaction."""
        first = self.batch[0]
        options = first.transport.options
        limit = options.max_rcpt
        return (address.transport is first.transport
                and [(h.name, h.address, h.port) for h in address.host_list] ==
                [(h.name, h.address, h.port) for h in first.host_list]
                and (address.headers_add, address.headers_remove) == (first.headers_add, first.headers_remove)
                and isinstance(limit, int) and (limit <= 0 or len(self.batch) < limit)
                and (options.multi_domain is True or address.domain == first.domain))

    def _open(self, address: Address, scope: Scope) -> bool:
        """Connect and say MAIL; False where this is no connection to be used.  TalkFailed, ExpansionError."""
        message = scope.message
        assert message is not None
        plan = plan_of(address, "recipient", scope, VerifyOptions(callout_options={"use_sender": ""}))
        self.started = scope.services.clock.time()
        failure: TalkFailed | None = None
        for host in hosts_of(address, scope):
            try:
                self.host, self.port = host, host.port or plan.port
                self._talk = self._greet(plan, host, scope)
                break
            except TalkFailed as e:
                if e.code >= 500:
                    raise
                failure = e
        if self._talk is None:
            if failure is not None:
                raise failure
            self.end()
            return False
        if "STARTTLS" in self._talk.capabilities and not _in_clear(address, self.host, scope):
            self.end()  # the delivery from the spool may encrypt
            return False
        size = ""
        addition = address.transport.options.size_addition
        if message.message_size > 0 and addition >= 0 and "SIZE" in self._talk.capabilities:
            size = f" SIZE={message.message_size + addition}"
        code = self._talk.command(f"MAIL FROM:<{message.sender_address}>{size}")
        if code // 100 != 2:
            raise TalkFailed(self._talk.error(), code, self._talk.sent, self._talk.response)
        return True

    @staticmethod
    def _greet(plan: Plan, host: Host, scope: Scope) -> Talk:
        talk = open_talk(plan, host, scope)
        try:
            talk.greeting()
            talk.hello(plan.helo, lmtp=False)
        except TalkFailed:
            talk.quit()
            raise
        return talk

    # -- the message

    def data(self) -> bool:
        """Say DATA; False where the host does not want it, and the connection is at an end."""
        talk = self._talk
        try:
            if talk is not None and talk.command("DATA") // 100 == 3:
                return True
        except TalkFailed:
            pass
        self.end()
        return False

    def send(self, copy: Copy) -> tuple[int, str]:
        """Send the message: (code, reply), code 0 where there was none that makes sense.

        WriteError where it cannot be read.
        """
        talk, options = self._talk, self.batch[0].transport.options
        assert talk is not None
        try:
            for piece in stream_smtp(copy.chunks()):
                talk.write(piece, monotonic() + options.data_timeout)
            code = talk.command(".", timeout=options.final_timeout)
            return (code, talk.response) if code // 100 in (2, 4, 5) else (0, "")
        except TalkFailed:
            return 0, ""
        except WriteError:
            talk.drop()  # without its end the message does not count
            raise
        finally:
            self.end()

    # -- the end

    def end(self) -> None:
        """Give the connection up, with a word."""
        self.active = False
        if self._talk is not None:
            talk, self._talk = self._talk, None
            talk.quit()

    def left_to_another(self) -> None:
        """Forget the connection: a process forked from this one goes on with it."""
        if self._talk is not None:
            talk, self._talk = self._talk, None
            talk.drop()


def suits(address: Address) -> bool:
    """Tell whether an address is delivered by SMTP and nothing else, once."""
    transport = address.transport
    if getattr(transport.driver, "protocol", "") != "smtp" or address.errors_address is not None:
        return False
    options = transport.options
    if any(getattr(options, name, None) not in (None, "", False, 0) for name in _UNFIT):
        return False
    if options.message_size_limit not in (None, "0"):
        return False
    one: Address | None = address
    while one is not None:
        if one.router is not None and getattr(one.router.options, "unseen", False) is not False:
            return False
        one = one.parent
    return True


def _in_clear(address: Address, host: Host | None, scope: Scope) -> bool:
    """Tell whether a host is one with which TLS is not to be tried."""
    driver: Smtp = address.transport.driver
    return host is not None and any(driver.in_list(name, host, scope)
                                    for name in ("hosts_avoid_tls", "hosts_verify_avoid_tls"))
