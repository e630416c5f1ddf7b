"""Is an address, or a host, this host?  Spec: chapter 13, "Recognizing the local host"."""

from __future__ import annotations

from pyexim.base.ipaddress import parse, unmapped_key
from pyexim.expand.scope import Scope
from pyexim.net.interfaces import local_keys


def local_address_keys(scope: Scope) -> frozenset[int]:
    """Return the keys (base.ipaddress) of the addresses that count as local."""
    main = scope.config.main
    return local_keys(main.local_interfaces, main.extra_local_interfaces, main.disable_ipv6,
                      scope.services.clock.monotonic())


def is_local_address(address: str, scope: Scope) -> bool:
    """Tell whether an address is one of this host's."""
    key = parse(address)
    return key is not None and unmapped_key(key) in local_address_keys(scope)
