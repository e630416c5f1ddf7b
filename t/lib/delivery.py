"""Make what a transport is run with: a configuration with one transport, a message, a batch.  For unit tests."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from pyexim.base.errors import Place
from pyexim.config.configuration import Configuration, Instance, RuleLine
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Scope, Services
from pyexim.hints.memory import MemoryHints
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.model.message import Header, Message
from pyexim.transports.base import Result, TransportRun
from pyexim.transports.table import check_generic, find_driver

PLACE = Place("conf", 1)


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.selectors: set[str] = set()

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        self.lines.append(text)

    reject = panic = main

    def selected(self, selector: str) -> bool:
        return selector in self.selectors

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


class Pool:
    """A pool of live connections in memory."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def take(self, keys: list[str]) -> Any:
        for conn in self.kept:
            if conn.key in keys:
                self.kept.remove(conn)
                return conn
        return None

    def park(self, conn: Any) -> None:
        self.kept.append(conn)


class Delivery:
    """One transport, ready to deliver messages."""

    def __init__(self, driver: str, *, pool: Any = None, hints: Any = None, **options: Any) -> None:
        cls = find_driver(driver)
        assert cls is not None
        self.log = Lines()
        self.config = Configuration(main=MainOptions(), file="conf")
        self.config.main.qualify_domain = "test.example"
        self.config.retry = [RuleLine("* * F,2h,15m", PLACE)]
        places = dict.fromkeys(options, PLACE)
        self.instance = Instance("t", "transport", driver, cls.Options(**options), PLACE, places)
        self.config.transports["t"] = self.instance
        self.instance.driver = self.transport = cls(self.instance)
        check_generic(self.transport, self.config)
        self.transport.check()
        self.services = Services(log=self.log, primary_hostname="test.example", hints=hints or MemoryHints(),
                                 pool=pool)
        self.delivered: list[str] = []
        self.journal_errno = 0
        self._files: list[Any] = []

    def _journal(self, *done: Address, sync: bool = True) -> int:
        if sync and not self.journal_errno:
            self.delivered.extend(a.address for a in done)
        return self.journal_errno

    def message(self, headers: str = "Subject: x\n", body: bytes = b"body\n", **fields: Any) -> Message:
        values: dict[str, Any] = {"message_id": "1xVPjV-00046i-1z", "sender_address": "s@test.example",
                                  "message_size": len(headers) + len(body) + 1,
                                  "received_time": self.services.clock.time()}
        message = Message(**{**values, **fields})
        message.headers = [Header(x + "\n") for x in headers.split("\n") if x]
        f = tempfile.TemporaryFile()
        self._files.append(f)
        f.write(b"1xVPjV-00046i-1z-D\n" + body)
        f.flush()
        message.data_start = 19
        self._fd = f.fileno()
        return message

    def run(self, message: Message | None = None, to: str | list[Address] = "a@r.example", *,
            hosts: list[Host] | None = None, **fields: Any) -> list[Result]:
        message = message or self.message()
        batch = [Address(x) for x in to.split()] if isinstance(to, str) else to
        for address in batch:
            address.transport = self.instance
            if hosts is not None:
                address.host_list = hosts
        scope = Scope(config=self.config, services=self.services, conn=message.conn, message=message,
                      address=batch[0], transport_name="t", is_delivery=True)
        values: dict[str, Any] = {"delivered": self._journal, "return_path": message.sender_address, "uid": os.getuid(),
                                  "gid": os.getgid()}
        run = TransportRun(scope=scope, message=message, data_fd=self._fd, **{**values, **fields})
        return self.transport.deliver(batch, run)
