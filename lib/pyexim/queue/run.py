"""A queue run: one pass over the waiting messages, an attempt at each that is selected.

The attempts are made by delivery workers under a manager of this process's own; the run ends when all
of them have ended.  Spec: chapter "The Exim command line", -q, -R, -S; options queue_run_in_order,
deliver_queue_load_max.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from pyexim.base.errors import SpoolError
from pyexim.base.octets import lower
from pyexim.base.record import dataclass, replace
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.manager import Manager, worker_forker
from pyexim.deliver.starter import Connector
from pyexim.expand.regex import compile_or_error
from pyexim.model.message import Message
from pyexim.spool.api import SpoolSettings, read, remove_orphans, scan

WORKERS = 4
"""Messages that one run works on at the same time (one with queue_run_in_order)."""
AHEAD = 64
"""Messages handed to the manager before earlier ones are done."""


@dataclass(frozen=True, slots=True)
class QueueRun:
    """What a queue run is to do: the flags of -q, -R and -S."""

    two_stage: bool = False
    first_only: bool = False
    force: bool = False
    force_frozen: bool = False
    local_only: bool = False
    start_id: str | None = None
    stop_id: str | None = None
    recipient: str | None = None
    recipient_regex: bool = False
    sender: str | None = None
    sender_regex: bool = False


def describe(options: QueueRun) -> str:
    """Return the flags as the log lines of the run show them: " -qqff -R text", or ""."""
    letters = "q" * options.two_stage + "i" * options.first_only
    letters += "ff" if options.force_frozen else "f" if options.force else ""
    letters += "l" * options.local_only
    out = f" -q{letters}" if letters else ""
    for name, text, regex in (("R", options.recipient, options.recipient_regex),
                              ("S", options.sender, options.sender_regex)):
        if text is not None:
            out += f" -{name}{'r' * regex} {text}"
    return out


def make_selector(options: QueueRun) -> Callable[[Message], bool] | None:
    """Return what tells whether a message is selected by -R and -S; None when all are.

    Raises ValueError for a regular expression that is none.
    """
    sender = _matcher(options.sender, options.sender_regex)
    recipient = _matcher(options.recipient, options.recipient_regex)
    if sender is None and recipient is None:
        return None

    def selected(message: Message) -> bool:
        if sender is not None and not sender(message.sender_address):
            return False
        if recipient is None:
            return True
        done = message.nonrecipients
        return any(r.address not in done and recipient(r.address) for r in message.recipients)

    return selected


def _matcher(text: str | None, regex: bool) -> Callable[[str], bool] | None:
    if text is None:
        return None
    if regex:
        compiled = compile_or_error(text, caseless=True)
        if isinstance(compiled, str):
            raise ValueError(compiled)
        return compiled.matches
    wanted = lower(text)
    return lambda address: wanted in lower(address)


def order(ids: list[str], *, in_order: bool) -> list[str]:
    """Return the ids in the order of the run: by age, or as chance has it."""
    if in_order:
        return sorted(ids)
    random.shuffle(ids)
    return ids


class QueueRunner:
    """One run over one queue."""

    def __init__(self, options: QueueRun, make_run: Callable[[], DeliverRun], run: DeliverRun, *,
                 connector: Connector | None = None, load_average: Callable[[], int] | None = None,
                 title: Callable[[str], None] | None = None, workers: int | None = None,
                 close_in_worker: Callable[[], None] | None = None) -> None:
        """``run`` is this process's own view (log, configuration, spool); ``make_run`` makes a worker's."""
        self.options = options
        self.run = run
        self.log = run.services.log
        self.clock = run.services.clock
        self.load_average = load_average
        main = run.config.main
        if workers is None:
            workers = 1 if main.queue_run_in_order else WORKERS
        self.manager = Manager(worker_forker(make_run, connector, self.log, title=title, close=close_in_worker),
                               self.clock, self.log, limit=workers, on_done=self._done)
        self._pending: set[str] = set()
        self._early: set[str] = set()
        """Messages that were tried ahead of their turn, down a connection that was open."""
        self._abandoned = False
        self._forced_one = False

    def go(self) -> int:
        """Do the run; the exit code."""
        queue = self.run.spool.queue_name
        what = f"'{queue}' queue run" if queue else "queue run"
        text = f"{what}: pid={os.getpid()}{describe(self.options)}"
        selector = make_selector(self.options)
        if self.log.wants("queue_run"):
            self.log.main(f"Start {text}", selector="queue_run")
        try:
            if self.options.two_stage:
                self._stage(selector, first=True)
            self._stage(selector, first=False)
            while self.manager.busy():
                self.manager.turn(1.0)  # bounces that were made on the way
            for name in remove_orphans(self.run.spool, self.clock.time()):
                self.log.main(f"removed orphan file {name}")
        finally:
            self.manager.close()
        if self.log.wants("queue_run"):
            self.log.main(f"End {text}", selector="queue_run")
        return 0

    def _stage(self, selector: Callable[[Message], bool] | None, *, first: bool) -> None:
        """Go once over the queue; in the first of two stages only routing and local deliveries are done."""
        options = self.options
        self._early.clear()
        ids = [m.message_id for m in scan(self.run.spool) if _between(m.message_id, options)]
        flags: dict[str, Any] = {"queue_run": True}
        for name in ("force", "force_frozen", "first_only", "local_only"):
            if getattr(options, name):
                flags[name] = True
        if options.force_frozen:
            flags["force"] = True
        if first:
            flags["routing_only"] = True
        for message_id in order(ids, in_order=self.run.config.main.queue_run_in_order):
            if self._overloaded():
                break
            if message_id in self._early:
                continue
            if selector is not None and not self._selected(message_id, selector):
                continue
            now = flags
            if selector is not None and not self._forced_one and not first:
                # The first selected message is forced, so that its success clears the retry data.
                self._forced_one = True
                now = {**flags, "force": True}
                self._submit(message_id, now)
                self._wait(0)
                continue
            self._submit(message_id, now)
            self._wait(AHEAD)
        self._wait(0)

    def _submit(self, message_id: str, flags: dict[str, Any]) -> None:
        if self.manager.submit(message_id, self.run.spool.queue_name, flags):
            self._pending.add(message_id)

    def _wait(self, left: int) -> None:
        while len(self._pending) > left:
            self.manager.turn(1.0)

    def _done(self, message_id: str, status: str) -> None:
        if message_id in self._pending:
            self._pending.discard(message_id)
        else:
            self._early.add(message_id)

    def _selected(self, message_id: str, selector: Callable[[Message], bool]) -> bool:
        try:
            return selector(read(self.run.spool, message_id, headers=False))
        except SpoolError:
            return False

    def _overloaded(self) -> bool:
        limit = self.run.config.main.deliver_queue_load_max
        if self._abandoned:
            return True
        if limit is None or self.load_average is None:
            return False
        load = self.load_average()
        if load > limit:
            self._abandoned = True
            self.log.main(f"Abandon queue run: pid={os.getpid()} (load {load / 1000:.2f}, max {limit / 1000:.2f})")
        return self._abandoned


def _between(message_id: str, options: QueueRun) -> bool:
    if options.start_id is not None and message_id < options.start_id:
        return False
    return options.stop_id is None or message_id <= options.stop_id


def run_queue(options: QueueRun, make_run: Callable[[], DeliverRun], run: DeliverRun, *, queue: str | None = None,
              connector: Connector | None = None, load_average: Callable[[], int] | None = None,
              title: Callable[[str], None] | None = None,
              close_in_worker: Callable[[], None] | None = None) -> int:
    """Do one run over a queue, and wait for its end; the exit code.

    ``make_run`` makes the DeliverRun of a worker (in the worker); with a connector, its local deliveries go
    by the starter.  Raises ValueError for a wrong regular expression after -R or -S.
    """
    if queue is not None:
        spool: SpoolSettings = replace(run.spool, queue_name=queue)
        run = replace(run, spool=spool)
    runner = QueueRunner(options, make_run, run, connector=connector, load_average=load_average, title=title,
                         close_in_worker=close_in_worker)
    return runner.go()
