"""What became of the addresses of one attempt: done, to be tried again, to be bounced; logged and journalled.

One Record per attempt.  A delivery counts once it is in the journal; the transport's child has put it
there already for local deliveries, ``delivered`` puts it there for remote ones.  Lines for the message
log are kept back and written only when the message stays (it is deleted with the message otherwise).

Spec: chapters "Log files" and "How Exim receives and delivers mail", section "Life of a message".
"""

from __future__ import annotations

import errno
import os
from typing import Final

from pyexim.deliver import loglines
from pyexim.expand.event import fire
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.retry.api import RetryItem
from pyexim.retry.errors import ERRNO_RRETRY, ERRNO_TRETRY
from pyexim.spool.api import LockedMessage
from pyexim.transports.base import Result

NOTIFY_SUCCESS: Final = 4
"""The flag of RFC 3461 as the spool keeps it."""


class Record:
    """The books of one delivery attempt."""

    def __init__(self, locked: LockedMessage, scope: Scope, *, first_attempt: bool) -> None:
        self.locked = locked
        self.message = locked.message
        self.scope = scope
        self.log = scope.services.log
        self.selected = self.log.selected
        self.first_attempt = first_attempt
        self.delivered: list[Address] = []
        self.deferred: list[tuple[Address, Result | None]] = []
        self.failed: list[tuple[Address, Result | None]] = []
        self.retries: list[RetryItem] = []
        self.success_wanted: list[tuple[Address, Result | None]] = []
        """Redirected and delivered addresses whose sender asked to be told (NOTIFY=SUCCESS), with the result."""
        self.msglog: list[str] = []
        self.frozen_by: Address | None = None
        self.unrecorded = False
        """The journal has failed us in this attempt."""
        self._done = self.message.nonrecipients
        self._children: dict[int, int] = {}
        self._edges: set[tuple[int, int]] = set()
        self._duplicates: dict[int, list[Address]] = {}
        self.received = self.message.received_time_complete or self.message.received_time

    # -- lines

    def main(self, text: str, selector: str = "") -> None:
        """Write a line about this message to the main log, where a selector that it depends on is on."""
        self.log.main(text, message_id=self.message.message_id, selector=selector)

    def note(self, text: str, *, stamp: bool = True) -> None:
        """Put a line into the message log, if the message stays."""
        self.msglog.append(f"{self._stamp()} {text}" if stamp else text)

    def _stamp(self) -> str:
        return str(self.log.time_stamp()) if hasattr(self.log, "time_stamp") else ""

    def write_msglog(self) -> None:
        """Write the lines kept back to the message log; a log that cannot be written stops nothing."""
        try:
            for line in self.msglog:
                self.locked.msglog(line)
        except OSError as e:
            self.log.panic(f"Couldn't open message log for {self.message.message_id}: {e.strerror}",
                           message_id=self.message.message_id)
        self.msglog.clear()

    def _quiet(self, address: Address) -> bool:
        """Tell whether disable_logging of the router or transport applies."""
        return bool((address.transport is not None and address.transport.options.disable_logging)
                    or (address.router is not None and address.router.options.disable_logging))

    # -- outcomes

    def count_children(self, addresses: list[Address]) -> None:
        """Note of every ancestor how many of its children this attempt has still to finish.

        An address counts for itself, too: one that is deferred while a filter of it has set up deliveries
        besides is not done when these are.
        """
        for address in addresses:
            if (id(address), id(address)) not in self._edges:
                self._edges.add((id(address), id(address)))
                self._children[id(address)] = self._children.get(id(address), 0) + 1
            parent = address.parent
            child_id = id(address)
            while parent is not None:
                if (child_id, id(parent)) in self._edges:
                    break
                self._edges.add((child_id, id(parent)))
                self._children[id(parent)] = self._children.get(id(parent), 0) + 1
                child_id, parent = id(parent), parent.parent

    def follow(self, address: Address, same: Address) -> None:
        """Let an address be done when the one is that it is a duplicate of."""
        self._duplicates.setdefault(id(same), []).append(address)
        self.count_children([address])

    def journal(self, *addresses: Address) -> int:
        """Record at once that addresses are delivered: called by a transport that runs in this process.

        A journal that cannot be written is told to the administrator; the deliveries have been made, so that
        the attempt goes on with that knowledge.  Returns 0 or the errno.
        """
        try:
            self.locked.journal(*[a.unique for a in addresses])
        except OSError as e:
            self.journal_failed(e.errno or 0)
            return e.errno or errno.EIO
        return 0

    def journal_failed(self, number: int) -> None:
        """Tell the administrator that deliveries are not in the journal."""
        self.unrecorded = True
        self.log.panic(f"failed to update journal for {self.message.message_id}: {os.strerror(number)}",
                       message_id=self.message.message_id)

    def done(self, address: Address, *, note: bool = True) -> None:
        """Mark an address as done with, and its ancestors when this was their last child."""
        self._done.add(address.unique)
        for other in self._duplicates.pop(id(address), ()):
            self.done(other, note=note)
        parent = address.parent
        while parent is not None:
            left = self._children.get(id(parent), 1) - 1
            self._children[id(parent)] = left
            if left > 0:
                return
            self._done.add(parent.unique)
            for other in self._duplicates.pop(id(parent), ()):
                self.done(other, note=note)
            if note:
                self.note(f"{parent.address}: children all complete")
            parent = parent.parent

    def succeeded(self, result: Result, *, first: bool, return_path: str | None, shadow: str = "") -> None:
        """Log a delivery (``first`` of those that went together or not), and mark it as done."""
        address = result.address
        self.delivered.append(address)
        if address.kind == "file" and result.file_name and not address.local_part.startswith("/"):
            address.local_part = result.file_name  # what the transport has made of a relative name
        if not self._quiet(address):
            mark = "->" if not first else "*>" if self.message.dont_deliver else "=>"
            self.main(loglines.delivered(
                result, mark, self.selected, sender=self.message.sender_address, return_path=return_path,
                queue_seconds=self.scope.services.clock.time() - self._queue_start(),
                queue_name=self.message.queue_name, size=result.size, shadow=shadow))
        self.note(loglines.msglog_delivered(address, address.transport.name))
        self.retries += result.retries
        if result.journal_error:
            self.journal_failed(result.journal_error)
        if result.host_name is not None:
            address.host_used = Host(result.host_name, result.host_address, result.host_port)
        if "dsn" not in result.flags or "dsn_lasthop" in address.flags:
            self.ask_for_success(address, result)
        self.done(address)
        self.event("msg:delivery", address, result.confirmation or "", result)

    def _queue_start(self) -> float:
        if self.selected("queue_time_exclusive"):
            return self.received
        return self.message.received_time

    def queue_seconds(self) -> float:
        """Return how long the message has been here."""
        return self.scope.services.clock.time() - self._queue_start()

    def ask_for_success(self, address: Address, result: Result | None = None) -> None:
        """Note an address that its sender wants to hear of when it has been delivered or redirected."""
        if address.dsn_flags & NOTIFY_SUCCESS:
            self.success_wanted.append((address, result))

    def discarded(self, address: Address) -> None:
        """Log an address that goes to nowhere; it is not marked as done."""
        self.ask_for_success(address)
        if not self._quiet(address):
            self.main(loglines.discarded(address, self.selected, sender=self.message.sender_address))
        self.delivered.append(address)

    def fail(self, address: Address, result: Result | None, *, return_path: str | None, log: bool = True) -> None:
        """Note an address that is to be bounced, and log it."""
        if log and not self._quiet(address):
            line = loglines.failed(address, result, self.selected, sender=self.message.sender_address,
                                   return_path=return_path)
            self.main(line)
            text = line.removeprefix("** ")
            self.note(text if address.router is not None else f"routing failed for {text}")
        if result is not None:
            self.retries += result.retries
        self.retries += address.retries
        if address.special_action == "freeze" and self.frozen_by is None:
            self.frozen_by = address
        self.failed.append((address, result))
        self.event("msg:fail:internal" if address.transport is None else "msg:fail:delivery", address,
                   address.message or "", result)

    def defer(self, address: Address, result: Result | None, *, log: bool = True) -> None:
        """Note an address that is to be tried again, and log it."""
        if address.special_action == "freeze" and self.frozen_by is None:
            self.frozen_by = address
        if result is not None:
            self.retries += result.retries
        self.retries += address.retries
        self.deferred.append((address, result))
        if not log or self._quiet(address):
            return
        waiting = ERRNO_TRETRY <= address.errno <= ERRNO_RRETRY
        line = loglines.deferred(address, result, self.selected)
        if self.first_attempt or not waiting:
            self.note(line.removeprefix("== "))
        if (result is not None and result.panic) or "panic" in address.flags:
            self.log.panic(line, message_id=self.message.message_id)
        elif not waiting or self.selected("retry_defer"):
            self.main(line)

    def timed_out(self, address: Address, result: Result | None) -> None:
        """Log that a deferral becomes a failure, since its last retry time has passed; give it its text."""
        text = "retry timeout exceeded"
        address.flags.add("timed_out")
        if not self._quiet(address):
            name = loglines.address_text(address, all_parents=self.selected("all_parents"), success=False,
                                         as_given=True)
            self.main(f"** {name}: {text}")
            self.note(f"{name}: {text}")
        shown = report_text(address)
        address.user_message = f"{shown}: {text}" if shown or address.user_message == "" else text
        address.message = f"{address.message}: {text}" if address.message else text

    def event(self, name: str, address: Address, data: str, result: Result | None = None) -> None:
        """Tell the transport's event_action, or the main one, what became of an address; the answer is not used."""
        main = self.scope.config.main.event_action
        transport = address.transport
        action = main if transport is None else transport.options.event_action
        if action is None:
            return
        scope = self.scope
        scope.address = address
        scope.router_name = address.router.name if address.router is not None else ""
        scope.transport_name = transport.name if transport is not None else ""
        if result is not None and result.host_name is not None:
            scope.host = Host(result.host_name, result.host_address, result.host_port)
        fire(action, scope, name, data, where=f"{transport.name} transport" if transport is not None else "main")
        scope.router_name = scope.transport_name = ""
        if transport is None or transport.driver.is_local:
            scope.address = None

    def completed(self) -> None:
        """Tell that the message is done with."""
        if self.scope.config.main.event_action is not None:
            fire(self.scope.config.main.event_action, self.scope, "msg:complete")


def report_text(address: Address) -> str:
    """Return the detail of an address that people outside may see; "" for none."""
    if address.user_message is not None:
        return address.user_message
    if address.transport is None or address.transport.driver.is_local or address.errno > 0:
        return ""
    return address.message or ""
