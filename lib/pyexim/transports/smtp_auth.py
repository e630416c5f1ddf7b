"""Authentication in the smtp transport: with whom, what follows from its outcome, and AUTH= of MAIL.

How the mechanisms go is in ``auth/``.  Callouts do as deliveries do.

Spec: section "Authentication by an Exim client"; options hosts_try_auth, hosts_require_auth, authenticated_sender.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.host import Host
from pyexim.retry.errors import ERRNO_AUTHFAIL, ERRNO_AUTHPROB, ERRNO_EXPANDFAIL
from pyexim.smtp.client import Awaited, Awaiting
from pyexim.transports import smtp_errors as errors
from pyexim.transports.base import TransportRun
from pyexim.transports.smtp_errors import HOST, Failure
from pyexim.transports.smtp_hosts import Attempt, Unable

if TYPE_CHECKING:
    from pyexim.auth.base import Authenticator
    from pyexim.auth.client import Authenticated, Conversation
    from pyexim.transports.smtp import Smtp
    from pyexim.transports.smtp_session import Session

NOT_OFFERED = "server did not advertise AUTH support"
REQUIRED, TRIED, UNWANTED = "required", "tried", ""


def wanted(transport: Smtp, host: Host, scope: Scope) -> str:
    """Tell whether we authenticate with a host: REQUIRED, TRIED or UNWANTED."""
    if not transport.may_authenticate:
        return UNWANTED
    if transport.in_list("hosts_require_auth", host, scope):
        return REQUIRED
    return TRIED if transport.in_list("hosts_try_auth", host, scope) else UNWANTED


def identity(transport: Smtp, host: Host, scope: Scope) -> str:
    """Return what must be the same for two messages that use one connection: as whom we authenticate."""
    want = wanted(transport, host, scope)
    if not want:
        return ""
    from pyexim.auth.client import fingerprint  # only where a transport authenticates

    return f" {want} {fingerprint(_clients(scope), scope)}"


def conversation(transport: Smtp, host: Host, mechanisms: str, scope: Scope, message_id: str | None) -> Conversation:
    """Return the conversation that authenticates us with a host."""
    from pyexim.auth.client import authenticate as converse

    told = None
    if transport.options.event_action is not None:
        told = functools.partial(_tell, transport, scope)
    return converse(_clients(scope), mechanisms, scope, f"H={host.name} [{host.address}]", message_id, told)


def authenticate(transport: Smtp, session: Session, attempt: Attempt, run: TransportRun) -> Failure | None:
    """Authenticate with a host where the options want that; the failure if the message is not to go there now.

    Raises Unable, after the session's end, where the configuration does not let the message be sent at all.
    """
    scope, host = run.scope, attempt.host
    want = wanted(transport, host, scope)
    if not want:
        return None
    mechanisms = session.client.capabilities.get("AUTH")
    if mechanisms is None:
        return required(NOT_OFFERED, host) if want == REQUIRED else None
    outcome = session.authenticate(conversation(transport, host, mechanisms, scope, run.message.message_id))
    if isinstance(outcome, Failure):
        return outcome
    if outcome.name:
        session.authenticated = True
        attempt.auth = (outcome.name, outcome.set_id)
    try:
        return judge(outcome, want, host)
    except Unable:
        session.quit()
        raise


def judge(outcome: Authenticated, want: str, host: Host) -> Failure | None:
    """Return why a host cannot have the message, None where it can.  Raises Unable where no host can."""
    from pyexim.auth.base import ERROR
    from pyexim.auth.client import CONTENT, REFUSED

    if outcome.status == CONTENT:
        return None
    if outcome.status == ERROR:
        raise Unable(outcome.text, ERRNO_AUTHPROB, panic=False)
    if outcome.status == REFUSED and outcome.answer is not None:
        return errors.refused(Awaited(Awaiting.AUTH, outcome.shown), outcome.answer, host)
    return required(outcome.text, host) if want == REQUIRED else None


def mail_parameter(transport: Smtp, authenticated: bool, scope: Scope) -> str | None:
    """Return what AUTH= of MAIL is to say, None for nothing.  Raises Unable."""
    source, text = transport.options.authenticated_sender, ""
    if source is not None:
        try:
            text = expand(source, scope)
        except ForcedFail:
            pass  # as if it were not set
        except ExpansionError as e:
            raise Unable(f"failed to expand authenticated_sender: {e.text}", ERRNO_EXPANDFAIL, panic=False) from None
    if not (authenticated or transport.options.authenticated_sender_force):
        return None
    message, conn = scope.message, scope.conn
    if not text and message is not None:
        text = message.authenticated_sender or ""
    if not text and conn is not None:
        text = conn.authenticated_sender or ""
    return text or None


def _clients(scope: Scope) -> list[Authenticator]:
    return scope.config.compiled.get("auth_clients") or []


def required(text: str, host: Host) -> Failure:
    """Return the failure of a host that we must authenticate with, and have not."""
    return Failure(HOST, f"authentication required but {text}", ERRNO_AUTHFAIL, errors.detail(host), with_host=False)


def _tell(transport: Smtp, scope: Scope, name: str, reply: str) -> None:
    """Tell of a refusal, with the authenticator's name where servers have it."""
    scope.vars["sender_host_authenticated"] = name
    try:
        transport.event("auth:fail", scope, reply)
    finally:
        del scope.vars["sender_host_authenticated"]
