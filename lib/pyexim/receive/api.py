"""The entrance to reception: SMTP sessions and local submission.

What the doors (cli, daemon) give and get.  The implementation is in ``receive.session`` (SMTP over a
socket or standard input and output), ``receive.batch`` (-bS), ``receive.submission`` (-bm, -t) and
``receive.message`` (what all of them share: data file, header fix-ups, DATA ACL, commit, log line).
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.base.messageid import Generator
from pyexim.base.record import dataclass, field
from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Services
from pyexim.model.connection import Connection
from pyexim.spool.api import SpoolSettings


@dataclass(slots=True)
class ReceiveRun:
    """What reception may use, made by a door, for one process that may serve many sessions.

    ``start_delivery(message_id, queue_name)`` asks for a delivery attempt of a message that is on the
    spool and is not to be queued only; it never blocks for long and never raises.  ``load_average``
    returns the current one in thousandths.  ``accept_queue_only`` is what admission said: this
    connection is over smtp_accept_queue, so its messages are only queued.
    """

    config: Configuration
    services: Services
    spool: SpoolSettings
    ids: Generator
    start_delivery: Callable[[str, str], None]
    load_average: Callable[[], int]
    queue_only: bool = False
    """-odq, or queue_only_override and the like, as decided by the command line."""
    queue_smtp: bool = False
    """-odqs."""
    synchronous: bool = False
    """-odi, -odf: start_delivery returns after the attempt."""
    delivery_requested: bool = False
    """-odb, -odi, -odf or -odqs was given: with queue_only_override it stands above queue_only and its relatives."""
    park: Callable[[int, str, float], bool] | None = None
    """Give an idle session away (descriptor, its facts, seconds that it may wait); False if nobody takes it."""
    accept_queue_only: bool = False
    reason_to_queue: str = ""


@dataclass(slots=True)
class Submission:
    """The command line of a local submission (-bm, -t)."""

    recipients: list[str] = field(default_factory=list)
    extract_recipients: bool = False
    """-t."""
    dot_ends: bool = True
    """False with -i / -oi."""
    sender: str | None = None
    """-f, already decided to be allowed (or None)."""
    sender_name: str | None = None
    """-F."""
    error_mode: str = "m"
    """-oem, -oep, -oee, -oeq, -oew."""
    local_error_message: bool = False
    suppress_local_fixups: bool = False
    dont_deliver: bool = False
    no_qualify: bool = False
    """-bnq: unqualified addresses in header lines stay as they are."""


def serve_socket(fd: int, conn: Connection, run: ReceiveRun) -> None:
    """Serve one SMTP session on a connected socket (already admitted), from banner to close.

    Closes ``fd``.  Never raises: what cannot be handled is logged to the panic log and answered 421.
    """
    from pyexim.receive.serve import socket_session

    socket_session(fd, conn, run)


def resume_socket(fd: int, state: str, run: ReceiveRun, *, timed_out: bool = False) -> None:
    """Go on with a session that was parked: its client has said something, or for too long nothing.

    Closes ``fd``, or gives it away again.  Never raises.
    """
    from pyexim.receive.serve import resumed_session

    resumed_session(fd, state, run, timed_out=timed_out)


def serve_stdio(read_fd: int, write_fd: int, conn: Connection, run: ReceiveRun) -> int:
    """Serve an SMTP session on standard input and output (-bs, -bh); the exit code."""
    from pyexim.receive.serve import stdio_session

    return stdio_session(read_fd, write_fd, conn, run)


def serve_batch(read_fd: int, write_fd: int, conn: Connection, run: ReceiveRun) -> int:
    """Read batched SMTP (-bS): 0, or 2 when nothing was accepted and 1 when something was, before an error."""
    from pyexim.receive.batch import read_batch

    return read_batch(read_fd, write_fd, conn, run)


def submit(read_fd: int, submission: Submission, conn: Connection, run: ReceiveRun) -> int:
    """Take a message from standard input as sendmail does (-bm, -t); the exit code."""
    from pyexim.receive.submission import take

    return take(read_fd, submission, conn, run)
