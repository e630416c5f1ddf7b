"""A message whose spool files cannot be read: it is reported at each attempt, and goes when keep_malformed is over.

Spec: option keep_malformed.  Only a malformed header file makes a message go: one that cannot be read now
may be readable later, and a data file may be put right by hand.
"""

from __future__ import annotations

import errno
import os

from pyexim.base.errors import SpoolError
from pyexim.base.messageid import received_second
from pyexim.config.values import format_time
from pyexim.deliver.api import DeliverRun
from pyexim.spool.api import remove_malformed
from pyexim.spool.names import directory_for, places


def report_broken(message_id: str, error: SpoolError, run: DeliverRun) -> None:
    """Log what is wrong with a message, and remove it where it has been malformed for too long."""
    log, debug = run.services.log, run.services.debug
    name = error.file or f"{message_id}-H"
    if debug is not None and debug.any("deliver", "receive"):
        debug.write(f"{error.text}\n")
    if error.errno != errno.EINVAL:
        reason = os.strerror(error.errno) if error.errno else error.text
        log.main(f"Error reading spool file {name}: {reason}", message_id=message_id)
        return
    log.main(f"Format error in spool file {name}: size={_size(message_id, name, run)}", message_id=message_id)
    keep = run.config.main.keep_malformed
    if not name.endswith("-H") or run.services.clock.time() - received_second(message_id) <= keep:
        return
    try:
        if remove_malformed(run.spool, message_id):
            log.main(f"Message removed because older than {format_time(keep)}", message_id=message_id)
    except OSError as e:
        log.panic(f"failed to remove spool files: {e.strerror}", message_id=message_id)


def _size(message_id: str, name: str, run: DeliverRun) -> int:
    for place in places(run.spool, message_id):
        try:
            return os.stat(f"{directory_for(run.spool, place)}/{name}").st_size
        except OSError:
            continue
    return 0
