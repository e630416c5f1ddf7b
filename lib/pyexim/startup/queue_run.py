"""One queue run, as a command or as a child of the daemon does it."""

from __future__ import annotations

from pyexim import processinfo
from pyexim.deliver.starter import Connector
from pyexim.queue.run import QueueRun, run_queue
from pyexim.startup.options import QueueRunOptions
from pyexim.startup.process import Process
from pyexim.startup.work import CommandDelivery, deliver_run, load_average


def run_one(process: Process, options: QueueRunOptions, connector: Connector | None) -> int:
    """Do one queue run; the exit code.  Also what the daemon's queue runners do."""
    process.services.start_delivery = CommandDelivery(process, connector, foreground=True)
    wanted = QueueRun(
        two_stage=options.two_stage, first_only=options.first_only, force=options.force,
        force_frozen=options.force_frozen, local_only=options.local_only, start_id=options.start_id,
        stop_id=options.stop_id, recipient=options.recipient, recipient_regex=options.recipient_regex,
        sender=options.sender, sender_regex=options.sender_regex)
    try:
        return run_queue(wanted, lambda: deliver_run(process, None), deliver_run(process, None),
                         queue=options.queue_name, connector=connector, load_average=load_average,
                         title=processinfo.show)
    except ValueError as e:
        process.log.panic(str(e))
        return 1
