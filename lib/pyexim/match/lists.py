"""The entrance to list matching.

Every function takes the source text of a list as the configuration has it; it is expanded (unless it
has nothing to expand, or ``expanded`` says that it has been), split and compiled once per text, and kept
with the configuration.  A forced failure of the expansion means "not in the list", another failure is a
Match with ``deferred``.

Spec: chapter "Domain, host, address, and local part lists".
"""

from __future__ import annotations

from collections.abc import Callable

from pyexim.base.lists import split_list
from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope, Services
from pyexim.match.addresses import match_addresses
from pyexim.match.hosts import HostSubject, client_subject, compile_hosts, match_hosts
from pyexim.match.items import Match, expanded_list, lasting
from pyexim.match.names import compile_names, match_names
from pyexim.model.connection import Connection

__all__ = ["Match", "domain_list", "expanded_list", "host_list", "in_domain_list", "local_part_list", "match_address",
           "match_domain", "match_host", "match_host_address", "match_ip", "match_local_part", "match_string",
           "split_list"]


def match_domain(domain: str, source: str, scope: Scope, *, expanded: bool = False, name: str = "") -> Match:
    """Match a domain against a domain list.  Sets numeric variables in ``scope.vars`` as the spec says."""
    return match_names(domain, source, scope, "domain", False, expanded, name)


def match_local_part(local_part: str, source: str, scope: Scope, *, caseful: bool = False,
                     expanded: bool = False) -> Match:
    """Match a local part against a local part list."""
    return match_names(local_part, source, scope, "localpart", caseful, expanded)


def domain_list(source: str) -> Callable[[str, Scope], Match]:
    """Return ``match_domain`` for one list of the configuration, to be kept no longer than that."""
    return lasting(source, lambda domain, scope: match_domain(domain, source, scope), "domain", "", compile_names)


def local_part_list(source: str, *, caseful: bool = False) -> Callable[[str, Scope], Match]:
    """Return ``match_local_part`` for one list of the configuration, to be kept no longer than that."""
    return lasting(source, lambda local_part, scope: match_local_part(local_part, source, scope, caseful=caseful),
                   "localpart", "", compile_names, caseful=caseful)


def host_list(source: str) -> Callable[[Connection, Scope], Match]:
    """Return ``match_host`` for one list of the configuration, to be kept no longer than that."""
    return lasting(source, lambda conn, scope: match_host(conn, source, scope), "host", "host", compile_hosts,
                   client_subject)


def match_address(address: str, source: str, scope: Scope, *, caseful: bool = False, expanded: bool = False,
                  numeric: bool = False) -> Match:
    """Match an address ("" is the empty sender) against an address list.

    The domain is matched without regard to case; the local part likewise unless ``caseful`` or the
    list says +caseful.  ``numeric``: what a pattern captures is left in $0, $1 ... (rewriting wants that).
    """
    return match_addresses(address, source, scope, caseful, expanded, numeric)


def match_host(conn: Connection, source: str, scope: Scope, *, name: str = "host", expanded: bool = False) -> Match:
    """Match the connected host against a host list; names are looked up only when an item needs it.

    A connection without address matches only an empty item and "*".  ``name`` is the option, for log texts.
    """
    return match_hosts(client_subject(conn), source, scope, name, expanded)


def match_host_address(host_name: str | None, address: str, source: str, scope: Scope, *,
                       name: str = "host", expanded: bool = False) -> Match:
    """Match a host that is not the connected client (hosts_avoid_tls and the like)."""
    return match_hosts(HostSubject(address, host_name or None, addresses_only=name == "match_ip"), source, scope,
                       name, expanded)


def match_ip(address: str, source: str, scope: Scope, *, expanded: bool = False) -> Match:
    """Match an IP address, or "", against a list of addresses; no name is ever looked up."""
    return match_hosts(HostSubject(address or None, addresses_only=True), source, scope, "match_ip", expanded)


def match_string(subject: str, source: str, scope: Scope, *, caseful: bool = True, expanded: bool = False) -> Match:
    """Match a string against a plain string list, patterns as in local part lists."""
    return match_names(subject, source, scope, "string", caseful, expanded)


def in_domain_list(domain: str, source: str, config: Configuration) -> bool:
    """Tell whether a domain is in a list that belongs to no message, such as dns_again_means_nonexist."""
    return bool(match_domain(domain, source, Scope(config, _services(config))))


def _services(config: Configuration) -> Services:
    services: Services | None = config.compiled.get("list_services")
    if services is None:
        services = config.compiled["list_services"] = Services(
            NoLog(), primary_hostname=config.main.primary_hostname or "")
    return services


class NoLog:
    """The logs of a matching that nobody sees."""

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None: ...
    def crash(self, text: str, *, message_id: str | None = None) -> None: ...

    def reject(self, text: str, *, message_id: str | None = None, headers: str = "",
               also_main: bool = True) -> None: ...

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None: ...

    def selected(self, selector: str) -> bool:
        return False

    def wants(self, selector: str) -> bool:
        return False
