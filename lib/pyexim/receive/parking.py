"""Sessions that wait: an idle client keeps no process busy.

Between two messages (or before the first) a session is a few facts and a socket.  When the client says
nothing for a moment, the reception child gives both to the master, which only waits until the socket can
be read or the time is over, and then hands them to whichever child is free.  So an idle connection
costs some kilobytes instead of a process.

The facts travel from one process of the exim user to another through the master, which does not look
into them.
"""

from __future__ import annotations

import binascii
import pickle
import select
from typing import TYPE_CHECKING, Any, Final

from pyexim.acl.controls import AclControls
from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun
from pyexim.receive.channel import Channel
from pyexim.smtp.server import GREETED, START

if TYPE_CHECKING:
    from pyexim.receive.session import Session

AFTER_MS: Final = 400
"""Milliseconds of silence after which a session is parked."""

_SESSION: Final = (
    "messages", "mails", "commands_total", "helo_required", "size_limit", "pipe_connect", "offered_pipe_connect",
    "offered_pipelining", "offered_dsn", "logged_connection", "unqualified", "load_latch", "active_hostname")
_CORE: Final = (
    "state", "esmtp", "pipelining", "chunking", "multiline", "unknown", "synprot", "nonmail", "pipelined",
    "_free_helo", "_free_rset", "_free_auth", "_free_tls", "_bare_lf", "_previous")


class Parked(Exception):
    """The session has been given away: nothing more is to be done with it here."""


def may_park(session: Session) -> bool:
    """Tell whether the session stands where it can be taken down: no transaction, nothing unread or unsent."""
    core = session.core
    return (session.run.park is not None and core.state in (START, GREETED) and not core.in_data
            and not core.buffered and not session.conn.tls_in.active)


def wait_or_park(session: Session) -> None:
    """Wait a moment for input; raise Parked when there was none and the session has been given away."""
    fd = session.channel.read_fd
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if poll.poll(AFTER_MS):
        return
    park = session.run.park
    if park is not None and park(fd, freeze(session), session.channel.timeout):
        raise Parked


def freeze(session: Session) -> str:
    """Return the facts of a session as one text."""
    core = session.core
    controls = session.controls
    controls.reset_message()
    facts: dict[str, Any] = {
        "conn": session.conn, "controls": controls, "vars": session.scope.vars, "timeout": session.channel.timeout,
        "session": {name: getattr(session, name) for name in _SESSION},
        "core": {name: getattr(core, name) for name in _CORE}, "sync": core.more_input is not None}
    return binascii.b2a_base64(pickle.dumps(facts, pickle.HIGHEST_PROTOCOL), newline=False).decode("ascii")


def connection_of(state: str) -> tuple[Connection, dict[str, Any]]:
    """Return the connection of a parked session, and the rest of its facts."""
    facts: dict[str, Any] = pickle.loads(binascii.a2b_base64(state))
    conn: Connection = facts["conn"]
    return conn, facts


def thaw(session: Session, facts: dict[str, Any]) -> None:
    """Set a new session up as the parked one was."""
    controls: AclControls = facts["controls"]
    session.controls = controls
    session.scope.facts["controls"] = controls
    session.scope.vars.update(facts["vars"])
    for name, value in facts["session"].items():
        setattr(session, name, value)
    for name, value in facts["core"].items():
        setattr(session.core, name, value)
    session.channel.set_timeout(facts["timeout"])
    if facts["sync"]:
        session.enforce_sync()
    session.note_originator()
    session.new_message()


def resume(state: str, channel: Channel, run: ReceiveRun) -> Session:
    """Return the session that a state describes, on a channel that has input for it."""
    from pyexim.receive.session import Session  # it needs this module

    conn, facts = connection_of(state)
    session = Session(channel, conn, run)
    thaw(session, facts)
    return session
