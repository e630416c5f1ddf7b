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
import traceback
from typing import Final

from pyexim.base.errors import ExpansionError, SpoolError
from pyexim.base.octets import printable
from pyexim.deliver import bounce, local, plan, remote, report, warn, wrapper
from pyexim.deliver.api import Attempt, DeliverRun
from pyexim.deliver.frozen import FrozenSettings, decide
from pyexim.deliver.limit import entered
from pyexim.deliver.record import Record
from pyexim.deliver.starter import Client, Direct, LocalJob
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain
from pyexim.model.address import Address
from pyexim.model.message import Recipient
from pyexim.retry.api import RetryItem, RetryRecord, find_record, outlived, update
from pyexim.retry.errors import ERRNO_EXIMQUOTA
from pyexim.spool.api import LockedMessage, format_header_file, lock
from pyexim.transports.base import DEFER, FAIL, OK, PENDING, Result

_DISK_TROUBLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


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
        self.was_firsttime = message.deliver_firsttime
        self.scope = Scope(run.config, run.services, conn=message.conn, message=message, is_delivery=True)
        if run.queue_run:
            self.scope.facts["queue_running"] = True
        self.record = Record(locked, self.scope, first_attempt=message.deliver_firsttime)
        self.now = self.services.clock.time()
        self.cancelled = False
        self.header_changed = False
        self.header_text: str | None = None

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
            self._route(addresses)
            if self.main.mua_wrapper:
                return self._wrapped(addresses)
            if not self._journal_ready():
                return Attempt("kept")
            self._local()
            self._remote()
        return self._finish()

    def _wrapped(self, addresses: list[Address]) -> Attempt:
        """Make the one delivery that mua_wrapper allows, and be done with the message whatever comes of it."""
        record, made = self.record, self.plan
        batches = plan.remote_batches(made.remote, self.scope)
        failed = wrapper.refuse_routing(made, record) or wrapper.refuse_batches(len(batches), record)
        if not failed and batches:
            if not self._journal_ready():
                return Attempt("kept")
            path = self._remote_checked(batches[0])
            if path is not None:
                self._run_batches([(batches[0], path)])
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
            if record.selected("skip_delivery"):
                record.main("Message is frozen")
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
        if self.main.system_filter is not None and not self.cancelled:
            text = "system_filter is set, but system filters are not supported yet: delivery deferred"
            record.main(text)
            record.note(text)
            self._write_state()
            return Attempt("kept")
        return None

    def _is_looping(self) -> bool:
        """Tell whether the message has passed more hosts than received_headers_max."""
        received = sum(1 for header in self.message.headers if header.type == "P")
        return received > self.main.received_headers_max

    def _give_up(self, addresses: list[Address], why: str | None = None) -> None:
        """Fail every address, by an administrator or by timeout_frozen_after; with a reason it is logged."""
        self.record.count_children(addresses)
        for address in addresses:
            if why is not None:
                address.message = why
            self.record.fail(address, None, return_path=None, log=why is not None)

    def _find(self, key: str) -> RetryRecord | None:
        hints = self.services.hints
        if hints is None:
            return None
        record = find_record(hints, key, self.config, self.now)
        debug = self.services.debug
        if debug is not None and debug.selected("retry"):
            known = f"next try={record.next_try - self.now:+.0f}s {record.text}" if record else "no retry record"
            debug("retry", f"Considering: {key}\n  {known}")
        return record

    def _route(self, addresses: list[Address]) -> None:
        """Route everything, and record what routing alone settled."""
        run, record = self.run, self.record
        rules = plan.PlanRules(queue_run=run.queue_run, force=run.force, hold=not run.force,
                               find_record=self._find, now=self.now, on_settled=self._settled)
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

    # -- local deliveries

    def _local(self) -> None:
        for batch in plan.local_batches(self.plan.local, self.scope):
            if not self._recordable(batch):
                continue
            results, path = self._local_batch(batch)
            self._take(batch, results, path)

    def _local_batch(self, batch: list[Address]) -> tuple[list[Result], str]:
        """Run a batch through its local transport; the results, and the return path it went with."""
        run, first = self.run, batch[0]
        scope = local.delivery_scope(self.config, self.services, self.message, batch)
        scope.transport_name = first.transport.name
        if run.queue_run and not run.force:
            record = self._find(_local_key(first))
            if record is not None and self.now < record.next_try and not record.expired and not outlived(
                    record, first.address, None, scope, self.now - self.message.received_time):
                return [Result(a, DEFER, "Retry time not yet reached", errno=plan.ERRNO_LRETRY) for a in batch], ""
        path, why = remote.transport_return_path(batch, self.message.sender_address, scope)
        if why is None:
            limit, why = remote.message_size_limit(batch, scope)
            if why is None and limit and self.message.message_size > limit:
                return [Result(a, FAIL, f"message is too big (transport limit = {limit})") for a in batch], path
        if why is not None:
            return self._cannot(batch, why, -1), path
        env = local.environment(first, scope, local.never_users(self.config, self.services), privileged=True)
        if isinstance(env, local.CannotRun):
            return self._cannot(batch, env.text, env.errno), path
        if self.message.dont_deliver:
            return [Result(a, OK) for a in batch], path
        starter = self._starter()
        started = self.services.clock.monotonic()
        with entered(first, scope) as free:
            if not free:
                text = "concurrency limit reached for transport"
                return [Result(a, DEFER, text, errno=plan.ERRNO_TRETRY) for a in batch], path
            results: list[Result] = starter.run_local(self._job(batch, env, path))
        seconds = self.services.clock.monotonic() - started
        for result in results:
            result.seconds = result.seconds or seconds
            self._submit(result)
        self._env = env
        return results, path

    def _submit(self, result: Result) -> None:
        """Submit what a local delivery wants to have submitted (an autoreply, a warning)."""
        for arguments, text in result.submissions:
            submit = self.services.submit
            if submit is None or submit(arguments, text.encode("latin-1")) != 0:
                self.services.log.panic(f"a message of the {result.address.transport.name} transport "
                                        "could not be submitted", message_id=self.message.message_id)

    def _cannot(self, batch: list[Address], text: str, number: int) -> list[Result]:
        self.services.log.panic(text, message_id=self.message.message_id)
        return [Result(a, DEFER, text, errno=number) for a in batch]

    def _job(self, batch: list[Address], env: local.Environment, path: str,
             shadow: str | None = None) -> LocalJob:
        if self.header_text is None:
            self.header_text = format_header_file(self.message, self.run.spool.primary_hostname).decode("latin-1")
        message = self.message
        facts = {n: getattr(message, n) for n in ("data_path", "data_start", "body_size", "message_size",
                                                  "message_linecount", "queue_name", "first_delivery")}
        return local.make_job(batch, env, header=self.header_text, data_fd=self.locked.data_fd,
                              journal_fd=self.locked.journal_fd(), return_path=path, shadow=shadow, facts=facts)

    def _starter(self) -> Client | Direct:
        """Return what starts local deliveries: the starter, or this very process."""
        starter = self.services.privileged
        if starter is not None:
            if getattr(starter, "panic", self) is None:
                starter.panic = self.services.log.crash
            return starter  # type: ignore[no-any-return]
        made = Direct(local.starter_settings(self.config, self.services, privileged=os.geteuid() == 0))
        self.services.privileged = made
        return made

    def _shadow(self, batch: list[Address], path: str) -> str:
        """Run the shadow transport after a success; what to add to the log line."""
        options = batch[0].transport.options
        name = options.shadow_transport
        if name is None or self.message.dont_deliver:
            return ""
        if options.shadow_condition is not None:
            self.scope.address = batch[0]
            try:
                answer = expand(options.shadow_condition, self.scope)
            except ExpansionError as e:
                self.services.log.panic(f"failed to expand shadow_condition of {batch[0].transport.name} transport: "
                                        f"{e.text}", message_id=self.message.message_id)
                return ""
            if answer in ("", "0", "no", "false"):
                return ""
        starter = self._starter()
        results = starter.run_local(self._job(batch, self._env, path, shadow=name))
        bad = next((r for r in results if r.status != OK), None)
        if bad is None:
            return f" ST={name}"
        text = os.strerror(bad.errno) + (f": {bad.text}" if bad.text else "") if bad.errno > 0 else bad.text
        return f" ST={name} ({text})"

    # -- remote deliveries

    def _remote(self) -> None:
        """Run the remote batches, then those that are left through their fallback hosts."""
        if not self.plan.remote:
            return
        addresses = self._not_held_back(self.plan.remote)
        remote.add_fallback_hosts(addresses, self.scope)
        for last in (False, True):
            batches: list[tuple[list[Address], str]] = []
            for batch in plan.remote_batches(addresses, self.scope):
                path = self._remote_checked(batch) if self._recordable(batch) else None
                if path is not None:
                    batches.append((batch, path))
            self.fallback: list[Address] = []
            self._run_batches(batches)
            addresses = self.fallback
            if not addresses or last:
                return
            for address in addresses:
                address.host_list, address.fallback_hosts = address.fallback_hosts, []
                address.flags.add("fallback")

    def _run_batches(self, batches: list[tuple[list[Address], str]]) -> None:
        first = self.was_firsttime
        work = remote.RemoteRun(self.scope, self.locked, self.record.journal, first, self.run.continued,
                                self.run.force or self.main.mua_wrapper)
        limit = min(self.main.remote_max_parallel, len(batches))
        if limit > 1 and self.run.continued is None and not self.message.dont_deliver:
            remote.deliver_parallel(batches, work, limit, self._remote_done, panic=self.services.log.panic)
            return
        for batch, path in batches:
            if self._recordable(batch):
                self._remote_done(batch, path,
                                  remote.deliver_batch(batch, path, work, data_fd=self.locked.data_fd))

    def _remote_done(self, batch: list[Address], path: str, results: list[Result]) -> None:
        if self.main.mua_wrapper:
            results = wrapper.all_or_none(results)
        left = [r for r in results if r.status == PENDING]
        for result in left:
            self.fallback.append(result.address)
            self.record.retries += result.retries
        self._take(batch, [r for r in results if r.status != PENDING], path)

    def _recordable(self, batch: list[Address]) -> bool:
        """Defer a batch after the disk has made trouble, unless the journal takes entries: it could be sent again."""
        if not self.record.unrecorded:
            return True
        try:
            self.locked.check_journal(probe=True)
        except OSError as e:
            text = f"the journal cannot be written: {e.strerror}"
            self._take(batch, [Result(a, DEFER, text, errno=plan.ERRNO_TRETRY) for a in batch], "")
            return False
        self.record.unrecorded = False
        return True

    def _not_held_back(self, addresses: list[Address]) -> list[Address]:
        """Defer what -ql, -qq or queue_smtp_domains keep for later; the rest."""
        run, record = self.run, self.record
        if run.local_only:
            for address in addresses:
                address.errno, address.message = plan.ERRNO_LOCAL_ONLY, "remote deliveries suppressed"
                record.defer(address, None)
            return []
        source = "*" if run.routing_only else self.main.queue_smtp_domains
        queued = (run.smtp_queue or "queue_smtp" in self.message.flags) and not run.queue_run and not run.force
        if not queued and (source is None or ((run.queue_run or run.force) and not run.routing_only)):
            return addresses
        rest = []
        for address in addresses:
            if queued or (source is not None and (source == "*" or match_domain(address.domain, source, self.scope))):
                address.errno = -1
                address.message = "first-pass only routing due to -odqs, queue_smtp_domains or control=queue"
                if run.smtp_queue and not run.queue_run:
                    address.errno, address.message = 0, "SMTP delivery explicitly queued"
                record.defer(address, None, log=not run.routing_only)
                self._remember_waiting(address)
            else:
                rest.append(address)
        return rest

    def _remember_waiting(self, address: Address) -> None:
        hints = self.services.hints
        if hints is not None and address.host_list:
            hints.add_waiting(address.transport.name, [h.name for h in address.host_list], self.message.message_id)

    def _remote_checked(self, batch: list[Address]) -> str | None:
        """Return the return path of a batch, or None after it was failed or deferred."""
        options = batch[0].transport.options
        if options.return_path is None and options.message_size_limit in (None, "0"):
            return remote.return_path(batch, self.message.sender_address)
        scope = local.delivery_scope(self.config, self.services, self.message, batch)
        path, why = remote.transport_return_path(batch, self.message.sender_address, scope)
        limit = 0
        if why is None:
            limit, why = remote.message_size_limit(batch, scope)
        if why is not None:
            self._take(batch, self._cannot(batch, why, -1), path)
            return None
        if limit and self.message.message_size > limit:
            self._take(batch, [Result(a, FAIL, f"message is too big (transport limit = {limit})") for a in batch],
                       path)
            return None
        return path

    # -- results

    def _take(self, batch: list[Address], results: list[Result], path: str) -> None:
        """Record the results of one run of a transport."""
        for result in results:
            if result.log_output:
                self.services.log.main(f"<{result.address.address}>: {batch[0].transport.name} transport output: "
                                       f"{printable(result.log_output)}", message_id=self.message.message_id)
        results = self._with_journal(results)
        if len(results) > 1:
            place = {id(a): i for i, a in enumerate(batch)}
            results.sort(key=lambda r: place.get(id(r.address), 0))
        good = [r for r in results if r.status == OK and not r.return_output]
        shadow = ""
        if good and batch[0].transport.driver.is_local and batch[0].transport.options.shadow_transport:
            shadow = self._shadow([r.address for r in good], path)
        if good and batch[0].transport.driver.is_local:
            self._forget_failures(good)
        for result in results:
            if result.status == OK and not result.return_output:
                self.record.succeeded(result, first=result is good[0], return_path=path, shadow=shadow)
                continue
            address = result.address
            address.errno, address.more_errno = result.errno, result.more_errno
            address.message = result.text or None
            if result.errno == ERRNO_EXIMQUOTA:
                address.user_message = "mailbox is full"
            elif batch[0].transport.driver_name == "pipe" and not result.text.startswith(("message is too big", '"')):
                address.user_message = "local delivery failed"
            elif batch[0].transport.driver_name == "lmtp" and result.told:
                address.user_message = result.text
            if result.status == OK:
                address.message = address.message or "return message generated"
                self.record.fail(address, result, return_path=path)
                continue
            if result.freeze:
                address.special_action = "freeze"
            if result.status == FAIL:
                self.record.fail(address, result, return_path=path)
            elif result.status != OK:
                self.record.unrecorded |= result.errno in _DISK_TROUBLE or bool(result.journal_error)
                not_tried = result.errno in (plan.ERRNO_LRETRY, plan.ERRNO_TRETRY)
                if batch[0].transport.driver.is_local and not result.retries and not not_tried and not result.panic:
                    address.retries.append(_local_retry(address, result))
                self.record.defer(address, result)

    def _with_journal(self, results: list[Result]) -> list[Result]:
        """Take for done what the journal says is done, though its process died before it could tell."""
        if all(r.status == OK for r in results):
            return results
        done = self.locked.journalled()
        return [Result(r.address, OK) if r.status != OK and r.address.unique in done else r
                for r in results] if done else results

    def _forget_failures(self, good: list[Result]) -> None:
        for result in good:
            key = _local_key(result.address)
            if self._find(key) is not None:
                self.record.retries.append(RetryItem(key, delete=True, kind="address"))

    # -- the end

    def _finish(self) -> Attempt:
        """Retry data, bounces, warnings, freezing, and the files."""
        record, message = self.record, self.message
        self._update_retries()
        bounce.report_success(record, self.run)
        if record.failed:
            bounce.handle_failures(record, self.run, cancelled=self.cancelled)
        if not record.deferred and not record.failed:
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

    def _update_retries(self) -> None:
        """Write the retry data; addresses whose time is over fail."""
        record = self.record
        items = record.retries
        if not items:
            return
        expired = update(items, self.scope, message_age=self.now - self.message.received_time)
        record.retries = []
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

    def _with_waiting(self, status: str) -> Attempt:
        """Return the outcome, with messages that wait for a host to which a connection is open now."""
        pool, hints = self.services.pool, self.services.hints
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


def _login(uid: int) -> str:
    """Return the login name of whoever called the command."""
    try:
        return pwd.getpwuid(uid if uid >= 0 else os.getuid()).pw_name
    except KeyError:
        return f"uid {uid}"


def _local_key(address: Address) -> str:
    options = address.transport.options
    if options.retry_use_local_part is False and address.kind == "address":
        return f"T:{address.domain}"
    return f"T:{address.unique if address.kind != 'address' else address.address}"


def _local_retry(address: Address, result: Result) -> RetryItem:
    key = _local_key(address)
    whole = address.transport.options.retry_use_local_part is not False
    top = address
    while top.kind != "address" and top.parent is not None:
        top = top.parent
    return RetryItem(key, errno=result.errno, more_errno=result.more_errno, text=result.text, kind="address",
                     pattern=top.address if whole else top.domain)


def _keys_of(address: Address, result: Result | None) -> list[str]:
    """Return the retry keys that decide on an address."""
    items = list(result.retries) if result is not None else []
    return [i.key for i in [*items, *address.retries] if not i.delete]
