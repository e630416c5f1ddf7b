"""The iplookup router: ask a host by UDP or TCP for another address.

Spec: chapter "The iplookup router".
"""

from __future__ import annotations

import socket

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE, to_bytes, to_text
from pyexim.base.taint import Tainted
from pyexim.config.option import BOOL, INT, STRING, TIME, option, options
from pyexim.expand import regex
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.routers.base import Declined, Deferred, Passed, Rerouted, RouteOutcome, Router, RouteRun
from pyexim.routers.children import make_child
from pyexim.routers.finding import HostSearch, find_hosts
from pyexim.routers.hostlist import parse_host_list
from pyexim.routers.options import RouterOptions

_DEFAULT_QUERY = "$local_part@$domain $local_part@$domain"
_MAX_RESPONSE = 65535


@options
class IplookupOptions(RouterOptions):
    """The options of its section."""

    hosts: str | None = option(STRING, None, doc="The hosts to ask.", spec="19")
    optional: bool = option(BOOL, False, doc="No answer passes the address on instead of deferring it.", spec="19")
    port: int = option(INT, 0, doc="The port to ask at.", spec="19")
    protocol: str | None = option(STRING, "udp", doc="udp or tcp.", spec="19")
    query: str | None = option(STRING, None, expanded=True, doc="What to ask.", spec="19")
    reroute: str | None = option(STRING, None, expanded=True, doc="The new address, from the answer.", spec="19")
    response_pattern: str | None = option(STRING, None, doc="What an answer must look like.", spec="19")
    timeout: int = option(TIME, 5, doc="How long to wait for an answer.", spec="19")


class Iplookup(Router):
    """The driver."""

    Options = IplookupOptions
    needs_transport = False

    def check(self) -> None:
        """Refuse a router that does not say whom to ask, and how."""
        options = self.options
        if options.port <= 0:
            raise self.wrong("a port must be specified", "port")
        if options.protocol not in ("udp", "tcp"):
            raise self.wrong("protocol not specified as udp or tcp", "protocol")
        if options.hosts is None:
            raise self.wrong("a host list must be specified", "hosts")
        if options.response_pattern is not None:
            fault = regex.fault(options.response_pattern)
            if fault is not None:
                raise self.wrong(fault, "response_pattern")

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Ask, and go on with the address in the answer."""
        options, scope = self.options, run.scope
        try:
            query = expand(options.query if options.query is not None else _DEFAULT_QUERY, scope)
        except ForcedFail:
            return Declined()
        except ExpansionError as e:
            return Deferred(f'{self.name} router: failed to expand "{options.query}": {e.text}')
        response = self._ask(to_bytes(query), run)
        if response is None:
            if options.optional:
                return Passed()
            return Deferred(f"{self.name} router: failed to get anything from any host")
        return self._answered(response, address, run)

    def _ask(self, query: bytes, run: RouteRun) -> str | None:
        """Return the first answer of any host."""
        options = self.options
        for item in parse_host_list(options.hosts):
            found = find_hosts([item], HostSearch("byname", skip_absent=True), run)
            for host in found.hosts:
                if host.address is not None:
                    response = _exchange(host.address, options.port, query, options.protocol == "tcp", options.timeout)
                    if response:
                        return Tainted(to_text(response))
        return None

    def _answered(self, response: str, address: Address, run: RouteRun) -> RouteOutcome:
        options, scope = self.options, run.scope
        words = response.split(None, 1) if response.isascii() else response.split(" ", 1)
        saved, scope.vars = scope.vars, {**scope.vars, "0": response}
        try:
            if options.response_pattern is not None:
                try:
                    groups = regex.compile(options.response_pattern).search(response)
                except regex.RegexLimit:
                    groups = None
                if groups is None:
                    return Declined()
                scope.vars.update((str(number), group) for number, group in enumerate(groups))
                scope.vars["0"] = response
            elif options.query is None:
                original = f"{address.local_part}@{address.domain}"
                if len(words) < 2 or words[1].strip(SPACE) != original:
                    return Declined()
            text = expand(options.reroute, scope) if options.reroute is not None else Tainted(words[0] if words else "")
        except ExpansionError as e:
            return Deferred(f'{self.name} router: failed to expand "{options.reroute}": {e.text}')
        finally:
            scope.vars = saved
        if "@" not in text or text.startswith("@") or text.endswith("@"):
            return Deferred(f'{self.name} router: address "{text}" is not of the form local_part@domain')
        child = make_child(address, text)
        # It goes on where this address would: the routers before this one have seen it.
        routers = scope.config.compiled["routers"]
        after = routers.positions[self.name] + 1
        if after < len(routers.ordered):
            child.start_router = routers.ordered[after].name
        return Rerouted([child])


def _exchange(address: str, port: int, query: bytes, tcp: bool, timeout: float) -> bytes:
    """Send a query and return the answer; empty where none comes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((address, port))
            s.sendall(query)
            return s.recv(_MAX_RESPONSE)
    except OSError:
        return b""
