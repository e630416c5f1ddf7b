"""A reception child: takes sessions from the master one after the other, until it has had its share.

Runs as the exim user.  Nothing of a session outlives it.  The protocol with the master is in
docs/processes.md.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final

from pyexim import fdpass, processinfo
from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun, resume_socket, serve_socket

MAX_SESSIONS: Final = 2000
"""Sessions after which a child is replaced, so that nothing it may leak can grow."""


def serve(control: socket.socket, make_run: Callable[[], ReceiveRun]) -> int:
    """Serve sessions until the master closes the control socket or the share is used up; the exit code."""
    run = make_run()
    for _ in range(MAX_SESSIONS):
        try:
            got = fdpass.receive(control)
        except (OSError, fdpass.PassError) as e:
            run.services.log.panic(f"reception child: {e}")
            return 1
        if got is None:
            return 0
        record, fds = got
        if record["type"] not in ("session", "resume") or len(fds) != 1:
            for fd in fds:
                os.close(fd)
            run.services.log.panic(f"reception child: unexpected record {record['type']}")
            return 1
        parking = Parking(control) if record.get("park", True) else None
        run.park = parking.park if parking is not None else None
        run.accept_queue_only = bool(record["queue_only"])
        if run.accept_queue_only:
            run.reason_to_queue = f"too many connections ({record['count']}, max {run.config.main.smtp_accept_queue})"
        conn = connection_of(record, run) if record["type"] == "session" else None
        where = f" from [{conn.sender_host_address}]" if conn is not None else ""
        processinfo.show(f"reception: handling incoming call{where}")
        if conn is None:
            resume_socket(fds[0], str(record["state"]), run, timed_out=bool(record["timed_out"]))
        else:
            serve_socket(fds[0], conn, run)
        processinfo.show("reception (idle)")
        if parking is not None and parking.parked:
            continue
        try:
            fdpass.send(control, {"type": "ready"})
        except OSError:
            return 0
    return 0


class Parking:
    """The way of one idle session back to the master; its record also says that the child is free."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.parked = False

    def park(self, fd: int, state: str, patience: float) -> bool:
        """Give a session away; False where the master does not take it."""
        try:
            fdpass.send(self._control, {"type": "park", "state": state, "patience": patience}, [fd])
        except OSError:
            return False
        self.parked = True
        return True


def connection_of(record: fdpass.Record, run: ReceiveRun) -> Connection:
    """Return the facts of the connection that the master admitted."""
    peer, local = record["peer"], record["local"]
    return Connection(
        kind="tcp", sender_host_address=peer[0], sender_host_port=peer[1], interface_address=local[0],
        interface_port=local[1], smtp_count_at_connection_start=record["count"],
        started=run.services.clock.time(), submitter_trusted=False)
