"""The dnslookup router: hosts from SRV, MX and address records.

Spec: chapter "The dnslookup router".  The questions are asked by ``dns.hosts``; here are the options, and
what becomes of the answer.  Declines when the domain has no mail hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.taint import untaint
from pyexim.config.option import BOOL, DOMAIN_LIST, STRING, STRING_LIST, option, options
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain, split_list
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.retry.errors import ERRNO_DNSDEFER, ERRNO_UNKNOWNHOST
from pyexim.routers.base import Declined, Deferred, Passed, Routed, RouteOutcome, Router, RouteRun
from pyexim.routers.finding import translate
from pyexim.routers.localhosts import is_ignored, is_local_address, is_local_name, obey_self, reroute
from pyexim.routers.options import RouterOptions

if TYPE_CHECKING:
    from pyexim.dns.hosts import MxHosts

_NONE: Any = None


@options
class DnslookupOptions(RouterOptions):
    """The options of its section."""

    check_secondary_mx: bool = option(BOOL, False,
        doc="Decline unless this host is among the MX hosts, and not the best.", spec="17")
    check_srv: str | None = option(STRING, None, doc="Service for which SRV records are looked up first.", spec="17")
    fail_defer_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains whose absence defers instead of declining.", spec="17")
    ipv4_only: str | None = option(STRING, None, expanded=True,
        doc="Where true after expansion, only IPv4 addresses are used.", spec="17")
    ipv4_prefer: str | None = option(STRING, None, expanded=True,
        doc="Where true after expansion, IPv4 addresses come first.", spec="17")
    mx_domains: str | None = option(DOMAIN_LIST, None, expanded=True, doc="Domains that must have MX or SRV records.",
        spec="17")
    mx_fail_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains for which a DNS failure means that there is no MX record.", spec="17")
    qualify_single: bool = option(BOOL, True, doc="Names of one component are looked up in the local domain.",
        spec="17")
    rewrite_headers: bool = option(BOOL, True, doc="Header lines follow when a domain is found under a longer name.",
        spec="17")
    same_domain_copy_routing: bool = option(BOOL, False, doc="Other addresses of the domain get the same routing.",
        spec="17", no_effect="every address is routed by itself; answers of the DNS are kept in memory")
    search_parents: bool = option(BOOL, False, doc="Names are looked up in the parent domains, too.", spec="17")
    srv_fail_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains for which a DNS failure means that there is no SRV record.", spec="17")
    widen_domains: str | None = option(STRING_LIST, None, doc="Domains to be added to a name that is not found.",
        spec="17")


_INVALID: Final = 'mail domain "{}" is syntactically invalid'


def is_legal(domain: str, scope: Scope) -> bool:
    """Tell whether dns_check_names_pattern lets a domain be asked for."""
    from pyexim.dns.hosts import resolver_of  # asks the DNS

    return resolver_of(scope).is_legal(untaint(domain), "MX")


class Dnslookup(Router):
    """The driver."""

    Options = DnslookupOptions

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Route to the hosts that the DNS names; decline where it names none."""
        options = self.options
        if not address.domain:
            return Declined()
        if address.domain.startswith("["):
            return Declined(_INVALID.format(address.domain))
        found, widened, problem = self._search(address, run)
        if problem is not None:
            return problem
        if found.status == "again":
            if options.pass_on_timeout:
                return Passed()
            return Deferred("host lookup did not complete", errno=ERRNO_DNSDEFER)
        if found.status != "found":
            return self._nothing(address, found, run)
        if widened or lower(found.name) != lower(address.domain):
            changed = self._changed_domain(address, found, widened, run)
            if changed is not None:
                return changed
        hosts, problem = self._usable(found, address, run)
        if problem is not None:
            return problem
        outcome = self.generic.accept(address, run)
        if isinstance(outcome, Routed):
            address.host_list = hosts
        return outcome

    def _search(self, address: Address, run: RouteRun) -> tuple[MxHosts, bool, RouteOutcome | None]:
        """Ask the DNS for the domain, then for its widened forms: (answer, widened, problem)."""
        from pyexim.dns.hosts import mx_hosts  # asks the DNS

        options, scope = self.options, run.scope
        domain = untaint(address.domain)
        service = ""
        if options.check_srv is not None:
            try:
                service = expand(options.check_srv, scope)
            except ForcedFail:
                service = ""
            except ExpansionError as e:
                return _NONE, False, Deferred(f'{self.name} router: failed to expand "{options.check_srv}": {e.text}')
        candidates = [domain]
        # A sender's domain is not widened: nobody would rewrite the header lines for it.
        if options.widen_domains is not None and (run.verify != "S" or not options.rewrite_headers):
            candidates += [f"{domain}.{suffix}" for suffix in split_list(options.widen_domains)]
        found = _NONE
        for number, candidate in enumerate(candidates):
            request, self_require = self._dnssec(candidate, scope)
            found = mx_hosts(
                candidate, scope, ignore=self._ignore(scope), srv_service=service,
                use_address=not self._listed(options.mx_domains, candidate, scope),
                qualify_single=options.qualify_single and number == 0,
                search_parents=options.search_parents and number == 0,
                mx_fail=lambda d: self._listed(options.mx_fail_domains, d, scope),
                srv_fail=lambda d: self._listed(options.srv_fail_domains, d, scope),
                dnssec=request, allow_ip=scope.config.main.allow_mx_to_ip)
            if found.status == "found":
                if self_require and not found.dnssec:
                    return found, False, self._insecure(candidate, run)
                return found, number > 0, None
            if found.status not in ("nxdomain", "nodata"):
                break
        return found, False, None

    def _listed(self, source: str | None, domain: str, scope: Scope) -> bool:
        return source is not None and bool(match_domain(domain, source, scope))

    def _dnssec(self, domain: str, scope: Scope) -> tuple[bool, bool]:
        options = self.options
        if self._listed(options.dnssec_require_domains, domain, scope):
            return True, True
        request = options.dnssec_request_domains
        return request is not None and (request == "*" or self._listed(request, domain, scope)), False

    def _insecure(self, domain: str, run: RouteRun) -> RouteOutcome:
        text = f"dnssec fail on MX for {domain}"
        run.scope.services.log.main(text)
        return Passed(text) if self.options.pass_on_timeout else Deferred(text, errno=ERRNO_DNSDEFER)

    def _ignore(self, scope: Scope) -> Callable[[str, str], bool] | None:
        source = self.options.ignore_target_hosts
        if source is None:
            return None
        return lambda name, address: is_ignored(Host(name, address), source, scope)

    def _nothing(self, address: Address, found: MxHosts, run: RouteRun) -> RouteOutcome:
        """Say why there is no host: declined, or deferred for the domains of fail_defer_domains."""
        texts = {"null": "an MX or SRV record indicated no SMTP service",
                 "mx_only": "all relevant MX records point to non-existent hosts",
                 "ignored": "", "nxdomain": "", "nodata": ""}
        text = texts.get(found.status, "")
        if found.status == "nxdomain" and not is_legal(address.domain, run.scope):
            text = _INVALID.format(address.domain)
        if found.status in ("nxdomain", "nodata", "mx_only") and self._listed(
                self.options.fail_defer_domains, address.domain, run.scope):
            return Deferred(text or "host not found", errno=ERRNO_UNKNOWNHOST)
        return Declined(text, public=found.status in ("null", "mx_only"))

    def _changed_domain(self, address: Address, found: MxHosts, widened: bool, run: RouteRun) -> RouteOutcome | None:
        """Route the address anew under its full domain, if the DNS knows it under a longer name."""
        name = found.name
        if not name or name.startswith("*"):
            return None
        if not widened and not name.startswith(lower(address.domain) + "."):
            return None  # an alias: the address keeps its domain
        return reroute(address, name, run, rewrite=self.options.rewrite_headers)

    def _usable(self, found: MxHosts, address: Address, run: RouteRun) -> tuple[list[Host], RouteOutcome | None]:
        """Cut the list at this host; what ``self`` or check_secondary_mx says about it."""
        options, scope = self.options, run.scope
        hosts = found.hosts
        local = next((h for h in hosts if is_local_name(h.name, scope)
                      or (h.address is not None and is_local_address(h.address, scope))), None)
        if local is not None:
            first = local.mx == hosts[0].mx if found.from_mx else True
            if first:
                decided = obey_self(self, address, local.name, run)
                if decided is not None:
                    return [], decided
            else:
                hosts = [h for h in hosts if h.mx < local.mx]
        if options.check_secondary_mx and (local is None or hosts is found.hosts):
            return [], Declined()
        if options.ipv4_only is not None and _is_true(options.ipv4_only, run):
            hosts = [h for h in hosts if h.address is None or ":" not in h.address]
        elif options.ipv4_prefer is not None and _is_true(options.ipv4_prefer, run):
            hosts = sorted(hosts, key=lambda h: (h.mx, h.sort_key, h.address is not None and ":" in h.address))
        if not any(h.address for h in hosts):
            return [], Declined()
        problem = translate(self, hosts, run)
        return hosts, problem


def _is_true(source: str, run: RouteRun) -> bool:
    """Tell whether an option of the kind of ``condition`` is true."""
    try:
        return lower(expand(source, run.scope)) not in ("", "0", "no", "false")
    except ExpansionError:
        return False
