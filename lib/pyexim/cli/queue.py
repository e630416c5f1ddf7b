"""Commands on the queue: runs (-q, -R, -S), listings (-bp...), attempts (-M, -Mc, -Mg) and actions (-Mrm...)."""

from __future__ import annotations

import os
import sys

from pyexim.base.octets import words
from pyexim.deliver.continued import ContinuedOptions, deliver_with_waiting
from pyexim.deliver.continued import continue_connection as deliver_down_connection
from pyexim.queue.actions import ActionRun, act
from pyexim.queue.listing import count, style_of, write_listing
from pyexim.startup.process import Process
from pyexim.startup.queue_run import run_one
from pyexim.startup.work import CommandDelivery, become_exim, deliver_run, launch_starter


def write_octets(data: bytes) -> None:
    """Write to standard output."""
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


def list_queue(process: Process) -> int:
    """-bp and its variants, -bpc."""
    if process.command.mode == "count":
        sys.stdout.write(f"{count(process.spool)}\n")
        return 0
    write_listing(process.spool, style_of(process.command.list_kind), process.command.arguments,
                  process.services.clock.time(), lambda text: write_octets(text.encode("latin-1")))
    return 0


def run_queue_command(process: Process) -> int:
    """-q, -R, -S without a time: one run, in this process."""
    options = process.command.queue_run
    assert options is not None
    connector = launch_starter(process)[1]
    become_exim(process)
    return run_one(process, options, connector)


def deliver_messages(process: Process) -> int:
    """-M and -Mc: an attempt at each message in turn, waited for."""
    command = process.command
    connector = launch_starter(process)[1]
    become_exim(process)
    process.services.start_delivery = CommandDelivery(process, connector, foreground=True)
    for message_id in command.arguments:
        run = deliver_run(process, connector)
        if command.action == "M":
            run.force = run.force_frozen = True
        deliver_with_waiting(message_id, run)
        run.services.privileged.close()
    return 0


def give_up(process: Process) -> int:
    """-Mg: bounce what cannot be delivered, at once."""
    connector = launch_starter(process)[1]
    become_exim(process)
    process.services.start_delivery = CommandDelivery(process, connector, foreground=True)
    for message_id in process.command.arguments:
        run = deliver_run(process, connector)
        run.give_up = run.force = run.force_frozen = True
        deliver_with_waiting(message_id, run)
    return 0


def act_on_messages(process: Process) -> int:
    """The -M switches that are no deliveries."""
    command, me = process.command, process.identity
    switch = command.action
    if not me.admin and switch in ("Mg", "MG"):
        sys.stderr.write("exim: permission denied\n")
        return 1
    if switch == "Mg":
        return give_up(process)
    arguments = list(command.arguments)
    destination = arguments.pop(0) if switch == "MG" else ""
    run = ActionRun(spool=process.spool, log=process.log, write=write_octets, login=me.login, uid=me.uid,
                    admin=me.admin, now=process.services.clock.time(), destination=destination)
    return act(switch, arguments, run)


def continue_connection(process: Process) -> int:
    """-MC: deliver down the connection on standard input."""
    c = process.command
    facts = c.continued
    connector = launch_starter(process)[1]
    become_exim(process)
    process.services.start_delivery = CommandDelivery(process, connector, foreground=True)
    options = ContinuedOptions(
        transport=facts["transport"], host_name=facts["host"], host_address=facts["address"],
        sequence=int(facts["sequence"]), message_id=facts["id"], queue_name=facts.get("G", ""),
        authenticated="A" in facts, dsn="D" in facts, chunking="K" in facts, pipelining="P" in facts,
        size="S" in facts, tls="T" in facts, limits=tuple(int(n) for n in words(facts.get("L", ""))))
    return deliver_down_connection(options, deliver_run(process, connector), 0)


