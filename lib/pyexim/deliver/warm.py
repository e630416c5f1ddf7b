"""Make the starter ready: what every child would load and compile for itself is done once, before any is forked.

A child of a cold starter spends some 3 ms on modules and texts; of a warm one nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.config.configuration import Configuration
from pyexim.deliver.jobs import decode_job, decode_results, encode_job, encode_results, unpack_address
from pyexim.expand.engine import compiled
from pyexim.model.address import Address
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool.api import format_header_file, parse_header_file
from pyexim.transports.base import OK, Result

ALWAYS: Final = ("pyexim.expand.variables", "pyexim.expand.headers", "pyexim.expand.hosts", "pyexim.transports.write")
BY_DRIVER: Final = {
    "appendfile": ("pyexim.transports.paths", "pyexim.transports.quota", "pyexim.transports.locking",
                   "pyexim.transports.mbox", "pyexim.transports.newfile", "pyexim.transports.maildir"),
    "pipe": ("pyexim.transports.command",),
    "lmtp": ("pyexim.transports.command",),
    "autoreply": ("pyexim.transports.autoreply",),
}


def warm_up(config: Configuration) -> None:
    """Load what the local transports of a configuration need, and compile their texts."""
    local = [t for t in config.transports.values() if t.made is not None and t.made.is_local]
    if not local:
        return
    wanted = list(ALWAYS)
    for transport in local:
        wanted += BY_DRIVER.get(transport.driver_name, ())
        if transport.options.transport_filter is not None:
            wanted.append("pyexim.transports.filter")
    for name in dict.fromkeys(wanted):
        import_module(name)
    for transport in local:
        for value in vars(transport.options).values():
            _compile(value)
    _rehearse(local[0], config)


def _compile(value: Any) -> None:
    if isinstance(value, str) and "$" in value:
        try:
            compiled(value)
        except ExpansionError:
            return  # the delivery that needs it will say so


def _rehearse(transport: Any, config: Configuration) -> None:
    """Take a job there and back, without a delivery: regular expressions, time zone and codecs get loaded."""
    message = Message(message_id="000000-00000000000-0000", sender_address="a@b", recipients=[Recipient("c@d")],
                      headers=[Header("Subject: x\n"), Header("From: a@b\n", "F")])
    parse_header_file(format_header_file(message))
    address = Address("c@d", transport=transport)
    batch = [unpack_address(a, config) for a in decode_job(encode_job(transport.name, [address]))["batch"]]
    decode_results(encode_results([Result(batch[0], OK)], batch), batch)
