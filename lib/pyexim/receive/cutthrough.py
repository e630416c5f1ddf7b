"""Cutthrough delivery, the side of the session: when it applies, and what becomes of the message.

``verify.cutthrough`` holds the connection to the other host.  What the host says at the end decides: it has the
message, and nothing is stored; it refuses, and so do we; it has no time now, and the message is stored for later
(or, with defer=pass, the client is told).  Where anything does not suit, the message is stored as usual.  A crash
at any point leaves either no answer to the client, who still has the message, or a stored one.

Spec: section "Use of the control modifier", control = cutthrough_delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyexim.acl import api as acl
from pyexim.base.record import replace
from pyexim.expand.scope import Scope
from pyexim.model.message import Header, Recipient
from pyexim.receive import arrival
from pyexim.receive.message import Incoming, Outcome
from pyexim.receive.texts import host_and_ident
from pyexim.rewrite.api import has_rules, rewrite_one
from pyexim.transports.base import Result, TransportRun
from pyexim.transports.write import WriteError, prepare
from pyexim.verify import api as verify
from pyexim.verify.cutthrough import Cutthrough

if TYPE_CHECKING:
    from pyexim.receive.session import Session

_NOT_ACCEPTED: Final = "Onward transmission not accepted"


def add_recipient(session: Session, recipient: Recipient) -> acl.AclResult | None:
    """Take a recipient that the ACL has accepted to the other host; what is to be answered instead, if anything.

    The first one opens the connection if its ACL has asked for that, and is the only one that can.
    """
    cut = session.cutthrough
    if cut is None:
        if session.rcpt_count != 1 or not _suits(session):
            return None
        cut = session.cutthrough = Cutthrough(pass_deferral=session.controls.cutthrough_defer_pass)
    if not cut.active:
        return None
    if recipient.dsn_flags:
        cut.end()  # what is to be reported of the delivery, the spool's does
        return None
    session.flush()
    address = str(recipient.address)
    if has_rules(session.config, "T"):
        address = rewrite_one(recipient.address, "T", session.scope)
    accepted = len(cut.batch)
    result = verify.verify_address(address, "recipient", session.scope, verify.VerifyOptions(cutthrough=cut))
    if result.status == verify.OK or not result.callout:
        if len(cut.batch) == accepted:
            cut.end()  # it goes elsewhere
        return None
    if result.status == verify.DEFER:
        reply = result.user_text
        return acl.AclResult(acl.DEFER, user_text=_text(reply), code=int(reply[:3]) if reply else None)
    return acl.AclResult(acl.FAIL)


def _suits(session: Session) -> bool:
    """Tell whether the message may go to the other host while it is received."""
    conn, message, controls = session.conn, session.scope.message, session.controls
    assert message is not None
    return (controls.cutthrough and not conn.host_checking and not conn.batched and not session.main.mua_wrapper
            and "prdr_requested" not in session.scope.vars and not message.smtputf8
            and not message.dsn_ret and message.dsn_envid is None
            and not (controls.queue_only or controls.freeze or controls.fake_code is not None))


def deliver(incoming: Incoming, headers: list[Header], modified: bool) -> Outcome | None:
    """Send a message that no ACL has refused; the answer to the client, or None: it is to be stored.

    ``headers`` are those before the DATA ACL; ``modified`` that it wanted to change them, which then has no effect.
    """
    cut, message, controls = incoming.cutthrough, incoming.message, incoming.controls
    assert cut is not None
    if (not cut.active or incoming.discarded or incoming.chunked or incoming.replies
            or len(cut.batch) != len(message.recipients)
            or controls.freeze or controls.queue_only or controls.fake_code is not None
            or 0 < cut.batch[0].transport.options.message_linelength_limit < message.max_received_linelength):
        cut.end()
        return None
    if modified:
        incoming.log_panic("Header modification in data ACLs will not take effect on cutthrough deliveries")
    if not cut.data():
        return None
    try:
        code, reply = cut.send(prepare(cut.batch, _transport_run(incoming, headers), cut.batch[0].transport.options))
    except WriteError as e:
        cut.end()
        incoming.log_panic(f"cutthrough delivery: {e.text}")
        return None
    log = incoming.scope.services.log
    if code // 100 == 2:
        if modified:
            incoming.use_headers(headers)
        return _delivered(incoming, reply)
    if code >= 500:
        log.reject(_refusal(incoming, "rejected after DATA", reply), message_id=message.message_id,
                   headers=incoming.reject_headers())
        return Outcome(code, _text(reply), problem="cutthrough", detail=reply)
    if code:
        log.main(_refusal(incoming, "tmp-reject from cutthrough after DATA", reply), message_id=message.message_id)
    if cut.pass_deferral:
        text = _text(reply) if code else _NOT_ACCEPTED
        return Outcome(code or 450, text, problem="cutthrough", detail=reply)
    incoming.delivery_can_wait = True  # the host has just been asked
    return None


def _text(reply: str) -> str:
    """Return a reply without its codes."""
    return "\n".join(line[4:] for line in reply.split("\n"))


def _transport_run(incoming: Incoming, headers: list[Header]) -> TransportRun:
    """Return what the transport's options are expanded and the message is written with."""
    cut, new = incoming.cutthrough, incoming.show_body()
    assert cut is not None
    message = replace(incoming.message, headers=headers)
    services = incoming.scope.services
    scope = Scope(incoming.scope.config, services, conn=message.conn, message=message, address=cut.batch[0],
                  transport_name=cut.batch[0].transport.name, host=cut.host)
    return TransportRun(scope=scope, message=message, data_fd=new.data_fd, delivered=lambda *_: 0,
                        return_path=message.sender_address)


def _line(incoming: Incoming, number: int, mark: str, reply: str) -> str:
    """Return the line of a delivery, for one recipient."""
    cut, message = incoming.cutthrough, incoming.message
    assert cut is not None and cut.host is not None
    services = incoming.scope.services
    now = services.clock.time()
    result = Result(cut.batch[number], "ok", confirmation=reply, host_name=cut.host.name,
                    host_address=cut.host.address, host_port=cut.port, seconds=max(0.0, now - cut.started))
    return incoming.run.delivery_line(result, mark, services.log.selected, sender=message.sender_address,
                                      return_path=message.sender_address, queue_seconds=now - incoming.started,
                                      queue_name=message.queue_name, size=message.message_size)


def _refusal(incoming: Incoming, words: str, reply: str) -> str:
    """Return the line of a message that the other host has not taken."""
    cut, conn = incoming.cutthrough, incoming.message.conn
    assert cut is not None
    last = cut.batch[-1]
    line = _line(incoming, len(cut.batch) - 1, ">>", reply)
    whom, names, rest = line.removeprefix(">> ").partition(f" R={last.router.name} T={last.transport.name}")
    return f"{host_and_ident(conn, incoming.scope.services.log)} {whom} {words}:{names}{rest}"


def _delivered(incoming: Incoming, reply: str) -> Outcome:
    """Log what has been delivered, and forget the message here."""
    log, ident = incoming.scope.services.log, incoming.message.message_id
    cut = incoming.cutthrough
    assert cut is not None
    for number in reversed(range(len(cut.batch))):
        if not cut.batch[number].transport.options.disable_logging:
            log.main(_line(incoming, number, ">>", reply), message_id=ident)
    log.main(arrival.line(incoming), message_id=ident)
    log.main("Completed", message_id=ident)
    incoming.abort()
    return Outcome(250, f"OK id={ident}", accepted=True)
