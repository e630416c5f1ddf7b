"""A filter on its way to the starter and back: the job for a child that becomes its user, and what the child answers.

The child gets what a local delivery gets: the header file as text, the -D file as a descriptor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from pyexim.base.plain import unpack
from pyexim.base.record import fields
from pyexim.config.configuration import Configuration
from pyexim.deliver.jobs import encode_job, unpack_address
from pyexim.deliver.starter import LocalJob
from pyexim.expand.scope import Scope, Services
from pyexim.filters.base import FilterRules, SieveRules
from pyexim.filters.outcome import Outcome, decode
from pyexim.filters.process import FilterJob, run_here, send
from pyexim.model.message import Message
from pyexim.spool.api import format_header_file

MESSAGE_FACTS = ("data_path", "data_start", "body_size", "message_size", "message_linecount", "queue_name",
                 "first_delivery", "manual_thaw", "filter_numbers")
"""What a child must know of the message that is not in its header file."""


def filter_job(job: FilterJob, scope: Scope) -> LocalJob | str:
    """Return the job for the starter; a text where there is no message to filter."""
    message, address = scope.message, scope.address
    if message is None or message.data_fd < 0:
        return "there is no message for a filter here"
    rules = {f.name: _plain(getattr(job.rules, f.name)) for f in fields(FilterRules)}
    facts = {name: getattr(message, name) for name in MESSAGE_FACTS}
    text = encode_job("", [address] if address is not None else [], facts=facts, vars=scope.vars,
                      router=scope.router_name, filter=job.text, kind=job.kind, rules=rules)
    header = format_header_file(message, scope.services.primary_hostname).decode("latin-1")
    return LocalJob(job=text, header=header, data_fd=message.data_fd, journal_fd=message.data_fd, uid=job.uid,
                    gid=job.gid, user_name=job.user_name, current_dir=scope.config.main.spool_directory or "/")


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, SieveRules):
        return {f.name: getattr(value, f.name) for f in fields(SieveRules)}
    return value


def outcome_of(data: bytes, panic: Callable[[str], None] | None) -> Outcome | str:
    """Return the outcome that a child has written, or why there is none."""
    outcome = decode(data)
    if outcome is not None:
        return outcome
    try:
        told: Any = json.loads(data) if data else {}
    except ValueError:
        told = {}
    if isinstance(told, dict) and "refused" in told:
        return str(told["refused"])
    if isinstance(told, dict) and "crash" in told and panic is not None:
        panic("in a filter's process: " + str(told["crash"]))
    return "the process of the filter ended without a result"


# -- in the child


def run_filter_job(values: dict[str, Any], message: Message, config: Configuration, services: Services,
                   data_fd: int, pipe: int) -> None:
    """Run a filter, as the user that this process now is, and answer."""
    for key, value in values["facts"].items():
        setattr(message, key, unpack(value))
    message.data_fd = data_fd
    scope = Scope(config, services, conn=message.conn, message=message, is_delivery=True,
                  router_name=unpack(values["router"]), vars=unpack(values["vars"]))
    if values["batch"]:
        scope.address = unpack_address(values["batch"][0], config)
    given = unpack(values["rules"])
    given["sieve"] = SieveRules(**given["sieve"])
    given["disabled"], given["forbidden"] = frozenset(given["disabled"]), frozenset(given["forbidden"])
    send(run_here(FilterJob(unpack(values["filter"]), unpack(values["kind"]), FilterRules(**given), os.geteuid(),
                            os.getegid()), scope), pipe)
