"""The accept router: every address that meets the preconditions goes to the transport.

Spec: chapter "The accept router".  It has no options of its own and never declines.
"""

from __future__ import annotations

from pyexim.config.option import options
from pyexim.model.address import Address
from pyexim.routers.base import RouteOutcome, Router, RouteRun
from pyexim.routers.options import RouterOptions


@options
class AcceptOptions(RouterOptions):
    """It has no options of its own."""


class Accept(Router):
    """The driver."""

    Options = AcceptOptions
    log_as_local = True

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Accept."""
        return self.generic.accept(address, run)
