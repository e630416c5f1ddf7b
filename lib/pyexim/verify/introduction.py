"""What stands between the greeting and MAIL of a callout: TLS and authentication, as in a delivery by the transport.

Spec: section "Callout verification"; hosts_verify_avoid_tls and the options of the transport's modules for both.
"""

from __future__ import annotations

from pyexim.auth.client import Authenticated
from pyexim.expand.scope import Scope
from pyexim.model.host import Host
from pyexim.smtp.client import Answer, Awaited, Awaiting
from pyexim.transports import smtp_auth, smtp_tls
from pyexim.transports import smtp_errors as errors
from pyexim.transports.smtp import Smtp
from pyexim.transports.smtp_errors import Failure
from pyexim.transports.smtp_hosts import Unable
from pyexim.verify.talk import Talk, TalkFailed


def start_tls(transport: Smtp, helo: str, talk: Talk, host: Host, scope: Scope, *,
              wanted: bool) -> Failure | None:
    """Ask for TLS where a delivery would, and introduce ourselves again; why not, where it must be."""
    if not wanted or not smtp_tls.wanted(transport, host, talk.capabilities, scope, verifying=True):
        return smtp_tls.required(transport, host, scope, smtp_tls.NOT_OFFERED)
    try:
        code = talk.command("STARTTLS")
    except TalkFailed as e:
        return _lost(e, Awaited(Awaiting.STARTTLS, "STARTTLS"), talk, host)
    if code // 100 != 2:
        return smtp_tls.refused(transport, host, Answer(code, talk.response), scope)
    failure = encrypt(transport, talk, host, scope)
    if failure is None:
        talk.hello(helo, lmtp=transport.lmtp)
    return failure


def encrypt(transport: Smtp, talk: Talk, host: Host, scope: Scope) -> Failure | None:
    """Encrypt the connection of a call."""
    message_id = scope.message.message_id if scope.message is not None else None
    made = smtp_tls.encrypt(transport, talk.plain(), host, scope, talk.timeout, message_id)
    if isinstance(made, Failure):
        talk.encrypted(None)
        return made
    talk.encrypted(made[0])
    smtp_tls.publish(made[1], [], scope)
    return None


def identify(transport: Smtp, talk: Talk, host: Host, scope: Scope) -> str | Failure | None:
    """Authenticate as a delivery would; what AUTH= of MAIL is to say, or why we cannot go on."""
    authenticated = False
    try:
        want = smtp_auth.wanted(transport, host, scope)
        if want and "AUTH" not in talk.capabilities:
            if want == smtp_auth.REQUIRED:
                return smtp_auth.required(smtp_auth.NOT_OFFERED, host)
        elif want:
            outcome = _authenticate(transport, talk, host, scope)
            failure = outcome if isinstance(outcome, Failure) else smtp_auth.judge(outcome, want, host)
            if failure is not None:
                return failure
            authenticated = isinstance(outcome, Authenticated) and bool(outcome.name)
        return smtp_auth.mail_parameter(transport, authenticated, scope)
    except Unable as e:
        return Failure(errors.HOST, e.text, e.errno)


def _authenticate(transport: Smtp, talk: Talk, host: Host, scope: Scope) -> Authenticated | Failure:
    """Go through the conversation about who we are."""
    message_id = scope.message.message_id if scope.message is not None else None
    conversation = smtp_auth.conversation(transport, host, talk.capabilities["AUTH"], scope, message_id)
    try:
        line = next(conversation)
        while True:
            code = talk.command(line.text, line.shown)
            line = conversation.send(Answer(code, talk.response))
    except StopIteration as end:
        outcome: Authenticated = end.value
        return outcome
    except TalkFailed as e:
        return _lost(e, Awaited(Awaiting.AUTH, talk.sent), talk, host)


def _lost(error: TalkFailed, what: Awaited, talk: Talk, host: Host) -> Failure:
    """Return what a delivery would say of an answer that did not come, or was none."""
    if error.error is None:
        return errors.malformed(what, talk.response, host)
    return errors.timed_out(what, host, 0) if isinstance(error.error, TimeoutError) else errors.closed(what, host, None)
