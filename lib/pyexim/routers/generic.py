"""What the generic options do once a router has accepted an address.

Prepared when the configuration is read: each option that is set is one step, and a literal is not
expanded again.  Spec: chapter "Generic options for routers"; the order is errors_to, headers_add,
headers_remove, transport.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyexim.base.errors import ConfigError, ExpansionError, ForcedFail
from pyexim.base.octets import strip
from pyexim.base.taint import Tainted, like
from pyexim.config.configuration import Configuration, Instance
from pyexim.expand.engine import expand, is_literal
from pyexim.match.lists import split_list
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.privs import find_group, find_owner
from pyexim.routers.base import Deferred, Routed, RouteOutcome, RouteRun
from pyexim.routers.hostlist import parse_host_list
from pyexim.routers.preconditions import panic

Step = Callable[[Address, RouteRun], Deferred | None]
VerifyErrorsAddress = Callable[[str, RouteRun], bool]
ROUTED = Routed()
"""There is nothing in it: the facts are in the address."""


class Generic:
    """The generic options of one router."""

    def __init__(self, instance: Instance, config: Configuration, verify_errors_address: VerifyErrorsAddress) -> None:
        self.instance = instance
        self.name = instance.name
        self.config = config
        options = self.options = instance.options
        self._verify_errors_address = verify_errors_address
        self.header_steps: list[Step] = []
        if options.errors_to is not None:
            self.header_steps.append(self._errors_to)
        if options.headers_add is not None:
            self._add_items = split_list(options.headers_add, "\n")
            self.header_steps.append(self._headers_add)
        if options.headers_remove is not None:
            self._remove_items = split_list(options.headers_remove)
            self.header_steps.append(self._headers_remove)
        self._transport: Instance | None = None
        text = options.transport
        if text is not None and is_literal(text):
            # One that does not exist defers the addresses that come here: as in Exim, others go on.
            self._transport = config.transports.get(text)
        self._owner: tuple[int, int | None, str | None] | None = None
        self._fallback: list[Host] | None = None
        if options.fallback_hosts is not None and is_literal(options.fallback_hosts):
            self._fallback = parse_host_list(options.fallback_hosts)

    # -- after acceptance

    def accept(self, address: Address, run: RouteRun, transport: Instance | None = None) -> RouteOutcome:
        """Do everything that follows when the driver has accepted: Routed, or Deferred where an option fails.

        ``transport`` is one that the driver has from elsewhere than the generic option.
        """
        problem = self.decorate(address, run)
        if problem is not None:
            return problem
        if transport is None:
            transport = self._transport
            if transport is None and self.options.transport is not None:
                found = self.find_transport(self.options.transport, run)
                if isinstance(found, Deferred):
                    return found
                transport = found
        address.transport = transport
        if self.options.dsn_lasthop:
            address.flags.add("dsn_lasthop")
        if not run.verify:
            problem = self.owner(address, run)
            if problem is not None:
                address.transport = None  # the router has not got as far as that
                return problem
            problem = self._surroundings(address, run)
            if problem is not None:
                return problem
        return ROUTED

    def decorate(self, address: Address, run: RouteRun) -> Deferred | None:
        """Set the errors address and the header changes; while verifying only for a delivery that will follow."""
        if not run.verify or run.to_be_sent:
            for step in self.header_steps:
                problem = step(address, run)
                if problem is not None:
                    return problem
        return None

    def errors_to(self, address: Address, run: RouteRun) -> Deferred | None:
        """Set the errors address alone, for an address that goes no further; when ``decorate`` would."""
        if self.options.errors_to is None or (run.verify and not run.to_be_sent):
            return None
        return self._errors_to(address, run)

    def find_transport(self, source: str, run: RouteRun, what: str = "transport") -> Instance | Deferred:
        """Return the transport that an option names after expansion."""
        try:
            name = expand(source, run.scope)
        except ExpansionError as e:
            return Deferred(f'failed to expand transport "{source}" in {self.name} router: {e.text}', errno=-30)
        if isinstance(name, Tainted):
            panic(run, f"attempt to use tainted value '{name}' from '{source}' for {what} "
                       f"(router {self.name}); use a value that a lookup has confirmed, such as $domain_data")
            return Deferred("internal configuration error", errno=-30)
        transport = self.config.transports.get(name)
        if transport is None:
            return Deferred(f'transport "{name}" not found in {self.name} router', errno=-30)
        return transport

    # -- steps

    def _errors_to(self, address: Address, run: RouteRun) -> Deferred | None:
        source = self.options.errors_to
        try:
            value = expand(source, run.scope)
            text = like(strip(value), value)
        except ForcedFail:
            return None
        except ExpansionError as e:
            return Deferred(f'{self.name} router failed to expand "{source}": {e.text}')
        if not text or text == "<>":
            address.errors_address = ""
        elif self._verify_errors_address(text, run):
            address.errors_address = text
        return None

    def _headers_add(self, address: Address, run: RouteRun) -> Deferred | None:
        for item in self._add_items:
            try:
                text = expand(item, run.scope)
            except ForcedFail:
                continue
            except ExpansionError as e:
                return Deferred(f'{self.name} router failed to expand add_headers item "{item}": {e.text}')
            if text:
                address.headers_add.append(text)
        return None

    def _headers_remove(self, address: Address, run: RouteRun) -> Deferred | None:
        names = [address.headers_remove] if address.headers_remove else []
        for item in self._remove_items:
            try:
                text = expand(item, run.scope)
            except ForcedFail:
                continue
            except ExpansionError as e:
                return Deferred(f'{self.name} router failed to expand remove_headers item "{item}": {e.text}')
            if text:
                names.append(like(text.replace(":", "::") if is_literal(item) else text, text))
        if names:
            address.headers_remove = like(":".join(names), *names)
        return None

    def owner(self, address: Address, run: RouteRun) -> Deferred | None:
        """Set user and group for the transport from the options, over those of check_local_user."""
        options = self.options
        if options.user is not None:
            try:
                text = expand(options.user, run.scope)
            except ExpansionError as e:
                return self._owner_problem(run, f'Failed to expand user string "{options.user}" for the '
                                                f"{self.name} router: {e.text}")
            found = find_owner(text)
            if found is None:
                return self._owner_problem(run, f'Failed to find user "{text}" from expanded string '
                                                f'"{options.user}" for the {self.name} router')
            address.user_name, address.uid = found[0], found[1]
            address.gid = found[2] if found[2] >= 0 else None
        if options.group is not None:
            try:
                text = expand(options.group, run.scope)
            except ExpansionError as e:
                return self._owner_problem(run, f'Failed to expand group string "{options.group}" for the '
                                                f"{self.name} router: {e.text}")
            gid = find_group(text)
            if gid is None:
                return self._owner_problem(run, f'Failed to find group "{text}" from expanded string '
                                                f'"{options.group}" for the {self.name} router')
            address.gid = gid
        if options.user is not None and address.gid is None:
            return Deferred(f"user set without group for {self.name} router")
        if options.initgroups:
            address.initgroups = True
        return None

    def _owner_problem(self, run: RouteRun, text: str) -> Deferred:
        panic(run, text)
        return Deferred(text)

    def _surroundings(self, address: Address, run: RouteRun) -> Deferred | None:
        """Set home and current directory for the transport, and the fallback hosts."""
        options = self.options
        self.directories(address)
        if options.fallback_hosts is not None:
            hosts = self._fallback
            if hosts is None:
                try:
                    hosts = parse_host_list(expand(options.fallback_hosts, run.scope))
                except ExpansionError as e:
                    return Deferred(f'failed to expand fallback_hosts "{options.fallback_hosts}" in {self.name} '
                                    f"router: {e.text}")
            address.fallback_hosts = [Host(h.name, h.address, h.port) for h in hosts]
        return None

    def directories(self, address: Address) -> None:
        """Set home and current directory for the transport."""
        options = self.options
        if options.transport_home_directory is not None:
            address.home_dir = options.transport_home_directory
            address.home_expanded = False
        elif options.check_local_user and options.router_home_directory is not None:
            # for the transport the account's home directory counts, not what the router used
            address.home_dir = address.lookup_facts.get("account_home", address.home_dir)
        if options.transport_current_directory is not None:
            address.current_dir = options.transport_current_directory


def require_transport(driver: Any, config: Configuration) -> None:
    """Refuse a router that lacks a transport, or has one that it cannot use."""
    options = driver.options
    place = driver.instance.set_places.get("transport", driver.instance.place)
    if driver.needs_transport is True and options.transport is None and not options.verify_only:
        raise ConfigError(f"{driver.name} router:\n  a transport is required for this router",
                          driver.instance.place, "transport")
    if driver.needs_transport is False and options.transport is not None:
        raise ConfigError(f"{driver.name} router:\n  a transport must not be defined for this router",
                          place, "transport")


def is_local(transport: Instance) -> bool:
    """Tell whether a transport delivers on this host (where its driver has not been made: by its name)."""
    driver = transport.made
    return transport.driver_name != "smtp" if driver is None else driver.is_local
