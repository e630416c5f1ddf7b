"""The entrance to reception: SMTP sessions and local submission.

What the doors (cli, daemon) give and get.  The implementation is in ``receive.session`` (SMTP over a
socket or standard input and output), ``receive.batch`` (-bS), ``receive.submission`` (-bm, -t) and
``receive.message`` (what all of them share: data file, header fix-ups, DATA ACL, commit, log line).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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
    returns the current one in thousandths.
    """

    config: Configuration
    services: Services
    spool: SpoolSettings
    ids: Generator
    start_delivery: Callable[[str, str], int | None]
    load_average: Callable[[], int]
    delivery_line: Callable[..., str]
    """``deliver.loglines.delivered``: the log line of a delivery that is made while its message is received."""
    queue_only: bool = False
    """-odq, or queue_only_override and the like, as decided by the command line."""
    queue_smtp: bool = False
    """-odqs."""
    synchronous: bool = False
    """-odi, -odf: start_delivery returns after the attempt."""
    delivery_requested: bool = False
    """-odb, -odi, -odf or -odqs was given: with queue_only_override it stands above queue_only and its relatives."""
    tls_on_connect: bool = False
    """-tls-on-connect: every connection begins with TLS."""


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


class SocketSession(Protocol):
    """An SMTP session on a connected socket (already admitted) that is served piece by piece.

    Whoever has several of them calls ``go_on`` of each whose descriptor can be read.  Nothing here raises:
    what cannot be handled is logged to the panic log and answered 421, and the session is over.
    """

    fd: int

    def go_on(self) -> bool:
        """Greet the client, or do what it has asked for; False when the session is over and to be closed."""
        ...

    @property
    def patience(self) -> float:
        """Seconds that the client may be silent; 0 for no limit."""
        ...

    def give_up(self) -> None:
        """The client has been silent for too long: tell it, log it; the session is to be closed."""
        ...

    def close(self) -> None:
        """End the connection in good order."""
        ...

    def left_to_another(self) -> None:
        """A process forked from this one goes on with the session: forget it without a word to the client."""
        ...

    def taken_over(self) -> None:
        """This process goes on with a session of the process that it was forked from."""
        ...


def open_session(fd: int, conn: Connection, run: ReceiveRun) -> SocketSession:
    """Return the session on a socket, not yet begun; ``fd`` is its own from now on."""
    from pyexim.receive.serve import PieceByPiece

    return PieceByPiece(fd, conn, run)


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
