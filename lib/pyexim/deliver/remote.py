"""Remote deliveries of one message: batch after batch in this process, or several in forked children.

The transport journals each delivery itself (``run.delivered``) before anything else; what comes back are
results.  Spec: options remote_max_parallel and max_parallel, chapter "SMTP processing".
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from pyexim import child
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.record import dataclass
from pyexim.deliver.jobs import decode_results, encode_results
from pyexim.deliver.limit import entered
from pyexim.deliver.local import delivery_scope, write_all
from pyexim.deliver.plan import ERRNO_TRETRY
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.spool.api import LockedMessage
from pyexim.transports.base import DEFER, PENDING, Result, TransportRun
from pyexim.transports.trace import observed


@dataclass(slots=True)
class RemoteRun:
    """What the remote deliveries of one message share."""

    scope: Scope
    locked: LockedMessage
    journal: Callable[..., int]
    first_attempt: bool
    continued: object = None
    force: bool = False


def add_fallback_hosts(addresses: list[Address], scope: Scope) -> None:
    """Give addresses without fallback hosts of their router those of their transport."""
    for address in addresses:
        source = getattr(address.transport.options, "fallback_hosts", None)
        if source is None or address.fallback_hosts:
            continue
        from pyexim.routers.hostlist import parse_host_list  # rarely used

        scope.address = address
        try:
            address.fallback_hosts = parse_host_list(expand(source, scope))
        except ExpansionError as e:
            scope.services.log.panic(f'failed to expand fallback_hosts "{source}" in {address.transport.name} '
                                     f"transport: {e.text}")
    scope.address = None


def return_path(batch: list[Address], sender: str) -> str:
    """Return the envelope sender for a batch, before a transport's own return_path."""
    errors = batch[0].errors_address
    return sender if errors is None else errors


def transport_return_path(batch: list[Address], sender: str, scope: Scope) -> tuple[str, str | None]:
    """Return (envelope sender after the transport's return_path, None), or ("", why it cannot be told)."""
    path = return_path(batch, sender)
    source = batch[0].transport.options.return_path
    if source is None:
        return path, None
    scope.vars["return_path"] = path
    try:
        return expand(source, scope), None
    except ForcedFail:
        return path, None
    except ExpansionError as e:
        return "", f'Failed to expand return path "{source}": {e.text}'
    finally:
        del scope.vars["return_path"]


def message_size_limit(batch: list[Address], scope: Scope) -> tuple[int, str | None]:
    """Return (message_size_limit of the transport in octets, 0 for none; why it cannot be told or None)."""
    source = batch[0].transport.options.message_size_limit
    if source is None or source == "0":
        return 0, None
    name = batch[0].transport.name
    try:
        text = expand(source, scope)
    except ExpansionError as e:
        return 0, f"failed to expand message_size_limit in {name} transport: {e.text}"
    digits, factor = text, 1
    if text[-1:] in ("K", "k"):
        digits, factor = text[:-1], 1024
    elif text[-1:] in ("M", "m"):
        digits, factor = text[:-1], 1024 * 1024
    if not (digits.isascii() and digits.isdigit()):
        return 0, f'invalid message size limit "{text}" in {name} transport'
    return int(digits) * factor, None


def deliver_batch(batch: list[Address], path: str, remote: RemoteRun, *, data_fd: int) -> list[Result]:
    """Run the transport of a batch in this process; a result for every address."""
    transport = batch[0].transport
    base = remote.scope
    message = remote.locked.message
    scope = delivery_scope(base.config, base.services, message, batch)
    scope.transport_name = transport.name
    if message.dont_deliver:
        host = batch[0].host_list[0] if batch[0].host_list else None
        return [Result(a, "ok", confirmation="delivery bypassed by -N option",
                       host_name=host.name if host else None, host_address=host.address if host else None,
                       host_port=host.port if host else None) for a in batch]
    run = TransportRun(scope=scope, message=message, data_fd=data_fd, delivered=remote.journal, return_path=path,
                       continued=remote.continued, first_attempt=remote.first_attempt, force=remote.force)
    with entered(batch[0], scope) as free:
        if not free:
            return [Result(a, DEFER, "concurrency limit reached for transport", errno=ERRNO_TRETRY) for a in batch]
        results: list[Result] = observed(transport, batch, run)
    told = {id(r.address) for r in results}
    results += [Result(a, DEFER, "the transport gave no result", errno=-1) for a in batch if id(a) not in told]
    for result in results:
        if result.status == PENDING and not result.address.fallback_hosts:
            result.status = DEFER
    return results


def deliver_parallel(batches: list[tuple[list[Address], str]], remote: RemoteRun, limit: int,
                     done: Callable[[list[Address], str, list[Result]], None], *,
                     panic: Callable[[str], None]) -> None:
    """Run batches in forked children, at most ``limit`` at a time; ``done`` is called as each finishes.

    A child that dies without a whole report has its addresses deferred, except those that the journal
    has: they were delivered.
    """
    remote.locked.journal_fd()  # opened once, so that all children append to the same file
    waiting = list(reversed(batches))
    running: dict[int, tuple[int, list[Address], str, list[bytes]]] = {}
    while waiting or running:
        while waiting and len(running) < limit:
            batch, path = waiting.pop()
            try:
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
            except OSError as e:
                done(batch, path, [Result(a, DEFER, "unable to create pipe", errno=e.errno or -1) for a in batch])
                continue
            try:
                pid = child.fork(_child_job(batch, path, remote, write_end, read_end), on_error=panic)
            except OSError as e:
                os.close(read_end)
                os.close(write_end)
                text = f"fork failed for remote delivery: {e.strerror}"
                done(batch, path, [Result(a, DEFER, text, errno=e.errno or -1) for a in batch])
                continue
            os.close(write_end)
            running[read_end] = (pid, batch, path, [])
        for fd in select.select(list(running), [], [])[0]:
            pid, batch, path, chunks = running[fd]
            if chunk := os.read(fd, 65536):
                chunks.append(chunk)
                continue
            os.close(fd)
            del running[fd]
            child.wait(pid)
            results = decode_results(b"".join(chunks), batch)
            if results is None:
                results = [Result(a, DEFER, "the remote delivery process ended without a result", errno=-1)
                           for a in batch]
            done(batch, path, results)


def _child_job(batch: list[Address], path: str, remote: RemoteRun, write_end: int, read_end: int,
               ) -> Callable[[], int]:
    def job() -> int:
        os.close(read_end)
        data_path = remote.locked.message.data_path
        remote.scope.services.pool = None
        try:
            # An own open file: siblings would otherwise move each other's position.
            fd = os.open(data_path, os.O_RDONLY | os.O_CLOEXEC) if data_path else remote.locked.data_fd
        except OSError as e:
            results = [Result(a, DEFER, f"cannot open {data_path}", errno=e.errno or -1) for a in batch]
        else:
            results = deliver_batch(batch, path, remote, data_fd=fd)
        write_all(write_end, encode_results(results, batch))
        return 0

    return job
