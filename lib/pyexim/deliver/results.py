"""What the transports' results come to: logged, recorded, and the addresses told what is to be said of them.

``Outcomes`` belongs to one attempt at a message and is what its local and remote deliveries share.  Retry
records of local deliveries are made here; those of remote ones come with the results.
Spec: chapters "Retry configuration" and "How Exim receives and delivers mail".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.octets import printable
from pyexim.deliver import plan
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.record import Record
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.retry.api import RetryItem, RetryRecord, find_record, update
from pyexim.retry.errors import ERRNO_EXIMQUOTA
from pyexim.spool.api import LockedMessage
from pyexim.transports.base import DEFER, FAIL, OK, Result

_DISK_TROUBLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class Outcomes:
    """The results of one attempt, and what taking them needs."""

    def __init__(self, locked: LockedMessage, run: DeliverRun, scope: Scope) -> None:
        self.locked = locked
        self.message = locked.message
        self.run = run
        self.scope = scope
        self.services = run.services
        self.was_firsttime = locked.message.deliver_firsttime
        self.record = Record(locked, scope, first_attempt=self.was_firsttime)
        self.now = run.services.clock.time()

    def find(self, key: str) -> RetryRecord | None:
        """Return the retry record with this key, if there is one."""
        hints = self.services.hints
        if hints is None:
            return None
        record = find_record(hints, key, self.run.config, self.now)
        debug = self.services.debug
        if debug is not None and debug.selected("retry"):
            known = f"next try={record.next_try - self.now:+.0f}s {record.text}" if record else "no retry record"
            debug("retry", f"Considering: {key}\n  {known}")
        return record

    def take(self, batch: list[Address], results: list[Result], path: str,
             shadow: Callable[[list[Address], str], str] | None = None) -> None:
        """Record the results of one run of a transport.

        ``shadow`` runs the shadow transport for what was delivered, and returns what the log is to say of it.
        """
        transport = batch[0].transport
        for result in results:
            if result.log_output is not None:
                self.services.log.main(f"<{result.address.address}>: {transport.name} transport output: "
                                       f"{printable(result.log_output)}", message_id=self.message.message_id)
        results = self._with_journal(results)
        if len(results) > 1:
            place = {id(a): i for i, a in enumerate(batch)}
            results.sort(key=lambda r: place.get(id(r.address), 0))
        good = [r for r in results if r.status == OK and not r.return_output]
        note = ""
        if good and transport.driver.is_local:
            if shadow is not None and transport.options.shadow_transport:
                note = shadow([r.address for r in good], path)
            self._forget_failures(good)
        hosts: set[tuple[str | None, str | None]] = set()
        for result in results:
            if result.status == OK and not result.return_output:
                host = result.host_name, result.host_address
                self.record.succeeded(result, first=host not in hosts, return_path=path, shadow=note)
                hosts.add(host)
            else:
                self._not_delivered(result, transport, path)

    def _not_delivered(self, result: Result, transport: Any, path: str) -> None:
        """Record a failure, a deferral, or a success whose output goes to the sender as a failure does."""
        record, address = self.record, result.address
        address.errno, address.more_errno = result.errno, result.more_errno
        address.message = result.text or None
        if result.errno == ERRNO_EXIMQUOTA:
            address.user_message = "mailbox is full"
        elif transport.driver_name == "pipe" and result.status != OK and not result.text.startswith(
                ("message is too big", '"', "Tainted arg", "return message generated")):
            address.user_message = "local delivery failed"
        elif transport.driver_name == "lmtp" and result.told:
            address.user_message = result.text
        if result.status == OK:
            address.message = address.message or "return message generated"
            record.fail(address, result, return_path=path)
            return
        if result.freeze:
            address.special_action = "freeze"
        if result.status == FAIL:
            record.fail(address, result, return_path=path)
            return
        record.unrecorded |= result.errno in _DISK_TROUBLE or bool(result.journal_error)
        not_tried = result.errno in (plan.ERRNO_LRETRY, plan.ERRNO_TRETRY)
        if transport.driver.is_local and not result.retries and not not_tried and not result.panic:
            address.retries.append(_local_retry(address, result))
        record.defer(address, result)

    def _with_journal(self, results: list[Result]) -> list[Result]:
        """Take for done what the journal says is done, though its process died before it could tell."""
        if all(r.status == OK for r in results):
            return results
        done = self.locked.journalled()
        return [Result(r.address, OK) if r.status != OK and r.address.unique in done else r
                for r in results] if done else results

    def _forget_failures(self, good: list[Result]) -> None:
        for result in good:
            key = local_key(result.address)
            if self.find(key) is not None:
                self.record.retries.append(RetryItem(key, delete=True, kind="address"))

    def recordable(self, batch: list[Address]) -> bool:
        """Defer a batch after the disk has made trouble, unless the journal takes entries: it could be sent again."""
        if not self.record.unrecorded:
            return True
        try:
            self.locked.check_journal(probe=True)
        except OSError as e:
            text = f"the journal cannot be written: {e.strerror}"
            self.take(batch, [Result(a, DEFER, text, errno=plan.ERRNO_TRETRY) for a in batch], "")
            return False
        self.record.unrecorded = False
        return True

    def cannot(self, batch: list[Address], text: str, number: int) -> list[Result]:
        self.services.log.panic(text, message_id=self.message.message_id)
        results = [Result(a, DEFER, text, errno=number) for a in batch]
        for result in results:
            result.panic = False  # the panic log has it
        return results

    def update_retries(self) -> None:
        """Write the retry data; addresses whose time is over fail."""
        record = self.record
        items = record.retries
        if not record.failed and not record.deferred:
            # Nobody will ask again for what concerned this message only.
            items = [i for i in items if i.kind != "message" or i.delete]
        record.retries = []
        if not items:
            return
        expired = update(items, self.scope, message_age=self.now - self.message.received_time)
        if not any(expired.values()):
            return
        still: list[tuple[Address, Result | None]] = []
        over: list[tuple[list[str], list[tuple[Address, Result | None]]]] = []
        for address, result in reversed(record.deferred):
            keys = _keys_of(address, result)
            if not keys or not all(expired.get(k, False) for k in keys):
                still.append((address, result))
                continue
            record.timed_out(address, result)
            if not over or over[-1][0] != keys or result is None:
                # Addresses that failed together keep their order.
                over.append((keys, []))
            over[-1][1].append((address, result))
        record.failed += [failure for _, together in over for failure in reversed(together)]
        record.deferred = still[::-1]

def local_key(address: Address) -> str:
    options = address.transport.options
    if options.retry_use_local_part is False and address.kind == "address":
        return f"T:{address.domain}"
    return f"T:{address.unique if address.kind != 'address' else address.address}"


def _local_retry(address: Address, result: Result) -> RetryItem:
    key = local_key(address)
    whole = address.transport.options.retry_use_local_part is not False
    top = address
    while top.kind != "address" and top.parent is not None:
        top = top.parent
    text = os.strerror(result.errno) if result.errno > 0 else result.text
    return RetryItem(key, errno=result.errno, more_errno=result.more_errno, text=text, kind="address",
                     pattern=top.address if whole else top.domain)


def _keys_of(address: Address, result: Result | None) -> list[str]:
    """Return the retry keys that decide on an address."""
    items = list(result.retries) if result is not None else []
    return [i.key for i in [*items, *address.retries] if not i.delete]
