"""What -bt, -bv and -bvs print: how addresses are routed, or whether they verify.

Failures, and items that need no more routing, are told as they are met; then come the addresses for
local transports, the last first, then those for hosts.  Spec: -bt, -bv in the chapter "The Exim command
line".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyexim.base.octets import SPACE
from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import next_item, parse_address
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.rewrite.api import has_rules, rewrite_one
from pyexim.routers import runner
from pyexim.routers.base import Deferred, Discarded, Failed, Rerouted, Routed, RouteRun
from pyexim.verify import api
from pyexim.verify.api import VerifyOptions
from pyexim.verify.routing import make_address, verify

OK, DEFERRED, FAILED = 0, 1, 2
"""Exit codes; of several addresses the worst counts."""
MAX_ADDRESSES: Final = 10_000
_EMPTY_ADDRESS_WIDTH: Final = 7


class Reporter:
    """One run of -bt ("test"), -bv ("recipient") or -bvs ("sender").

    ``full`` follows redirections and tells where addresses go: -bt, or -bv with -v or -d.
    """

    def __init__(self, role: str, scope: Scope, *, full: bool = False) -> None:
        self.role = role
        self.scope = scope
        self.full = full or role == "test"
        self.exit_code = OK
        if role == "test":
            scope.facts["address_test"] = True
        self.lines: list[str] = []
        self._seen: set[str] = set()
        """Deliveries that have been told of, by ``Address.unique``."""

    def argument(self, text: str) -> str:
        """Return what is to be printed for one argument: addresses separated by commas."""
        self.lines = []
        start = 0
        while start < len(text):
            while start < len(text) and text[start] in SPACE + ",":
                start += 1
            if start >= len(text):
                break
            end = next_item(text, start)
            self.one(text[start:end])
            start = end + 1
        return "".join(line + "\n" for line in self.lines)

    def input_line(self, text: str) -> str:
        """Return what is to be printed for one line of standard input: one address."""
        self.lines = []
        self.one(text.strip(SPACE))
        return "".join(line + "\n" for line in self.lines)

    def one(self, text: str) -> None:
        """Test one address."""
        main = self.scope.config.main
        parsed = parse_address(text, allow_domain_literals=main.allow_domain_literals,
                               strip_trailing_dot=main.strip_trailing_dot)
        if parsed.error is not None:
            self._say(f"syntax error: {parsed.error}", FAILED)
            return
        address: str = taint(parsed.address)
        own = self.scope.services.primary_hostname
        if not parsed.domain_at:
            domain = main.qualify_domain or own
            if self.role != "sender":
                domain = main.qualify_recipient or domain
            address = taint(f"{address}@{domain}")
        where = "F" if self.role == "sender" else "T"
        if has_rules(self.scope.config, where):
            new = rewrite_one(address, where, self.scope)
            if new != address:
                self._say(f"Address rewritten as: {new}", OK)
                address = new
        debug = self.scope.services.debug
        if debug is not None and debug.chosen:
            word = "Testing" if self.role == "test" else "Verifying"
            debug("verify", f"{'>' * 48}\n{word} {address}")
        if self.full:
            self._full(address, parsed.address)
        else:
            self._short(address)

    def _say(self, text: str, code: int) -> None:
        self.lines.append(text)
        self.exit_code = max(self.exit_code, code)

    def _short(self, address: str) -> None:
        result = verify(address, self.role, self.scope, VerifyOptions())
        if result.status == api.OK:
            self._say(f"{address} verified", OK)
        elif result.status == api.DEFER:
            self._say(f"{address} cannot be resolved at this time{self._reason(result.log_text)}", DEFERRED)
        else:
            self._say(f"{address} failed to verify{self._reason(result.log_text)}", FAILED)

    def _reason(self, text: str) -> str:
        """Return why, with a colon before it: for admin users only, it may tell of what is not theirs."""
        return f": {text}" if self.scope.services.admin else ""

    # -- with everything that becomes of an address

    def _full(self, text: str, given: str) -> None:
        """Follow an address; a duplicate is what was ``given`` (without a domain, perhaps) as an earlier one was."""
        scope = self.scope
        mode = {"test": "", "sender": "S", "recipient": "R"}[self.role]
        saved = scope.vars, scope.address, scope.verify_mode
        scope.vars, scope.verify_mode = {}, mode
        local: list[Address] = []
        remote: list[Address] = []
        first = make_address(taint(text))
        first.address = taint(text)
        first.unique = given
        waiting = [first]
        count = 0
        debug = scope.services.debug
        try:
            while waiting and count < MAX_ADDRESSES:
                count += 1
                address = waiting.pop(0)
                scope.address = address
                if debug is not None and debug.chosen:
                    debug("verify", f"{'>' * 48}\nConsidering {address.address}")
                run = RouteRun(scope, mode, address_test=self.role == "test")
                outcome = runner.route_address(address, run)
                if not isinstance(outcome, Rerouted):
                    waiting[:0] = run.new_children  # set up besides, by a filter
                if isinstance(outcome, Routed):
                    if address.kind != "address":
                        self._item(address)
                    else:
                        (remote if _is_remote(address) else local).insert(0, address)
                elif isinstance(outcome, Rerouted):
                    waiting[:0] = outcome.children or run.new_children
                elif isinstance(outcome, Discarded):
                    self._say(f"mail to {address.address} is discarded", OK)
                    self._ancestry(address)
                elif address.kind != "address":
                    self._refused_item(address, outcome.text if isinstance(outcome, Deferred) else "")
                elif isinstance(outcome, Deferred):
                    self._trouble(address, "cannot be resolved at this time", outcome.text, DEFERRED)
                elif isinstance(outcome, Failed):
                    word = "is undeliverable" if self.role == "test" else "failed to verify"
                    self._trouble(address, word, outcome.text, FAILED)
        finally:
            scope.vars, scope.address, scope.verify_mode = saved
        for address in [*local, *reversed(remote)]:
            self._routed(address, duplicate=address.unique in self._seen)
            self._seen.add(address.unique)

    def _trouble(self, address: Address, word: str, text: str, code: int) -> None:
        self._say(f"{address.address} {word}{self._reason(text)}", code)
        self._ancestry(address)

    def _ancestry(self, address: Address) -> None:
        for parent in _ancestors(address):
            self._say(f"    <-- {parent.address}", OK)

    def _item(self, address: Address) -> None:
        """Tell of a pipe, file, directory or reply."""
        parent = address.parent.address if address.parent is not None else ""
        self._say(f"{parent} -> {_shown(address)}", OK)
        name = _name(address.transport)
        if address.transport is None and address.parent is not None:
            # Verification chooses no transport; what the router would have used is told all the same.
            options = getattr(address.parent.router, "options", None)
            name = getattr(options, f"{address.kind}_transport", None) or name
        self._say(f"  transport = {name}", OK)

    def _refused_item(self, address: Address, problem: str) -> None:
        """Tell of a pipe or file that is forbidden, or for which there is no transport."""
        parent = address.parent.address if address.parent is not None else ""
        problem = problem or address.message or ""
        if address.kind == "reply" and "forbidden" not in address.flags and address.transport is not None:
            self._item(address)  # to nobody, while there is no message
        elif problem:
            self._say(f"{parent} -> {_shown(address)}", OK)
            self._say("*** Error in setting up pipe, file, or autoreply:", OK)
            self._say(problem, OK)
        else:
            self._say(f"{parent} -> {_shown(address)} *** forbidden ***", OK)

    def _routed(self, address: Address, *, duplicate: bool) -> None:
        self._say(str(address.address) + "   [duplicate, would not be delivered]" * duplicate, OK)
        self._ancestry(address)
        self._say(f"  router = {_name(address.router)}, transport = {_name(address.transport)}", OK)
        options = getattr(address.transport, "options", None)
        if not (getattr(options, "hosts_override", False) and getattr(options, "hosts", None)):
            self.lines.extend(host_lines(address.host_list))


def _shown(address: Address) -> str:
    """Return how a pipe, file or reply is named."""
    return f"mail {address.address[1:]}" if address.kind == "reply" else address.address


def _is_remote(address: Address) -> bool:
    """Tell whether an address goes to a transport for hosts."""
    driver = getattr(address.transport, "driver", None)
    return bool(address.host_list) if driver is None else not driver.is_local


def _ancestors(address: Address) -> Iterator[Address]:
    parent = address.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _name(instance: object) -> str:
    return getattr(instance, "name", None) or "unset"


def host_lines(hosts: list[Host]) -> list[str]:
    """Return the lines that show a host list, in columns."""
    name_width = max((len(h.name) for h in hosts), default=0)
    address_width = max(_EMPTY_ADDRESS_WIDTH, max((len(h.address) for h in hosts if h.address), default=0))
    lines = []
    for host in hosts:
        line = f"  host {host.name:<{name_width}} "
        if host.address:
            line += f"[{host.address}]" + " " * (address_width - len(host.address))
        else:
            line += " " * (address_width + 2)
        if host.mx >= 0:
            line += f" MX={host.mx}"
        if host.port is not None:
            line += f" port={host.port}"
        if host.dnssec:
            line += " AD"
        if host.status == "unusable":
            line += " ** unusable **"
        lines.append(line)
    return lines
