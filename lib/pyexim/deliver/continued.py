"""The command form -MC: deliver one message down a connection that is passed as standard input.

Only to the host at the other end; what goes elsewhere is left on the queue.  Afterwards, messages that
wait for the same host go down the same connection, in this process, up to connection_max_messages.  The
same loop serves single-process deliveries (-M, -odi).

Spec: chapter "SMTP processing", section "Outgoing SMTP and LMTP over TCP/IP"; -MC and its relatives.
"""

from __future__ import annotations

from pyexim.base.record import dataclass, field, replace
from pyexim.deliver.api import Attempt, DeliverRun
from pyexim.deliver.pool import ProcessPool
from pyexim.deliver.process import deliver
from pyexim.transports.smtp_pool import LiveConnection


@dataclass(frozen=True, slots=True)
class ContinuedOptions:
    """What the switches around -MC say of the connection."""

    transport: str
    host_name: str
    host_address: str
    sequence: int
    message_id: str
    queue_name: str = ""
    """-MCG."""
    authenticated: bool = False
    """-MCA."""
    dsn: bool = False
    """-MCD."""
    chunking: bool = False
    """-MCK."""
    pipelining: bool = False
    """-MCP."""
    size: bool = False
    """-MCS."""
    tls: bool = False
    """-MCT."""
    limits: tuple[int, ...] = field(default=())
    """-MCL."""


def capabilities(options: ContinuedOptions) -> dict[str, str]:
    """Return what the switches say that the server can do, as EHLO would."""
    said = {"DSN": options.dsn, "CHUNKING": options.chunking, "PIPELINING": options.pipelining,
            "SIZE": options.size, "STARTTLS": options.tls}
    return {name: "" for name, has in said.items() if has}


def continue_connection(options: ContinuedOptions, run: DeliverRun, fd: int = 0) -> int:
    """Deliver a message, and those that wait after it, down the connection on a descriptor; the exit code."""
    conn = LiveConnection.from_command(options.transport, options.host_name, options.host_address,
                                       options.sequence, fd)
    conn.capabilities = capabilities(options) or None
    if options.authenticated:
        conn.facts["authenticated"] = True
    instance = run.config.transports.get(options.transport)
    if instance is None:
        run.services.log.panic(f"-MC names the transport {options.transport}, which does not exist",
                               message_id=options.message_id)
        conn.close_quietly()
        return 1
    conn.limit = int(getattr(instance.options, "connection_max_messages", 0))
    run = replace(run, continued=conn)
    if options.queue_name:
        run.spool = replace(run.spool, queue_name=options.queue_name)
    pool = ProcessPool(run.services.clock)
    run.services.pool = pool
    try:
        attempt = deliver(options.message_id, run)
        run.continued = None
        _follow(attempt, run, {options.message_id})
    finally:
        pool.close()
    return 0


def deliver_with_waiting(message_id: str, run: DeliverRun) -> Attempt:
    """Make one attempt, then attempts at the messages that wait for a host it left a connection to."""
    if run.services.pool is None:
        run.services.pool = ProcessPool(run.services.clock)
    pool = run.services.pool
    attempt = deliver(message_id, run)
    try:
        _follow(attempt, replace(run, force=False, force_frozen=False, give_up=False), {message_id})
    finally:
        pool.close()
    return attempt


def _follow(attempt: Attempt, run: DeliverRun, tried: set[str]) -> None:
    """Deliver waiting messages for as long as there are any and the connection lasts."""
    waiting, context = list(attempt.waiting), attempt.waiting_for
    hints, pool = run.services.hints, run.services.pool
    while waiting:
        message_id = waiting.pop(0)
        if message_id in tried:
            continue
        if not pool.has(*context):
            return
        tried.add(message_id)
        if hints is not None:
            # Before the attempt, which may find that the message has to wait again.
            hints.remove_waiting(context[0], context[1], [message_id])
        result = deliver(message_id, run)
        if result.waiting and result.waiting_for == context and not waiting:
            waiting = list(result.waiting)
