"""Is a host this host, and what then: the option ``self``.

Spec: section "Recognizing the local host" of the chapter about starting the daemon, generic option self.
"""

from __future__ import annotations

from pyexim.base.ipaddress import parse
from pyexim.base.taint import like
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain, match_host_address
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.net.interfaces import local_keys
from pyexim.routers.base import Deferred, Failed, Passed, Rerouted, RouteOutcome, Router, RouteRun
from pyexim.routers.children import make_child

_TEXT = "remote host address is the local host"


def is_local_address(address: str, scope: Scope) -> bool:
    """Tell whether an IP address is one of this host's."""
    main = scope.config.main
    key = parse(address)
    return key is not None and key in local_keys(main.local_interfaces, main.extra_local_interfaces,
                                                 main.disable_ipv6, scope.services.clock.monotonic())


def is_local_name(name: str, scope: Scope) -> bool:
    """Tell whether a host name is to be treated as this host's."""
    treated = scope.config.main.hosts_treat_as_local
    return treated is not None and bool(match_domain(name, treated, scope))


def is_ignored(host: Host, ignore: str | None, scope: Scope) -> bool:
    """Tell whether ignore_target_hosts says that an address does not exist."""
    if ignore is None or host.address is None:
        return False
    saved, scope.host = scope.host, host
    try:
        return bool(match_host_address(None, host.address, ignore, scope, name="ignore_target_hosts"))
    finally:
        scope.host = saved


def cut_at_local(hosts: list[Host], scope: Scope) -> bool:
    """Cut a host list off at the first host that is this one; True where that is the very first.

    With MX preferences the hosts of the same preference as the local one go as well; a first host that
    is local stays in the list, since ``self = send`` wants it.
    """
    for i, host in enumerate(hosts):
        if (host.address is not None and is_local_address(host.address, scope)) or is_local_name(host.name, scope):
            first = i
            while host.mx >= 0 and first > 0 and hosts[first - 1].mx == host.mx:
                first -= 1
            if first == 0:
                return True
            del hosts[first:]
            return False
    return False


def obey_self(router: Router, address: Address, name: str, run: RouteRun) -> RouteOutcome | None:
    """Do what ``self`` says about an address whose first host is this one; None to send it all the same."""
    text: str = router.options.self
    scope = run.scope
    if text == "send":
        return None
    if text == "freeze":
        message = scope.message
        scope.services.log.main(f"{_TEXT}: {address.domain} (while routing <{address.address}>)",
                                message_id=message.message_id if message is not None else None)
        return Deferred(_TEXT, freeze=True)
    if text == "defer":
        return Deferred(_TEXT)
    if text == "fail":
        return Failed(_TEXT, _TEXT)
    if text == "pass":
        address.self_hostname = name
        return Passed(_TEXT)
    rest = text.partition(":")[2].strip(" ")
    rewrite = rest.startswith("rewrite:")
    domain = rest[len("rewrite:"):].strip(" ") if rewrite else rest
    return reroute(address, domain, run, rewrite=rewrite)


def reroute(address: Address, domain: str, run: RouteRun, *, rewrite: bool) -> Rerouted:
    """Give an address another domain and route it anew; the header lines follow if ``rewrite``."""
    at = address.address.rfind("@")
    child = make_child(address, like(f"{address.address[:at]}@{domain}", address.address, domain))
    if rewrite and not run.verify and not run.address_test:
        from pyexim.routers.domainrewrite import rewrite_domain  # rare
        rewrite_domain(run.scope, address.domain, domain)
    return Rerouted([child])
