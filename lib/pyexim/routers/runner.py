"""Run addresses through the configured routers: preconditions, the driver, the generic options after it.

Used for delivery (``deliver.plan``), verification (``verify``), -bt and -bv.  Spec: chapter "Generic
options for routers", section "Routers" of "How Exim receives and delivers mail".
"""

from __future__ import annotations

from pyexim.config.configuration import Configuration
from pyexim.model.address import Address
from pyexim.routers.base import RouteOutcome, RouteRun


def instantiate(config: Configuration) -> None:
    """Make the driver object of every router (``instance.driver``) and check it; raise ConfigError."""
    raise NotImplementedError


def route_address(address: Address, run: RouteRun) -> RouteOutcome:
    """Run one address through the routers, from the first or its ``start_router``, until one settles it.

    Routed: ``address.transport`` is the transport's Instance, and uid, gid, home, hosts, headers,
    errors_address, data values are set.  Copies by ``unseen`` and children by redirection are in
    ``run.new_children``; the caller routes them.  No router: Failed with "Unrouteable address".
    """
    raise NotImplementedError
