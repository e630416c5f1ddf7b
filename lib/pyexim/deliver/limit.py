"""The generic transport option max_parallel: how many runs of a transport there may be at a time, on this host.

A count in the hints database "misc"; one that a crash left is ignored after six hours.
Spec: chapter "Generic options for transports", max_parallel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.address import Address

DATABASE: Final = "misc"
STALE: Final = 6 * 3600.0


def max_parallel(address: Address, scope: Scope) -> int:
    """Return the limit for the transport of an address; 0 for none."""
    value = address.transport.options.max_parallel
    if type(value) is int:
        return value
    if value is None:
        return 0
    try:
        return max(0, int(expand(value, scope)))
    except ExpansionError as e:
        scope.services.log.main(f"failed to expand max_parallel option in {address.transport.name} transport: {e.text}")
    except ValueError:
        scope.services.log.main(f"max_parallel option in {address.transport.name} transport is not an integer")
    return 0


@contextmanager
def entered(address: Address, scope: Scope) -> Iterator[bool]:
    """Count a run of the transport in while it lasts; False when there are enough already."""
    limit = max_parallel(address, scope)
    hints = scope.services.hints
    if limit <= 0 or hints is None:
        yield True
        return
    key, clock = f"serialize-{address.transport.name}", scope.services.clock
    if not hints.count_in(DATABASE, key, limit, clock.time(), STALE):
        yield False
        return
    try:
        yield True
    finally:
        hints.count_out(DATABASE, key, clock.time())
