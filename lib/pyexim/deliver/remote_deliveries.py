"""The remote deliveries of one attempt: which are held back, in which batches, and once more to fallback hosts.

How a batch is run, in this process or beside others, is in ``deliver.remote``.
Spec: options queue_smtp_domains, remote_max_parallel and fallback_hosts.
"""

from __future__ import annotations

from pyexim.deliver import local, plan, remote, wrapper
from pyexim.deliver.results import Outcomes
from pyexim.match.lists import match_domain
from pyexim.model.address import Address
from pyexim.retry.api import RetryItem
from pyexim.transports.base import FAIL, PENDING, Result


class RemoteDeliveries:
    """What the remote deliveries of one attempt share."""

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        self.locked = outcomes.locked
        self.message = outcomes.message
        self.record = outcomes.record
        self.run = outcomes.run
        self.main = outcomes.run.config.main
        self.services = outcomes.services
        self.scope = outcomes.scope
        self.fallback: list[Address] = []
        """What the hosts at hand could not take, and is to be tried with the fallback hosts."""
        self.first_retries: list[RetryItem] = []
        """What is remembered of the hosts at hand: it counts more than what the fallback hosts say."""

    def deliver(self, addresses: list[Address]) -> None:
        """Run the remote batches, then those that are left through their fallback hosts."""
        addresses = self._not_held_back(addresses)
        remote.add_fallback_hosts(addresses, self.scope)
        for last in (False, True):
            batches: list[tuple[list[Address], str]] = []
            for batch in plan.remote_batches(addresses, self.scope):
                path = self._checked(batch) if self.outcomes.recordable(batch) else None
                if path is not None:
                    batches.append((batch, path))
            self.fallback = []
            self._run_batches(batches)
            addresses = self.fallback
            if not addresses or last:
                break
            for address in addresses:
                address.host_list, address.fallback_hosts = address.fallback_hosts, []
                address.flags.add("fallback")
        self.record.retries += self.first_retries

    def deliver_only(self, batch: list[Address]) -> None:
        """Run the one batch there is, without fallback hosts."""
        path = self._checked(batch)
        if path is not None:
            self._run_batches([(batch, path)])

    def _run_batches(self, batches: list[tuple[list[Address], str]]) -> None:
        first = self.outcomes.was_firsttime
        work = remote.RemoteRun(self.scope, self.locked, self.record.journal, first, self.run.continued,
                                self.run.force or self.main.mua_wrapper)
        limit = min(self.main.remote_max_parallel, len(batches))
        if limit > 1 and self.run.continued is None and not self.message.dont_deliver:
            remote.deliver_parallel(batches, work, limit, self._done, panic=self.services.log.panic)
            return
        for batch, path in batches:
            if self.outcomes.recordable(batch):
                self._done(batch, path,
                                  remote.deliver_batch(batch, path, work, data_fd=self.locked.data_fd))

    def _done(self, batch: list[Address], path: str, results: list[Result]) -> None:
        if self.main.mua_wrapper:
            results = wrapper.all_or_none(results)
        left = [r for r in results if r.status == PENDING]
        for result in left:
            self.fallback.append(result.address)
            self.first_retries += result.retries
        self.outcomes.take(batch, [r for r in results if r.status != PENDING], path)

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

    def _checked(self, batch: list[Address]) -> str | None:
        """Return the return path of a batch, or None after it was failed or deferred."""
        options = batch[0].transport.options
        if options.return_path is None and options.message_size_limit in (None, "0"):
            return remote.return_path(batch, self.message.sender_address)
        scope = local.delivery_scope(self.run.config, self.services, self.message, batch)
        path, why = remote.transport_return_path(batch, self.message.sender_address, scope)
        limit = 0
        if why is None:
            limit, why = remote.message_size_limit(batch, scope)
        if why is not None:
            self.outcomes.take(batch, self.outcomes.cannot(batch, why, -1), path)
            return None
        if limit and self.message.message_size > limit:
            text = f"message is too big (transport limit = {limit})"
            for address in batch:
                address.flags.add("unexplained")
            self.outcomes.take(batch, [Result(a, FAIL, text) for a in batch], path)
            return None
        return path
