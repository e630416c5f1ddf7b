"""What -d+transport tells of each run of a transport: who enters it with which addresses, and what came of them."""

from __future__ import annotations

from typing import Any

from pyexim.model.address import Address
from pyexim.transports.base import Result, TransportRun


def observed(transport: Any, batch: list[Address], run: TransportRun) -> list[Result]:
    """Have a transport deliver a batch; its results."""
    debug = run.scope.services.debug
    if debug is None or not debug.selected("transport"):
        results: list[Result] = transport.driver.deliver(batch, run)
        return results
    out = f"{transport.driver_name} transport entered: {transport.name}\n"
    for address in batch:
        out += f"--------> {address.address} <--------\n"
        for host in address.host_list:
            out += f"  host {host.name} [{host.address or ''}]\n"
    for name in ("file", "directory", "command"):
        text = getattr(transport.options, name, None)
        if text:
            out += f"  {name}={text}\n"
    debug.write(out)
    results = transport.driver.deliver(batch, run)
    for result in results:
        why = f" errno={result.errno} {result.text}" if result.text else ""
        debug("transport", f"{transport.name} transport yields {result.status} for {result.address.address}{why}")
    return results
