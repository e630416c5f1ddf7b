"""The local deliveries of one attempt: batch by batch through the starter, and the shadow of each that succeeds.

What one delivery needs (user, directories, the job for the child) is worked out in ``deliver.local``.
Spec: chapters "Environment for running local transports" and "Generic options for transports".
"""

from __future__ import annotations

import os

from pyexim.base.errors import ExpansionError
from pyexim.deliver import local, plan, remote
from pyexim.deliver.limit import entered
from pyexim.deliver.results import Outcomes, local_key
from pyexim.deliver.starter import LocalJob
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.retry.api import outlived
from pyexim.spool.api import format_header_file
from pyexim.transports.base import DEFER, FAIL, OK, Result


class LocalDeliveries:
    """What the local deliveries of one attempt share."""

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        self.locked = outcomes.locked
        self.message = outcomes.message
        self.run = outcomes.run
        self.config = outcomes.run.config
        self.services = outcomes.services
        self.scope = outcomes.scope
        self.header_text: str | None = None

    def deliver(self, addresses: list[Address]) -> None:
        """Make the deliveries, and record what they come to."""
        outcomes = self.outcomes
        for batch in plan.local_batches(addresses, self.scope):
            if not outcomes.recordable(batch):
                continue
            results, path = self._batch(batch)
            outcomes.take(batch, results, path, self._shadow)

    def _batch(self, batch: list[Address]) -> tuple[list[Result], str]:
        """Run a batch through its local transport; the results, and the return path it went with."""
        run, first = self.run, batch[0]
        scope = local.delivery_scope(self.config, self.services, self.message, batch)
        scope.transport_name = first.transport.name
        if run.queue_run and not run.force:
            record = self.outcomes.find(local_key(first))
            if record is not None and self.outcomes.now < record.next_try and not record.expired and not outlived(
                    record, first.address, None, scope, self.outcomes.now - self.message.received_time):
                return [Result(a, DEFER, "Retry time not yet reached", errno=plan.ERRNO_LRETRY) for a in batch], ""
        path, why = remote.transport_return_path(batch, self.message.sender_address, scope)
        if why is None:
            limit, why = remote.message_size_limit(batch, scope)
            if why is None and limit and self.message.message_size > limit:
                return [Result(a, FAIL, f"message is too big (transport limit = {limit})") for a in batch], path
        if why is not None:
            return self.outcomes.cannot(batch, why, -1), path
        env = local.environment(first, scope, local.never_users(self.config, self.services), privileged=True)
        if isinstance(env, local.CannotRun):
            return self.outcomes.cannot(batch, env.text, env.errno), path
        if self.message.dont_deliver:
            return [Result(a, OK) for a in batch], path
        starter = local.starter(self.config, self.services)
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
            if result.status == OK and result.once_more:
                starter.run_local(self._job([result.address], env, path, sent=True))
        self._env = env
        return results, path

    def _submit(self, result: Result) -> None:
        """Submit what a local delivery wants to have submitted: an autoreply, whose delivery this is, or a warning."""
        transport = result.address.transport
        is_reply = transport.driver_name == "autoreply"
        for arguments, text in result.submissions:
            submit = self.services.submit
            code = submit(arguments, text.encode("latin-1")) if submit is not None else 1
            if code == 0 or (code == 2 and is_reply):  # 2: there is nobody to send it to
                continue
            if is_reply:
                result.status, result.text = DEFER, f"Failed to send message from {transport.name} transport ({code})"
                return
            self.services.log.panic(f"a message of the {transport.name} transport could not be submitted",
                                    message_id=self.message.message_id)
        if is_reply and result.status == OK:
            self.outcomes.record.journal(result.address)

    def _job(self, batch: list[Address], env: local.Environment, path: str,
             shadow: str | None = None, *, sent: bool = False) -> LocalJob:
        if self.header_text is None:
            self.header_text = format_header_file(self.message, self.run.spool.primary_hostname).decode("latin-1")
        message = self.message
        facts = {n: getattr(message, n) for n in (
            "data_path", "data_start", "body_size", "message_size", "message_linecount", "queue_name",
            "first_delivery", "filter_numbers")}
        return local.make_job(batch, env, header=self.header_text, data_fd=self.locked.data_fd,
                              journal_fd=self.locked.journal_fd(), return_path=path, shadow=shadow, facts=facts,
                              sent=sent)

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
        starter = local.starter(self.config, self.services)
        results = starter.run_local(self._job(batch, self._env, path, shadow=name))
        bad = next((r for r in results if r.status != OK), None)
        if bad is None:
            return f" ST={name}"
        text = os.strerror(bad.errno) + (f": {bad.text}" if bad.text else "") if bad.errno > 0 else bad.text
        return f" ST={name} ({text})"
