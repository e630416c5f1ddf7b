"""From a configured process to what reception and delivery are given: ReceiveRun and DeliverRun.

Here is decided who keeps the privilege: a process that was started with root's power forks the starter,
which keeps it, and goes on as the exim user.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from pyexim import child, fdpass, privs
from pyexim.deliver import starter
from pyexim.deliver.api import DeliverRun, deliver_message
from pyexim.deliver.local import starter_settings
from pyexim.deliver.pool import ProcessPool
from pyexim.receive.api import ReceiveRun
from pyexim.startup.process import Process, id_generator

SEND_PATIENCE = 5.0
"""Seconds to wait for the delivery manager to take an id before the message is left to a queue run."""


def load_average() -> int:
    """Return the load average of the last minute in thousandths."""
    try:
        return int(os.getloadavg()[0] * 1000)
    except OSError:
        return 0


def become_exim(process: Process) -> None:
    """Give up root's power for good and go on as the exim user."""
    me = process.identity
    if me.privileged:
        privs.become(me.exim_uid, me.exim_gid)
        me.privileged = False


def launch_starter(process: Process, close: Callable[[], None] | None = None) -> tuple[int, starter.Connector]:
    """Fork the process that keeps the privilege; (its process id, the way to it)."""
    settings = starter_settings(process.config, process.services, privileged=process.identity.privileged)
    return starter.launch(settings, close=close)


def deliver_run(process: Process, connector: starter.Connector) -> DeliverRun:
    """Return what this process needs to deliver messages itself."""
    services = process.services
    services.privileged = starter.Client(connector.connect())
    if services.pool is None:
        services.pool = ProcessPool(services.clock)
    return DeliverRun(process.config, services, process.spool)


def submitter(process: Process, start_delivery: Callable[[str, str], None]) -> Callable[[list[str], bytes], int]:
    """Return the callable that submits messages of our own making (bounces, warnings) by the front door.

    A child process runs the submission, so that nothing of it stays; delivery of the new message is
    asked for with ``start_delivery``.
    """

    def submit(arguments: list[str], data: bytes) -> int:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)

        def job() -> int:
            from pyexim.cli.submission import submit_own  # only a process that bounces needs it

            os.close(write_end)
            return submit_own(process, arguments, read_end, start_delivery)

        try:
            pid = child.fork(job, on_error=lambda text: process.log.panic(text.replace("\n", " | ")))
        finally:
            os.close(read_end)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(write_end, view):]
        except BrokenPipeError:
            process.log.panic("submission of a message of our own ended early")
        finally:
            os.close(write_end)
        return child.exit_code(child.wait(pid))

    return submit


def send_job(jobs: socket.socket, process: Process) -> Callable[[str, str], None]:
    """Return the callable that asks the delivery manager for a delivery."""
    jobs.settimeout(SEND_PATIENCE)

    def start_delivery(message_id: str, queue_name: str) -> None:
        try:
            fdpass.send(jobs, {"type": "deliver", "id": message_id, "queue": queue_name})
        except OSError as e:
            process.log.main(f"no immediate delivery: the delivery manager does not answer ({e})",
                             message_id=message_id)

    return start_delivery


def make_receive_run(process: Process, start_delivery: Callable[[str, str], None]) -> ReceiveRun:
    """Return what this process needs to receive messages."""
    c = process.command
    process.services.submit = submitter(process, start_delivery)
    return ReceiveRun(
        config=process.config, services=process.services, spool=process.spool, ids=id_generator(process.config),
        start_delivery=start_delivery, load_average=load_average, queue_only=c.delivery == "q",
        queue_smtp=c.smtp_queue, synchronous=c.delivery == "f",
        delivery_requested=c.delivery in ("b", "f") or c.smtp_queue)


class CommandDelivery:
    """Deliveries started by a command without the daemon: each in a child, waited for or not."""

    def __init__(self, process: Process, connector: starter.Connector | None) -> None:
        self.process = process
        self.connector = connector

    def __call__(self, message_id: str, queue_name: str) -> None:
        """Start a delivery attempt; in the foreground (-odi) wait for it."""
        foreground = self.process.command.delivery == "f"
        if self.connector is None:
            return
        try:
            pid = child.fork(lambda: self._deliver(message_id, queue_name, foreground),
                             on_error=lambda text: self.process.log.panic(text.replace("\n", " | ")))
        except OSError as e:
            self.process.log.main(f"no immediate delivery: fork failed: {e.strerror}", message_id=message_id)
            return
        if foreground:
            child.wait(pid)
        else:
            child.reap()

    def _deliver(self, message_id: str, queue_name: str, foreground: bool) -> int:
        assert self.connector is not None
        if not foreground and not self.process.command.verbose:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.close(null)
        process = self.process
        process.services.pool = None
        process.services.submit = submitter(process, self)
        if queue_name:
            process.spool = process.spool.__class__(**{**_fields(process.spool), "queue_name": queue_name})
        run = deliver_run(process, self.connector)
        run.smtp_queue = process.command.smtp_queue
        deliver_message(message_id, run)
        if run.services.pool is not None:
            run.services.pool.close()
        return 0


def _fields(settings: object) -> dict[str, object]:
    return {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}  # type: ignore[attr-defined]
