"""The manualroute router: hosts by domain, as the configuration lists them.

Spec: chapter "The manualroute router".  Declines when no rule fits; what happens when a host cannot
be found is told by host_find_failed.  Rules are read by ``manual_rules``, hosts looked up by ``finding``.
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE
from pyexim.config.configuration import Instance
from pyexim.config.option import BOOL, STRING, STRING_LIST, option, options
from pyexim.expand.engine import expand, expand_bool, is_literal
from pyexim.match.lists import match_domain
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.retry.errors import ERRNO_DNSDEFER, ERRNO_UNKNOWNHOST
from pyexim.routers.base import Declined, Deferred, Failed, Passed, Routed, RouteOutcome, Router, RouteRun
from pyexim.routers.finding import HostSearch, find_hosts, translate
from pyexim.routers.generic import is_local
from pyexim.routers.hostlist import parse_host_list
from pyexim.routers.localhosts import obey_self
from pyexim.routers.manual_rules import Rule, RuleOptions, parse_data, parse_route_list, understand
from pyexim.routers.options import RouterOptions

FAILURES = frozenset({"decline", "defer", "fail", "freeze", "pass"})


@options
class ManualrouteOptions(RouterOptions):
    """The options of its section."""

    host_all_ignored: str | None = option(STRING, "defer", doc="What to do when every host has been ignored.",
        spec="20")
    host_find_failed: str | None = option(STRING, "freeze", doc="What to do when a host does not exist.", spec="20")
    hosts_randomize: bool | str = option(BOOL, False, expanded=True,
        doc="The order of the hosts is changed at random.", spec="20")
    route_data: str | None = option(STRING, None, expanded=True,
        doc="The hosts for the address at hand, with options.", spec="20")
    route_list: str | None = option(STRING_LIST, None, doc="Routing rules: domain pattern, hosts, options.",
        spec="20")
    same_domain_copy_routing: bool = option(BOOL, False, doc="Other addresses of the domain get the same routing.",
        spec="20", no_effect="every address is routed by itself; answers of the DNS are kept in memory")


class Manualroute(Router):
    """The driver."""

    Options = ManualrouteOptions
    needs_transport = None

    def check(self) -> None:
        """Refuse what makes no sense; read the rules of route_list once."""
        options = self.options
        if (options.route_list is None) == (options.route_data is None):
            raise self.wrong("route_list or route_data (but not both) must be specified", "route_list")
        for name, words in (("host_find_failed", FAILURES | {"ignore"}), ("host_all_ignored", FAILURES)):
            if getattr(options, name) not in words:
                raise self.wrong(f"unrecognized setting for {name} option", name)
        self._rules = parse_route_list(options.route_list) if options.route_list is not None else []
        self._hosts: dict[str, list[Host]] = {}

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Route by the first rule that fits the domain; decline where none does."""
        scope = run.scope
        if not self._rules:
            try:
                data = expand(self.options.route_data, scope)
            except ForcedFail:
                return Declined()
            except ExpansionError as e:
                return Deferred(f'failed to expand "{self.options.route_data}": {e.text}')
            if not data.strip(SPACE):
                return Declined()
            return self._apply(parse_data(data), address, run, expand_hosts=False)
        for rule in self._rules:
            if rule.pattern == "*" and is_literal(rule.hosts):
                return self._apply(rule, address, run, expand_hosts=False)
            saved = scope.vars
            scope.vars = dict(saved)
            try:
                found = match_domain(address.domain, rule.pattern, scope)
                if found.deferred:
                    return Deferred(f"lookup deferred in {self.name} router: {found.error}")
                if found.found:
                    scope.vars["0"] = address.domain
                    if found.value is not None:
                        scope.vars["value"] = found.value
                    return self._apply(rule, address, run, expand_hosts=True)
            finally:
                scope.vars = saved
        return Declined()

    def _apply(self, rule: Rule, address: Address, run: RouteRun, *, expand_hosts: bool) -> RouteOutcome:
        """Route an address by a rule."""
        text = rule.hosts
        if expand_hosts or not is_literal(text):
            try:
                text = expand(text, run.scope)
            except ForcedFail:
                return Declined()
            except ExpansionError as e:
                return Deferred(f'{self.name} router: failed to expand "{rule.hosts}": {e.text}')
        transport = None
        try:
            words = RuleOptions(randomize=self._randomize(run))
        except ExpansionError as e:
            return Deferred(f'failed to expand "hosts_randomize" in {self.name} router: {e.text}')
        if rule.words:
            understood = understand(rule.words, words.randomize, run.scope.config.transports)
            if isinstance(understood, str):
                return self._unknown_word(understood, run)
            words = understood
            if words.transport is not None:
                transport = run.scope.config.transports[words.transport]
        outcome = self.generic.accept(address, run, transport)
        if not isinstance(outcome, Routed):
            return outcome
        if address.transport is None:
            if run.verify:
                return outcome
            self._log(run, f"Error in {self.name} router: no transport defined")
            return Deferred("error in router: transport missing")
        if is_local(address.transport):
            if text:
                address.host_list = [Host(text)]
            return outcome
        if not text.strip(SPACE):
            if run.verify or _has_own_hosts(address.transport):
                return outcome
            problem = f"error in {self.name} router: no host(s) specified for domain {address.domain}"
            self._log(run, problem)
            return Deferred(problem)
        result = self._remote(text, words, address, run, outcome)
        if not isinstance(result, Routed):
            address.transport = None  # it was not routed after all, and no log line is to say so
        return result

    def _remote(self, text: str, words: RuleOptions, address: Address, run: RouteRun,
                outcome: RouteOutcome) -> RouteOutcome:
        """Look the hosts up and look out for this one."""
        options = self.options
        found = find_hosts(self._parsed(text), HostSearch(
            words.lookup, words.randomize, words.ipv4_only, words.ipv4_prefer, options.ignore_target_hosts,
            options.dnssec_request_domains, options.dnssec_require_domains,
            options.host_find_failed == "ignore"), run)
        if found.deferred:
            if options.pass_on_timeout:
                return Passed()
            return Deferred(f'host lookup for "{found.failed}" did not complete (DNS timeout?)', errno=ERRNO_DNSDEFER)
        if found.failed:
            address.host_list = []
            return self._failure(options.host_find_failed,
                                 f'lookup of host "{found.failed}" failed in {self.name} router', ERRNO_UNKNOWNHOST)
        if not found.hosts and not found.local_first:
            return self._failure(options.host_all_ignored,
                                 f"lookup failed for all hosts in {self.name} router: "
                                 f"host_find_failed=ignore host_all_ignored={options.host_all_ignored}", -1)
        if found.local_first:
            decided = obey_self(self, address, found.hosts[0].name, run)
            if decided is not None:
                return decided
        problem = translate(self, found.hosts, run)
        if problem is not None:
            return problem
        address.host_list = found.hosts
        return outcome

    def _randomize(self, run: RouteRun) -> bool:
        value = self.options.hosts_randomize
        return value if isinstance(value, bool) else expand_bool(value, run.scope, "hosts_randomize")

    def _parsed(self, text: str) -> list[Host]:
        """Return the parsed form of a host list, parsed once for a text from the configuration."""
        known = self._hosts.get(text)
        if known is None:
            known = parse_host_list(text)
            if len(self._hosts) < 200:
                self._hosts[text] = known
        return known

    def _failure(self, word: str, text: str, errno: int) -> RouteOutcome:
        """Do what host_find_failed or host_all_ignored says."""
        if word == "decline":
            return Declined()
        if word == "pass":
            return Passed()
        if word == "fail":
            return Failed(text)
        return Deferred(text, freeze=word == "freeze", errno=errno)

    def _unknown_word(self, word: str, run: RouteRun) -> Deferred:
        text = f'unknown routing option or transport name "{word}"'
        self._log(run, f"Error in {self.name} router: {text}")
        return Deferred(f"error in router: {text}")

    def _log(self, run: RouteRun, text: str) -> None:
        message = run.scope.message
        run.scope.services.log.main(text, message_id=message.message_id if message is not None else None)


def _has_own_hosts(transport: Instance) -> bool:
    """Tell whether a transport brings hosts of its own."""
    return getattr(transport.options, "hosts", None) is not None
