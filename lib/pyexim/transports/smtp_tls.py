"""TLS in the smtp transport: with whom, by which settings, and what follows when it fails.

The encryption is in ``tls/``.  Callouts do as deliveries do.

Spec: chapter "The smtp transport", options hosts_..._tls and tls_...; section "Configuring an Exim client to use TLS".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand
from pyexim.expand.lists import split_list
from pyexim.expand.scope import Scope
from pyexim.model.connection import TlsFacts
from pyexim.model.host import Host
from pyexim.retry.errors import ERRNO_TLSFAILURE, ERRNO_TLSREQUIRED
from pyexim.smtp.client import Answer, Awaited, Awaiting
from pyexim.tls import api as tls
from pyexim.transports import smtp_errors as errors
from pyexim.transports.smtp_errors import HOST, Failure

if TYPE_CHECKING:
    from pyexim.net.channel import Channel
    from pyexim.tls.channel import TlsChannel
    from pyexim.tls.context import Context
    from pyexim.transports.smtp import Smtp

CONTEXT_LIFE: Final = 60.0
"""Seconds that a context is used for: files with certificates may be replaced."""
NOT_OFFERED: Final = "the server did not offer TLS support"
NOT_STARTED: Final = "an attempt to start TLS failed"
_LISTS: Final = ("hosts_require_tls", "hosts_avoid_tls", "tls_verify_hosts", "tls_verify_cert_hostnames")
_VALUES: Final = ("tls_certificate", "tls_privatekey", "tls_verify_certificates", "tls_crl", "tls_require_ciphers",
                  "tls_sni", "tls_alpn")
_contexts: Final[dict[tls.ClientSettings, tuple[float, Context]]] = {}


def wanted(transport: Smtp, host: Host, capabilities: dict[str, str], scope: Scope, *, verifying: bool = False) -> bool:
    """Tell whether STARTTLS is to be said to a host that has these capabilities."""
    if "STARTTLS" not in capabilities or transport.in_list("hosts_avoid_tls", host, scope) or tls.missing():
        return False
    return not (verifying and transport.in_list("hosts_verify_avoid_tls", host, scope))


def identity(transport: Smtp, host: Host, scope: Scope) -> str:
    """Return what must be the same for two messages that use one connection: the settings, as far as they vary."""
    out = "".join(f" {name}" for name in _LISTS if transport.in_list(name, host, scope))
    for name in _VALUES:
        source = getattr(transport.options, name)
        if source is not None and "$" in source:
            try:
                out += f" {name}={_value(transport, name, scope)}"
            except ExpansionError as e:
                out += f" {name}: {e.text}"
    return out


def required(transport: Smtp, host: Host, scope: Scope, why: str) -> Failure | None:
    """Return the failure of a host with which there is no TLS and must be, None where it need not be."""
    if not transport.in_list("hosts_require_tls", host, scope):
        return None
    text = f"a TLS session is required, but {tls.missing() or why}"
    return Failure(HOST, text, ERRNO_TLSREQUIRED, errors.detail(host))


def refused(transport: Smtp, host: Host, answer: Answer, scope: Scope) -> Failure | None:
    """Return what follows from a refusal of STARTTLS; None where the message may go in clear."""
    failure = required(transport, host, scope, NOT_STARTED)
    if failure is None and answer.code < 500 and not transport.options.tls_tempfail_tryclear:
        failure = errors.refused(Awaited(Awaiting.STARTTLS, "STARTTLS"), answer, host)
    return failure


def failed(text: str, host: Host) -> Failure:
    """Return the failure of a TLS session that could not be set up."""
    return Failure(HOST, f"TLS session: {text}", ERRNO_TLSFAILURE, errors.detail(host))


def in_clear(transport: Smtp, failure: Failure, host: Host, scope: Scope, message_id: str | None, *,
             callout: bool = False) -> bool:
    """Tell whether the host is to be asked again without TLS after a failure; it is logged."""
    if failure.errno != ERRNO_TLSFAILURE or transport.protocol == "smtps" or \
            not transport.options.tls_tempfail_tryclear or transport.in_list("hosts_require_tls", host, scope):
        return False
    what = "callout unencrypted to " if callout else "delivering unencrypted to H="
    scope.services.log.main(f"{failure.text}: {what}{host.name} [{host.address}] (not in hosts_require_tls)",
                            message_id=message_id)
    return True


def encrypt(transport: Smtp, channel: Channel, host: Host, scope: Scope, limit: float,
            message_id: str | None) -> tuple[TlsChannel, TlsFacts] | Failure:
    """Make the handshake on a connection; the channel to go on with, and what was agreed."""
    verify = "must" if transport.in_list("tls_verify_hosts", host, scope) else \
        "try" if transport.in_list("tls_try_verify_hosts", host, scope) else "none"
    names = (host.name,) if transport.in_list("tls_verify_cert_hostnames", host, scope) else ()
    try:
        settings = _settings(transport, scope)
        sni = _value(transport, "tls_sni", scope) or ""
        engine = tls.connect(_context(settings), sni=sni, verify=verify, hosts=names)
        encrypted = tls.encrypted(channel, engine)
        encrypted.handshake(channel.monotonic() + limit)
    except ExpansionError as e:
        return failed(e.text, host)
    except tls.TlsFailure as e:
        return failed(str(e), host)
    except TimeoutError:
        return failed("(SSL_connect): timed out", host)
    except OSError as e:
        return failed(f"(SSL_connect): {e.strerror or e}", host)
    for line in engine.verify_errors:
        scope.services.log.main(f"[{host.address}] {line}", message_id=message_id)
    return encrypted, engine.facts()


def log_facts(facts: TlsFacts, *, continued: bool = False) -> dict[str, str]:
    """Return what X=, CV= and DN= of a log line say; the last only for the first message of a connection."""
    out = {"cipher": facts.cipher or "", "verified": "yes" if facts.certificate_verified else "no"}
    if facts.peerdn and not continued:
        out["peerdn"] = facts.peerdn
    return out


def _value(transport: Smtp, name: str, scope: Scope) -> str | None:
    """Return the expansion of an option; None where it is unset, or forced to fail."""
    source: str | None = getattr(transport.options, name)
    if source is None or "$" not in source:
        return source
    try:
        return expand(source, scope)
    except ForcedFail:
        return None
    except ExpansionError as e:
        raise ExpansionError(f"failed to expand {name}: {e.text}") from None


def _settings(transport: Smtp, scope: Scope) -> tls.ClientSettings:
    def many(name: str) -> tuple[str, ...]:
        return tuple(x for x in split_list(_value(transport, name, scope) or "") if x)

    return tls.ClientSettings(
        certificates=many("tls_certificate"), privatekeys=many("tls_privatekey"),
        verify_certificates=_value(transport, "tls_verify_certificates", scope) or "",
        crl=_value(transport, "tls_crl", scope) or "", ciphers=_value(transport, "tls_require_ciphers", scope) or None,
        options=scope.config.main.openssl_options or tls.DEFAULT_OPTIONS, alpn=many("tls_alpn"))


def _context(settings: tls.ClientSettings) -> Context:
    now = time.monotonic()
    known = _contexts.get(settings)
    if known is not None and now - known[0] < CONTEXT_LIFE:
        return known[1]
    for old in [x for x, (made, _) in _contexts.items() if now - made >= CONTEXT_LIFE]:
        del _contexts[old]
    context = tls.client_context(settings)
    _contexts[settings] = now, context
    return context


def publish(facts: TlsFacts | None, batch: list[Any], scope: Scope) -> None:
    """Let $tls_out_... speak of a connection, or of none."""
    scope.facts["tls_out"] = facts
    for address in batch:
        address.tls_out = facts
