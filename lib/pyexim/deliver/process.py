"""One delivery attempt at one message, from the lock to the removal of its files (or their rewriting).

The order matters and is always the same: lock, frozen or not, routing, local deliveries, remote ones,
fallback hosts; then retry data, bounces, warnings, and last the header file.  A delivery is journalled
before it counts.  What cannot be done now is deferred: mail may be late, never lost or delivered twice.

Spec: chapter "How Exim receives and delivers mail", section "Delivery in detail".
"""

from __future__ import annotations

import errno
import os
import pwd

from pyexim.base.errors import SpoolError
from pyexim.base.octets import printable
from pyexim.deliver import bounce, local, plan, report, warn, wrapper
from pyexim.deliver.api import Attempt, DeliverRun
from pyexim.deliver.frozen import FrozenSettings, decide
from pyexim.deliver.local_deliveries import LocalDeliveries
from pyexim.deliver.remote_deliveries import RemoteDeliveries
from pyexim.deliver.results import Outcomes
from pyexim.expand.scope import Scope
from pyexim.hints.api import Hints
from pyexim.model.address import Address
from pyexim.model.message import Recipient
from pyexim.spool.api import LockedMessage, lock


def deliver(message_id: str, run: DeliverRun) -> Attempt:
    """Make one delivery attempt; see ``api.deliver_message``.  Never raises."""
    log = run.services.log
    try:
        locked = lock(run.spool, message_id)
    except SpoolError as e:
        if e.errno == errno.ENOENT:
            if not run.queue_run:
                name = f" Q={run.spool.queue_name}" if run.spool.queue_name else ""
                log.main(f"Spool{name} file {message_id}-D not found", message_id=message_id)
            return Attempt("gone")
        from pyexim.deliver.malformed import report_broken  # it should never be needed

        report_broken(message_id, e, run)
        return Attempt("broken")
    except OSError as e:
        log.panic(f"cannot lock message: {e.strerror}", message_id=message_id)
        return Attempt("kept")
    if locked is None:
        if log.selected("skip_delivery"):
            log.main(f"Spool file for {message_id} is locked (another process is handling this message)",
                     message_id=message_id)
        return Attempt("locked")
    try:
        return _Delivery(locked, run).attempt()
    except Exception:  # noqa: BLE001 - a bug of ours must not take the worker or the message with it
        log.main("delivery attempt abandoned: unexpected error", message_id=message_id)
        import traceback  # only when something is wrong

        log.crash(f"in a delivery attempt at {message_id}: {traceback.format_exc()}")
        return Attempt("kept")
    finally:
        locked.close()


class _Delivery:
    """An attempt at a locked message."""

    def __init__(self, locked: LockedMessage, run: DeliverRun) -> None:
        self.locked = locked
        self.run = run
        self.message = locked.message
        self.config = run.config
        self.main = run.config.main
        self.services = run.services
        message = self.message
        message.first_delivery = message.deliver_firsttime
        message.data_fd = locked.data_fd
        self.scope = Scope(run.config, run.services, conn=message.conn, message=message, is_delivery=True)
        if run.queue_run:
            self.scope.facts["queue_running"] = True
        self.outcomes = Outcomes(locked, run, self.scope)
        self.record = self.outcomes.record
        self.now = self.outcomes.now
        self.cancelled = False
        self.freeze_reason: str | None = None
        """The system filter wants the message frozen when what it has set up is delivered."""
        self.header_changed = False

    # -- the steps

    def attempt(self) -> Attempt:
        """Go through the steps."""
        if self.services.debug is not None:
            self._announce()
        early = self._admitted()
        if early is not None:
            return early
        addresses = plan.recipients(self.message)
        if self.cancelled:
            self._give_up(addresses)
        elif self._is_looping():
            self._give_up(addresses, report.MAIL_LOOP)
        else:
            filtered = self._system_filter(addresses)
            if filtered is None:
                return Attempt("kept")
            self._route(filtered)
            if self.main.mua_wrapper:
                return self._wrapped(addresses)
            if not self._journal_ready():
                return Attempt("kept")
            if self.plan.local:
                LocalDeliveries(self.outcomes).deliver(self.plan.local)
            if self.plan.remote:
                RemoteDeliveries(self.outcomes).deliver(self.plan.remote)
        return self._finish()

    def _wrapped(self, addresses: list[Address]) -> Attempt:
        """Make the one delivery that mua_wrapper allows, and be done with the message whatever comes of it."""
        record, made = self.record, self.plan
        batches = plan.remote_batches(made.remote, self.scope)
        failed = wrapper.refuse_routing(made, record) or wrapper.refuse_batches(len(batches), record)
        if not failed and batches:
            if not self._journal_ready():
                return Attempt("kept")
            RemoteDeliveries(self.outcomes).deliver_only(batches[0])
            failed = bool(record.failed or record.deferred)
        record.retries.clear()
        for address in addresses:
            self.message.nonrecipients.add(address.unique)
        done = self._completed()
        return Attempt("failed") if failed else done

    def _announce(self) -> None:
        """Tell under -v and -d which message is being delivered."""
        debug = self.services.debug
        text = f"delivering {self.message.message_id}"
        if self.run.queue_run:
            text += f" (queue run pid {os.getppid()})"
        if debug.selected("process_info"):
            debug("process_info", f"set_process_info: {os.getpid()} {text}")
        elif debug.any("deliver", "queue_run", "v"):
            debug.write(text + "\n")

    def _admitted(self) -> Attempt | None:
        """Decide whether the message is to be tried at all; None to go on."""
        run, message, record = self.run, self.message, self.record
        if run.first_only and not message.deliver_firsttime:
            return Attempt("skipped")
        settings = FrozenSettings(self.main.auto_thaw, self.main.timeout_frozen_after,
                                  self.main.ignore_bounce_errors_after)
        decision = decide(message, settings, self.now, forced=run.force_frozen or run.give_up)
        if not decision.deliver:
            record.main("Message is frozen", "skip_delivery")
            return Attempt("skipped")
        if decision.log:
            record.main(decision.log)
            record.note(f"*** {decision.log}", stamp=False)
            message.frozen_since = None
            message.manual_thaw = message.manual_thaw or run.force_frozen
            self.header_changed = True
            self.cancelled = decision.cancel
        if run.give_up:
            record.main(f"cancelled by {run.facts.get('caller_login') or _login(self.services.caller_uid)}")
            self.cancelled = True
        return None

    def _system_filter(self, addresses: list[Address]) -> list[Address] | None:
        """Run the system filter, if there is one; what is to be routed, None where nothing is to be done now."""
        if self.main.system_filter is None:
            return addresses
        from pyexim.deliver.system_filter import run_system_filter  # where there is one

        local.starter(self.config, self.services)
        found = run_system_filter(self.scope)
        record = self.record
        if found.error is not None:
            self.services.log.panic(f"Error in system filter: {found.error}", message_id=self.message.message_id)
            return None
        if found.changed:
            self.header_changed = True
        if found.verdict == "defer" or (found.verdict == "freeze" and not found.children):
            self._held_by_filter(found.verdict, found.text)
            return None
        if found.verdict == "freeze":
            self.freeze_reason = found.text
            return found.children
        if found.verdict == "fail":
            self._failed_by_filter(addresses, found.text)
            return found.children
        if found.significant:
            record.main("original recipients ignored (system filter)" if found.children
                        else "=> discarded (system filter)")
            return found.children
        return found.children + addresses

    def _held_by_filter(self, verdict: str, text: str) -> None:
        """Leave the message for later, or freeze it, as the system filter says."""
        if verdict == "freeze":
            self._freeze(_by_filter(text))
        else:
            line = "Delivery deferred by system filter"
            self.record.main(line)
            self.record.note(line, stamp=False)
        self._write_state()

    def _failed_by_filter(self, addresses: list[Address], text: str) -> None:
        """Fail all recipients: a text between << and >> is for the log, the rest for the sender."""
        shown, logged = text, text
        if text.startswith("<<") and ">>" in text:
            logged, _, shown = text[2:].partition(">>")
        line = "cancelled by system filter" + (f": {printable(logged)}" if text else "")
        self.record.main(line)
        for address in addresses:
            address.flags.add("cancelled")
        self._give_up(addresses, words=shown or "delivery cancelled")

    def _is_looping(self) -> bool:
        """Tell whether the message has passed more hosts than received_headers_max."""
        received = sum(1 for header in self.message.headers if header.type == "P")
        return received > self.main.received_headers_max

    def _give_up(self, addresses: list[Address], why: str | None = None, *, words: str | None = None) -> None:
        """Fail every address, by an administrator or by timeout_frozen_after; with a reason it is logged.

        ``words`` are for the sender.
        """
        self.record.count_children(addresses)
        for address in addresses:
            address.user_message = words
            if why is not None:
                address.message = why
            self.record.fail(address, None, return_path=None, log=why is not None)

    def _route(self, addresses: list[Address]) -> None:
        """Route everything, and record what routing alone settled."""
        run, record = self.run, self.record
        if self.services.privileged is None and any(r.options.allow_filter for r in self.config.routers
                                                    if r.driver_name == "redirect"):
            local.starter(self.config, self.services)  # it runs filters
        rules = plan.PlanRules(queue_run=run.queue_run, force=run.force, hold=not run.force,
                               find_record=self.outcomes.find, now=self.now, on_settled=self._settled)
        self.plan = made = plan.make_plan(addresses, self.scope, rules, self.message)
        for some in (made.local, made.remote, made.discarded, made.failed, made.deferred, made.finished):
            record.count_children(some)
        record.retries += made.retries
        for address, same in made.duplicates:
            record.follow(address, same)
        for address in made.finished:
            record.done(address, note=False)
        for address in made.discarded:
            record.done(address)

    def _settled(self, what: str, address: Address) -> None:
        """Record what routing has come to with an address, at once, so that the log has it in the right order."""
        if what == "redirected":
            self.record.ask_for_success(address)
        elif what == "discarded":
            self.record.discarded(address)
        elif what == "failed":
            self.record.fail(address, None, return_path=None)
        else:
            self.record.defer(address, None)

    def _journal_ready(self) -> bool:
        """Open the journal before anything is delivered; without one nothing is, and the attempt has not been."""
        if not self.plan.local and not self.plan.remote:
            return True
        try:
            self.locked.check_journal()
        except OSError as e:
            text = f"Couldn't open journal file for {self.message.message_id}: {e.strerror}"
            self.services.log.main(text, message_id=self.message.message_id)
            self.services.log.panic(text, message_id=self.message.message_id)
            return False
        return True

    # -- the end

    def _finish(self) -> Attempt:
        """Retry data, bounces, warnings, freezing, and the files."""
        record, message = self.record, self.message
        self.outcomes.update_retries()
        bounce.report_success(record, self.run)
        if record.failed:
            bounce.handle_failures(record, self.run, cancelled=self.cancelled)
        if self.freeze_reason is not None and message.frozen_since is None:
            self._freeze(_by_filter(self.freeze_reason))
        elif not record.deferred and not record.failed:
            return self._completed()
        if record.frozen_by is not None and message.frozen_since is None:
            self._freeze("")
        if message.frozen_since is None and record.deferred:
            warn.maybe_warn(record, self.run, self.now)
        self._one_time()
        self._write_state()
        if message.frozen_since is not None and self.main.move_frozen_messages:
            self._move_frozen()
        return self._with_waiting("kept")

    def _one_time(self) -> None:
        """Put what a one_time router generated, and could not be delivered, among the recipients itself."""
        message = self.message
        for address, _ in self.record.deferred:
            parent = address.parent
            if parent is None or "onetime" in address.flags or address.kind != "address":
                continue
            top = address.top()
            ancestors = []
            while parent is not None:
                ancestors.append(parent)
                parent = parent.parent
            if not any(a.router is not None and getattr(a.router.options, "one_time", False) for a in ancestors):
                continue
            index = next((i for i, r in enumerate(message.recipients) if r.address == top.address), -1)
            if index < 0 or any(r.address == address.address for r in message.recipients):
                continue
            message.recipients.append(Recipient(address.address, errors_to=address.errors_address, parent=index,
                                                dsn_orcpt=address.dsn_orcpt, dsn_flags=address.dsn_flags))
            message.nonrecipients.add(top.address)

    def _completed(self) -> Attempt:
        record, message = self.record, self.message
        text = "Completed"
        if record.selected("queue_time_overall"):
            from pyexim.deliver.loglines import duration

            text += f" QT={duration(record.queue_seconds(), millisec=record.selected('millisec'))}"
        record.main(text)
        record.completed()
        if self.main.preserve_message_logs:
            record.write_msglog()
        try:
            self.locked.remove(keep_message_log=self.main.preserve_message_logs)
        except OSError as e:
            self.services.log.panic(f"failed to remove spool files: {e.strerror}", message_id=message.message_id)
        return self._with_waiting("completed")

    def _freeze(self, reason: str) -> None:
        bounce.freeze(self.record, self.run, reason, self.now)

    def _move_frozen(self) -> None:
        message_id = self.message.message_id
        try:
            self.locked.move_frozen()
        except OSError as e:
            self.services.log.panic(f"failed to move frozen message: {e.strerror}", message_id=message_id)
        else:
            self.services.log.main("moved from input, msglog to Finput, Fmsglog", message_id=message_id)

    def _write_state(self) -> None:
        """Write the header file with what is done, then the journal is of no more use."""
        record = self.record
        record.write_msglog()
        if self.message.deliver_firsttime:
            self.message.deliver_firsttime = False
            self.header_changed = True
        try:
            self.locked.rewrite_header()
        except OSError as e:
            self.services.log.panic(f"failed to write header file: {e.strerror}",
                                    message_id=self.message.message_id)
            return  # the journal stays and tells the next attempt
        self.locked.remove_journal()

    def _with_waiting(self, status: str) -> Attempt:
        """Return the outcome, with messages that wait for a host to which a connection is open now."""
        pool, hints = self.services.pool, self.services.hints
        if status == "completed" and hints is not None and not self.outcomes.was_firsttime:
            self._wait_no_more(hints)
        if pool is None or hints is None or not len(pool) or self.run.facts.get("waiting_known"):
            return Attempt(status)
        for address in self.record.delivered:
            transport, host = address.transport, address.host_used
            if transport is not None and host is not None and pool.has(transport.name, host.name):
                found = hints.next_waiting(transport.name, host.name, {self.message.message_id}, 100)
                if found:
                    return Attempt(status, found, (transport.name, host.name))
                break
        return Attempt(status)

    def _wait_no_more(self, hints: Hints) -> None:
        """Forget that the message waits for hosts: it is gone."""
        hosts: dict[str, set[str]] = {}
        for address in self.record.delivered:
            if address.transport is not None and address.host_used is not None:
                hosts.setdefault(address.transport.name, set()).update(
                    h.name for h in [address.host_used, *address.host_list])
        for transport, names in hosts.items():
            for name in names:
                hints.remove_waiting(transport, name, [self.message.message_id])


def _by_filter(text: str) -> str:
    """Return how a freeze by the system filter is told."""
    return " by the system filter" + (f": {printable(text)}" if text else "")


def _login(uid: int) -> str:
    """Return the login name of whoever called the command."""
    try:
        return pwd.getpwuid(uid if uid >= 0 else os.getuid()).pw_name
    except KeyError:
        return f"uid {uid}"
