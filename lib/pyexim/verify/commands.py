"""What VRFY and EXPN answer once their ACL has accepted them.

Spec: sections "The VRFY and EXPN commands" of the chapter "SMTP processing".
"""

from __future__ import annotations

from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.routers import runner
from pyexim.routers.base import Deferred, Discarded, Rerouted, Routed, RouteRun
from pyexim.verify import api
from pyexim.verify.api import VerifyOptions
from pyexim.verify.routing import make_address

MAX_ADDRESSES = 1000


def vrfy(address: str, scope: Scope) -> tuple[int, str, str]:
    """Answer VRFY for a qualified address: (code, text, line for the main log or "", without the host).

    The caller has checked the syntax.  The log line begins "VRFY failed for ..."; the host follows it.
    """
    result = api.verify_address(taint(address), "recipient", scope, VerifyOptions())
    if result.status == api.OK:
        return 250, f"<{address}> is deliverable", ""
    if result.status == api.DEFER:
        if result.user_text:
            return 451, f"<{address}> {result.user_text}", ""
        return 451, f"Cannot resolve <{address}> at this time", ""
    text = result.user_text or "is not deliverable"
    return 550, f"<{address}> {text}", f"VRFY failed for {address}"


def expn(argument: str, scope: Scope) -> tuple[int, str]:
    """Answer EXPN for one address: (code, lines).  Only one step of redirection is shown."""
    main = scope.config.main
    address = argument
    if "@" not in address:
        address = f"{argument}@{main.qualify_recipient or main.qualify_domain or scope.services.primary_hostname}"
    lines: list[str] = []
    code = 250
    saved = scope.vars, scope.address, scope.verify_mode
    scope.vars, scope.verify_mode = {}, "E"
    try:
        code = _expand(make_address(taint(address)), scope, lines)
    finally:
        scope.vars, scope.address, scope.verify_mode = saved
    return code, "\n".join(lines)


def _expand(address: Address, scope: Scope, lines: list[str]) -> int:
    scope.address = address
    run = RouteRun(scope, "E")
    outcome = runner.route_address(address, run)
    if isinstance(outcome, Rerouted):
        for child in (outcome.children or run.new_children)[:MAX_ADDRESSES]:
            lines.append(f"<{child.address}>" if child.kind == "address" else f"{address.address} -> {child.address}")
        return 250
    if isinstance(outcome, Routed):
        lines.append(f"<{address.address}>")
        return 250
    if isinstance(outcome, Discarded):
        lines.append(f"mail to <{address.address}> is discarded")
        return 250
    word = "cannot be resolved at this time" if isinstance(outcome, Deferred) else "is undeliverable"
    lines.append(f"{address.address} {word}")
    return 553
