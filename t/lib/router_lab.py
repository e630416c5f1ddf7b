"""Routers for tests: a configuration from a text, a scope for it, one address through it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pyexim.base.taint import Tainted
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope, Services
from pyexim.model.address import Address
from pyexim.model.message import Message
from pyexim.routers.base import RouteOutcome, RouteRun
from pyexim.routers.runner import instantiate, route_address

TRANSPORTS = """
begin transports
t:
  driver = appendfile
  file = /x
s:
  driver = smtp
"""


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        self.lines.append(text)

    reject = main

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.main(text, message_id=message_id)

    def selected(self, selector: str) -> bool:
        return False

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


def lab(routers: str, main: str = "", **services: Any) -> Scope:
    text = f"primary_hostname = mx.example\nqualify_domain = q.example\n{main}\nbegin routers\n{routers}\n{TRANSPORTS}"
    config = read_configuration(["test"], data=text.encode())
    for transport in config.transports.values():
        transport.driver = SimpleNamespace(is_local=transport.driver_name != "smtp")
    instantiate(config)
    scope = Scope(config, Services(Log(), primary_hostname="mx.example", admin=True, **services))
    scope.message = Message(sender_address="sender@x.example")
    return scope


def route(scope: Scope, text: str, verify: str = "", **fields: Any) -> tuple[RouteOutcome, Address, RouteRun]:
    local, _, domain = text.partition("@")
    address = Address(Tainted(text), Tainted(local), Tainted(domain.lower()))
    for name, value in fields.items():
        setattr(address, name, value)
    run = RouteRun(scope, verify)
    return route_address(address, run), address, run
