"""What -d+route shows of an address on its way through the routers; the main steps of it also under -bh."""

from __future__ import annotations

from typing import Any, Final

from pyexim.config.configuration import Instance
from pyexim.model.address import Address
from pyexim.routers.base import Declined, Deferred, Discarded, Failed, Passed, Rerouted, Routed, RouteOutcome, RouteRun

_CHECKING: Final = {"_domains": "checking domains", "_local_parts": "checking local_parts",
                    "_local_user": "checking for local user", "_senders": "checking senders",
                    "_required_files": "checking require_files"}


class RouteTrace:
    """Writes for one address; ``debug`` is log.debug.Debug."""

    def __init__(self, debug: Any, address: Address, whole: str) -> None:
        self.debug = debug
        self.name = ""
        self.instance: Instance | None = None
        self.whole = whole
        self.main(">" * 35)
        self.main(f"routing {address.address}")

    def main(self, text: str) -> None:
        """Write a line that -bh shows as well."""
        self.debug("routing", text)

    def say(self, text: str) -> None:
        """Write a line of the details."""
        self.debug("route", text)

    def router(self, instance: Instance, address: Address) -> None:
        """Tell that a router is looked at."""
        self.instance, self.name = instance, instance.name
        self.say(f"--------> {self.name} router <--------\nlocal_part={self.whole} domain={address.domain}")

    def no_affix(self) -> None:
        """Tell that the local part lacks a prefix or suffix."""
        assert self.instance is not None
        word = "prefix" if self.instance.options.local_part_prefix is not None else "suffix"
        self.say(f"{self.name} router skipped: {word} mismatch")

    def check(self, check: Any, address: Address) -> None:
        """Tell which precondition is tested."""
        kind = kind_of(check)
        if kind == "_condition":
            self.say(f'checking "condition" "{source_of(check)}"...')
        elif kind in _CHECKING:
            self.say(_CHECKING[kind])

    def skipped(self, check: Any, address: Address, run: RouteRun) -> None:
        """Tell which precondition was not met."""
        kind = kind_of(check)
        if kind == "_modes":
            assert self.instance is not None
            reason = {"S": "verify_sender is unset", "R": "verify_recipient is unset", "E": "expn is unset"}.get(
                run.verify, "verify_only set" if self.instance.options.verify_only else "address_test is unset")
        elif kind == "_local_user":
            reason = f"{address.local_part} is not a local user"
        elif kind == "_condition":
            reason = "condition failure"
        elif kind == "_required_files":
            reason = "file check"
        else:
            reason = f"{kind.lstrip('_')} mismatch"
        self.say(f"{self.name} router skipped: {reason}")

    def stripped(self, address: Address) -> None:
        """Tell which affixes the local part had."""
        if address.prefix:
            self.say(f"stripped prefix {address.prefix}")
        if address.suffix:
            self.say(f"stripped suffix {address.suffix}")

    def calling(self, address: Address) -> None:
        """Tell that all preconditions are met."""
        self.main(f"calling {self.name} router")
        self.say(f"{self.name} router called for {address.address}\n  domain = {address.domain}")

    def outcome(self, outcome: RouteOutcome, address: Address, run: RouteRun) -> None:
        """Tell what the driver said."""
        name = self.name
        if isinstance(outcome, (Declined, Passed)):
            word = "declined" if isinstance(outcome, Declined) else "passed"
            self.say(f"{name} router {word} for {address.address}")
        elif isinstance(outcome, (Deferred, Failed)):
            word = "defer" if isinstance(outcome, Deferred) else "forced address failure"
            self.say(f"{name} router: {word} for {address.address}\n  message: {outcome.text}")
        elif isinstance(outcome, (Routed, Rerouted, Discarded)):
            if isinstance(outcome, Rerouted):
                for child in outcome.children or run.new_children:
                    self.say(f"{name} router generated {child.address}")
            if isinstance(outcome, Routed) and address.transport is not None:
                self.say(f"set transport {address.transport.name}\n"
                         f"queued for {address.transport.name} transport: local_part = {address.local_part}\n"
                         f"domain = {address.domain}\n  errors_to={address.errors_address or 'NULL'}\n"
                         f"  domain_data={_or_null(address.domain_data)} "
                         f"local_part_data={_or_null(address.local_part_data)}")
            self.main(f"routed by {name} router")
            transport = address.transport.name if isinstance(outcome, Routed) and address.transport else "<none>"
            self.say(f"  envelope to: {address.address}\n  transport: {transport}")
            if isinstance(outcome, Routed):
                for host in address.host_list:
                    self.say(f"  host {host.name}" + (f" [{host.address}]" if host.address else ""))

    def end(self) -> None:
        """Tell that there are no more routers."""
        self.main("no more routers")


def _or_null(value: str | None) -> str:
    return "NULL" if value is None else value


def kind_of(check: Any) -> str:
    """Return the name of the function that made a check."""
    parts: list[str] = check.__qualname__.split(".")
    return parts[0]


def source_of(check: Any) -> str:
    """Return the option's text that a check has in its closure."""
    names = check.__code__.co_freevars
    if "source" not in names:
        return ""
    return str(check.__closure__[names.index("source")].cell_contents)
