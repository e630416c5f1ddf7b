"""What the tests of deliver/ share: a configuration in memory, transports that only remember, a recording log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pyexim.base.clock import FixedClock
from pyexim.base.errors import Place
from pyexim.base.octets import lower
from pyexim.base.taint import Tainted
from pyexim.config.configuration import Configuration, Instance, RuleLine
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Services
from pyexim.log.log import DEFAULT_SELECTORS
from pyexim.model.address import Address
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool.api import SpoolSettings, create
from pyexim.transports.base import OK, Result, Transport, TransportRun
from pyexim.transports.options import TransportOptions

PLACE = Place("conf", 1)


class RecordingLog:
    """A log that remembers its lines."""

    def __init__(self, selectors: frozenset[str] = DEFAULT_SELECTORS) -> None:
        self.selectors = selectors
        self.lines: list[str] = []
        self.panics: list[str] = []

    def selected(self, selector: str) -> bool:
        return selector in self.selectors

    def wants(self, selector: str) -> bool:
        return self.selected(selector)

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        self.lines.append(text)

    def reject(self, text: str, *, message_id: str | None = None) -> None:
        self.lines.append(text)

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.panics.append(text)

    def crash(self, text: str) -> None:
        self.panics.append(text)

    def time_stamp(self) -> str:
        return "2026-01-01 00:00:00"


class RememberingTransport(Transport):
    """A transport whose results the test decides, by local part."""

    Options = TransportOptions

    def __init__(self, instance: Instance, *, is_local: bool = True) -> None:
        super().__init__(instance)
        self.is_local = is_local
        self.batches: list[list[str]] = []
        self.answers: dict[str, dict[str, Any]] = {}

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        self.batches.append([str(a.address) for a in batch])
        results = []
        for address in batch:
            values = dict(self.answers.get(str(address.address), {}))
            status = values.pop("status", OK)
            if status == OK:
                run.delivered(address)
            results.append(Result(address, status, **values))
        return results


def make_transport(name: str, *, is_local: bool = True, **options: Any) -> Instance:
    """Return a transport instance with a remembering driver."""
    values = TransportOptions()
    for key, value in {"batch_max": 1, "batch_id": None, **options}.items():
        setattr(values, key, value)
    instance = Instance(name, "transport", "appendfile" if is_local else "smtp", values, PLACE)
    instance.driver = RememberingTransport(instance, is_local=is_local)
    return instance


def make_router(name: str, *, log_as_local: bool = True, **options: Any) -> Instance:
    """Return a router instance, as far as log lines need one."""
    values = SimpleNamespace(log_as_local=None, disable_logging=False, one_time=False)
    for key, value in options.items():
        setattr(values, key, value)
    instance = Instance(name, "router", "accept", values, PLACE)
    instance.driver = SimpleNamespace(log_as_local=log_as_local)
    return instance


def make_address(text: str, router: Instance | None = None, transport: Instance | None = None,
                 parent: Address | None = None, **values: Any) -> Address:
    """Return an address as routing leaves it."""
    address = Address(Tainted(text))
    address.local_part = Tainted(lower(address.local_part))
    address.router, address.transport, address.parent = router, transport, parent
    for key, value in values.items():
        setattr(address, key, value)
    return address


@dataclass
class World:
    """A spool, a configuration and services for delivery."""

    config: Configuration
    services: Services
    spool: SpoolSettings
    log: RecordingLog
    clock: FixedClock
    submitted: list[tuple[list[str], bytes]] = field(default_factory=list)
    submit_code: int = 0

    def queue_message(self, recipients: list[str], sender: str = "s@r.example",
                      message_id: str = "1vABCD-000000000Ab-1234", **values: Any) -> str:
        """Put a message on the spool."""
        new = create(self.spool, message_id)
        new.write(b"body\n")
        message = Message(
            message_id=message_id, sender_address=Tainted(sender),
            recipients=[Recipient(Tainted(r)) for r in recipients],
            headers=[Header("Subject: t\n"), Header(f"Message-Id: <E{message_id}@lab.example>\n", "I")],
            received_time=self.clock.time(), received_time_complete=self.clock.time(), originator_login="root",
            originator_uid=0, originator_gid=0, deliver_firsttime=True, body_linecount=1)
        for key, value in values.items():
            setattr(message, key, value)
        message.conn.received_protocol = "local"
        new.commit(message)
        new.close()
        return message_id


def make_world(tmp_path: Path) -> World:
    """A private spool and an empty configuration."""
    log = RecordingLog()
    clock = FixedClock()
    main = MainOptions()
    main.primary_hostname = main.qualify_domain = main.qualify_recipient = "lab.example"
    main.spool_directory = str(tmp_path)
    config = Configuration(main, "conf")
    config.retry = [RuleLine("* * F,2h,15m", PLACE)]
    config.compiled["deliver.never_users"] = frozenset({0})
    made = World(config, Services(log=log, clock=clock, primary_hostname="lab.example"),
                 SpoolSettings(str(tmp_path), fsync=False, primary_hostname="lab.example"), log, clock)

    def submit(arguments: list[str], data: bytes) -> int:
        made.submitted.append((arguments, data))
        return made.submit_code

    made.services.submit = submit
    return made
