"""mua_wrapper: one delivery in one transaction, now, or none at all; whoever called is told by the exit code.

Nothing is queued, bounced or remembered: what would be put off fails.  Spec: chapter "Using Exim as a non-queueing
client".
"""

from __future__ import annotations

import os
import sys

from pyexim.base.octets import to_bytes
from pyexim.deliver.plan import Plan
from pyexim.deliver.record import Record
from pyexim.transports.base import DEFER, FAIL, OK, PENDING, Result


def refuse_routing(plan: Plan, record: Record) -> bool:
    """Tell whether routing came to something else than deliveries to hosts; then the log and the caller know."""
    if plan.local:
        address, text = plan.local[0], "local delivery"
    elif plan.failed:
        address, text = plan.failed[0], "failed delivery"
    elif plan.deferred:
        address, text = plan.deferred[0], "deferred delivery"
    else:
        return False
    line = f"routing {address.address} yielded a {text}"
    if not plan.failed or plan.local:
        record.main(f"** {address.address} routing yielded a {text}")
    tell(f"{line}: {address.message}" if address.message and not plan.local else line)
    return True


def refuse_batches(count: int, record: Record) -> bool:
    """Tell whether there are more transactions to be made than the one that is allowed."""
    if count < 2:
        return False
    record.main("** mua_wrapper is set but recipients cannot all be delivered in one transaction")
    tell("delivery to smarthost failed (configuration problem)")
    return True


def all_or_none(results: list[Result]) -> list[Result]:
    """Return the results of the one transaction with every deferral made a failure; the caller is told of the last."""
    bad = next((r for r in reversed(results) if r.status != OK), None)
    if bad is None:
        return results
    text = os.strerror(bad.errno) if bad.errno > 0 else ""
    text += (": " if text and bad.text else "") + bad.text
    where = f"H={bad.host_name} [{bad.host_address}]: " if bad.host_name is not None else ""
    tell(f"Delivery failed: {where}{text}")
    for result in results:
        if result.status in (DEFER, PENDING):
            result.status = FAIL
    return results


def tell(text: str) -> None:
    """Write a line to the caller's standard error."""
    sys.stderr.flush()
    os.write(2, to_bytes(text + "\n"))
