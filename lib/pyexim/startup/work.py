"""From a configured process to what reception and delivery are given: ReceiveRun and DeliverRun.

Here is decided who keeps the privilege: a process that was started with root's power forks the starter,
which keeps it, and goes on as the exim user.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from pyexim import child, fdpass, privs
from pyexim.base.record import replace
from pyexim.deliver import starter
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.continued import deliver_with_waiting
from pyexim.deliver.local import starter_settings
from pyexim.receive.api import ReceiveRun
from pyexim.spool.names import make_directory
from pyexim.startup import preload
from pyexim.startup.process import Process, id_generator

SEND_PATIENCE: Final = 5.0
"""Seconds to wait for the delivery manager to take an id before the message is left to a queue run."""


def load_average() -> int:
    """Return the load average of the last minute in thousandths."""
    try:
        return int(os.getloadavg()[0] * 1000)
    except OSError:
        return 0


def make_spool(process: Process) -> None:
    """Make the spool directory, which only root can do on a new host; what is wrong shows when it is used."""
    with contextlib.suppress(OSError):
        make_directory(process.spool, process.spool.directory)


def become_exim(process: Process) -> None:
    """Give up root's power for good and go on as the exim user."""
    me = process.identity
    if me.privileged:
        make_spool(process)
        preload.before_changing_user()
        privs.become(me.exim_uid, me.exim_gid)
        me.privileged = False
        process.spool = replace(process.spool, uid=-1, gid=-1)


def launch_starter(process: Process, close: Callable[[], None] | None = None) -> tuple[int, starter.Connector]:
    """Fork the process that keeps the privilege; (its process id, the way to it)."""
    if process.identity.privileged and not preload.interpreter_is_public():
        preload.local_delivery()
    me = process.identity
    drop = me.privileged and process.config.main.deliver_drop_privilege

    def settle() -> None:
        """In the starter: close what is none of its business; with deliver_drop_privilege it has no power either."""
        if close is not None:
            close()
        if drop:
            privs.become(me.exim_uid, me.exim_gid)

    rules = starter_settings(process.config, process.services, privileged=me.privileged and not drop)
    return starter.launch(rules, close=settle)


def report_crash(process: Process) -> Callable[[str], None]:
    """Return what a child process does with an unexpected exception: the panic log has it on one line."""
    return process.log.crash


def deliver_run(process: Process, connector: starter.Connector | None) -> DeliverRun:
    """Return what this process needs to deliver messages itself."""
    services = process.services
    for transport in process.config.transports.values():
        _ = transport.driver  # loaded now: a disk that fails later must not meet an import in the middle of a message
    if connector is not None:
        services.privileged = starter.Client(connector.connect())
    services.submit = submitter(process)
    run = DeliverRun(process.config, services, process.spool)
    run.smtp_queue = process.command.smtp_queue
    return run


def submitter(process: Process) -> Callable[[list[str], bytes], int]:
    """Return the callable that submits messages of our own making (bounces, warnings) by the front door.

    A child process runs the submission, so that nothing of it stays; delivery of the new message is
    asked for with ``services.start_delivery``.
    """

    def submit(arguments: list[str], data: bytes) -> int:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)

        def job() -> int:
            from pyexim.startup.submission import submit_own  # only a process that bounces needs it

            os.close(write_end)
            return submit_own(process, arguments, read_end)

        try:
            pid = child.fork(job, on_error=report_crash(process))
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


def send_job(jobs: socket.socket, process: Process) -> Callable[[str, str], int | None]:
    """Return the callable that asks the delivery manager for a delivery."""
    jobs.settimeout(SEND_PATIENCE)

    def start_delivery(message_id: str, queue_name: str) -> None:
        try:
            fdpass.send(jobs, {"type": "deliver", "id": message_id, "queue": queue_name})
        except OSError as e:
            process.log.main(f"no immediate delivery: the delivery manager does not answer ({e})",
                             message_id=message_id)

    return start_delivery


def make_receive_run(process: Process, start_delivery: Callable[[str, str], int | None]) -> ReceiveRun:
    """Return what this process needs to receive messages."""
    c = process.command
    process.services.start_delivery = start_delivery
    process.services.submit = submitter(process)
    return ReceiveRun(
        config=process.config, services=process.services, spool=process.spool, ids=id_generator(process.config),
        start_delivery=start_delivery, load_average=load_average, delivery_line=_delivery_line,
        queue_only=c.delivery == "q", queue_smtp=c.smtp_queue, synchronous=c.delivery == "f",
        delivery_requested=c.delivery in ("b", "f") or c.smtp_queue, tls_on_connect=c.tls_on_connect)


def _delivery_line(*facts: Any, **more: Any) -> str:
    """Return the log line of a delivery: receptions need it rarely, and most processes never."""
    from pyexim.deliver.loglines import delivered

    return delivered(*facts, **more)


class CommandDelivery:
    """Deliveries started by a command without the daemon: each in a child, waited for or not."""

    def __init__(self, process: Process, connector: starter.Connector | None, *, foreground: bool) -> None:
        self.process = process
        self.connector = connector
        self.foreground = foreground

    def __call__(self, message_id: str, queue_name: str) -> int:
        """Start a delivery attempt; in the foreground (-odi) wait for it: what its failure makes the exit code."""
        try:
            pid = child.fork(lambda: self._deliver(message_id, queue_name), on_error=report_crash(self.process))
        except OSError as e:
            self.process.log.main(f"no immediate delivery: fork failed: {e.strerror}", message_id=message_id)
            return 0
        if self.foreground:
            return child.exit_code(child.wait(pid))
        child.reap()
        return 0

    def _deliver(self, message_id: str, queue_name: str) -> int:
        process = self.process
        if not self.foreground and not process.command.verbose:
            close_standard_streams()
        process.services.pool = None
        if queue_name:
            process.spool = replace(process.spool, queue_name=queue_name)
        # What is bounced by this attempt is delivered before it ends, as the attempt itself is.
        process.services.start_delivery = CommandDelivery(process, self.connector, foreground=True)
        attempt = deliver_with_waiting(message_id, deliver_run(process, self.connector))
        return 1 if attempt.status == "failed" else 0


def close_standard_streams() -> None:
    """Let go of the caller's input and output: a background process must not hold up a pipeline."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
