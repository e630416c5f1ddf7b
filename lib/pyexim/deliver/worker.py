"""A delivery worker: takes ids from the manager one after the other and makes an attempt at each.

It stays alive, with its modules, compiled configuration, open logs and hints, and its SMTP connections.
Runs as the exim user; local deliveries go through the starter.  docs/processes.md has the records.
"""

from __future__ import annotations

import gc
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from pyexim import fdpass
from pyexim.base.record import replace
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.pool import SharedPool
from pyexim.deliver.process import deliver
from pyexim.spool.api import SpoolSettings

HAND_OVER_AFTER: Final = 20
"""Milliseconds without work after which idle connections go to the manager."""
MAX_MESSAGES: Final = 20_000
"""Messages after which a worker is replaced, so that nothing it may leak can grow."""

RUN_FLAGS: Final = ("queue_run", "force", "force_frozen", "first_only", "local_only", "routing_only", "give_up")
"""The fields of DeliverRun that a job sets."""


def serve(control: socket.socket, run: DeliverRun, *, title: Callable[[str], None] | None = None) -> int:
    """Make attempts until the manager closes the socket or says "stop"; the exit code."""
    # A bounce made here is delivered by whoever is free, not by the process that waits for it to be submitted.
    run.services.start_delivery = lambda message_id, queue: fdpass.send(
        control, {"type": "deliver", "id": message_id, "queue": queue})
    pool = SharedPool(control, run.services.clock)
    run.services.pool = pool
    run.services.start_delivery = lambda message_id, queue: fdpass.send(
        control, {"type": "deliver", "id": message_id, "queue": queue})
    worker = _Worker(control, run, pool, title)
    gc.freeze()
    try:
        return worker.loop()
    finally:
        pool.close()


class _Worker:
    def __init__(self, control: socket.socket, run: DeliverRun, pool: SharedPool,
                 title: Callable[[str], None] | None) -> None:
        self.control = control
        self.run = run
        self.pool = pool
        self.title = title
        self.spools: dict[str, SpoolSettings] = {run.spool.queue_name: run.spool}
        self.expected: dict[str, tuple[str, str]] = {}
        """Ids that were told as waiting for a host: (transport, host)."""

    def loop(self) -> int:
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        for _ in range(MAX_MESSAGES):
            record = self._next(poll)
            if record is None or record["type"] == "stop":
                return 0
            if record["type"] == "deliver" and not self._deliver(record):
                return 0
        self._tell({"type": "leaving"})
        return 0

    def _tell(self, record: fdpass.Record) -> bool:
        """Send the manager a record; False when it is gone."""
        try:
            fdpass.send(self.control, record)
        except OSError:
            return False
        return True

    def _next(self, poll: select.poll) -> fdpass.Record | None:
        """Wait for a record; meanwhile part with idle connections."""
        if self.pool.records:
            return self.pool.records.popleft()
        if len(self.pool):
            if not poll.poll(HAND_OVER_AFTER):
                self.pool.hand_over()
            while len(self.pool) and not poll.poll(500):
                self.pool.expire()  # what cannot travel lingers here
        try:
            got = fdpass.receive(self.control)
        except (OSError, fdpass.PassError):
            return None
        return got[0] if got is not None else None

    def _deliver(self, record: fdpass.Record) -> bool:
        """Make the attempt that a record asks for, and report it; False when there is nobody to report to."""
        message_id, queue = str(record["id"]), str(record.get("queue") or "")
        flags: dict[str, Any] = record.get("run") or {}
        run = self.run
        for name in RUN_FLAGS:
            setattr(run, name, bool(flags.get(name)))
        run.spool = self._spool(queue)
        if self.title is not None:
            self.title(f"delivering {message_id}")
        context = self.expected.pop(message_id, None)
        run.facts["waiting_known"] = bool(self.expected)
        if context is not None and run.services.hints is not None:
            # Before the attempt, which may find that the message has to wait again.
            run.services.hints.remove_waiting(context[0], context[1], [message_id])
        attempt = deliver(message_id, run)
        if attempt.waiting:
            for waiting_id in attempt.waiting:
                self.expected[waiting_id] = attempt.waiting_for
            if len(self.expected) > 5000:
                self.expected.clear()
        answer: fdpass.Record = {"type": "done", "id": message_id, "status": attempt.status}
        if attempt.waiting:
            answer["waiting"] = attempt.waiting
        return self._tell(answer)

    def _spool(self, queue: str) -> SpoolSettings:
        settings = self.spools.get(queue)
        if settings is None:
            settings = self.spools[queue] = replace(self.run.spool, queue_name=queue)
        return settings
