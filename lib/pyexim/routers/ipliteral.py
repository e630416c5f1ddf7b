"""The ipliteral router: an address whose domain is an IP address in brackets.

Spec: chapter "The ipliteral router".  Declines for any other domain, and for addresses that
ignore_target_hosts names.
"""

from __future__ import annotations

from pyexim.base.ipaddress import parse_literal
from pyexim.config.option import options
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.routers.base import Declined, Routed, RouteOutcome, Router, RouteRun
from pyexim.routers.finding import translate
from pyexim.routers.localhosts import is_ignored, is_local_address, obey_self
from pyexim.routers.options import RouterOptions


@options
class IpliteralOptions(RouterOptions):
    """It has no options of its own."""


class Ipliteral(Router):
    """The driver."""

    Options = IpliteralOptions

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Route to the host with the address that is the domain."""
        domain = address.domain
        if domain[:6] == "[ipv4:":
            domain = "[" + domain[6:]
        literal = parse_literal(domain)
        if literal is None or (":" in literal and run.scope.config.main.disable_ipv6):
            return Declined()
        host = Host(address.domain, literal)
        if is_ignored(host, self.options.ignore_target_hosts, run.scope):
            return Declined("IP literal host explicitly ignored")
        if is_local_address(literal, run.scope):
            decided = obey_self(self, address, address.domain, run)
            if decided is not None:
                return decided
        hosts = [host]
        problem = translate(self, hosts, run)
        if problem is not None:
            return problem
        outcome = self.generic.accept(address, run)
        if isinstance(outcome, Routed):
            address.host_list = hosts
        return outcome
