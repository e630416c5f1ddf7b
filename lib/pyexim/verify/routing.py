"""Verification by routing: an address, and the one address it is redirected to, through the routers.

Redirection to one address goes on with that address; to several, or to a file or pipe, it is success.
Callouts follow where an address was routed to hosts (``verify.callout``).  Spec: sections "Address
verification" and "Redirection while verifying".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.octets import lower
from pyexim.base.taint import like
from pyexim.expand.scope import Scope
from pyexim.model.address import Address, unquoted
from pyexim.routers import runner
from pyexim.routers.base import Deferred, Discarded, Failed, Rerouted, Routed, RouteRun
from pyexim.verify.api import DEFER, FAIL, OK, Verified, VerifyOptions

MODES: Final = {"sender": "S", "recipient": "R"}
MAX_REDIRECTIONS: Final = 100
_ARGUMENTS: Final = ("acl_narg", *(f"acl_arg{n}" for n in range(1, 10)))


def make_address(text: str) -> Address:
    """Return the Address of a text as it is at the start of routing: domain in lower case."""
    at = text.rfind("@")
    if at < 0:
        return Address(text, local_part=text, unique=text)
    domain = lower(text[at + 1:])
    whole = like(f"{text[:at]}@{domain}", text)
    return Address(whole, local_part=unquoted(like(text[:at], text)), domain=like(domain, text), unique=whole)


def verify(text: str, role: str, scope: Scope, options: VerifyOptions) -> Verified:
    """Verify an address; the scope is as before when this returns."""
    if "@" not in text:
        return Verified(FAIL, "", f"unqualified address <{text}>" if text else "empty address", "qualify")
    saved = scope.vars, scope.address, scope.verify_mode, scope.router_name, scope.transport_name, scope.host
    outer = saved[0]
    # Routing has variables of its own: $local_part, $domain_data and the rest are the routed address's.
    scope.vars = {n: outer[n] for n in _ARGUMENTS if n in outer} if "acl_narg" in outer else {}
    scope.verify_mode = MODES[role]
    try:
        return _route(make_address(text), role, scope, options)
    finally:
        (scope.vars, scope.address, scope.verify_mode, scope.router_name, scope.transport_name, scope.host) = saved
        if scope.services.debug is not None:
            scope.services.debug("verify", "----------- end verify ------------")


def _route(address: Address, role: str, scope: Scope, options: VerifyOptions) -> Verified:
    mode = MODES[role]
    for _ in range(MAX_REDIRECTIONS):
        scope.address = address
        run = RouteRun(scope, mode, to_be_sent=options.cutthrough is not None)
        outcome = runner.route_address(address, run)
        kind = type(outcome)
        if kind is Routed or kind is Discarded:
            if kind is Routed and options.cutthrough is not None:
                return options.cutthrough.join(address, scope)
            if kind is Routed and options.callout is not None:
                from pyexim.verify.callout import callout  # only where one is asked for
                return callout(address, role, scope, options)
            return Verified(OK, address=address)
        if isinstance(outcome, Failed):
            text = outcome.text or "Unrouteable address"
            user = outcome.user_text or text
            if outcome.smtp_code is not None and not user.startswith(str(outcome.smtp_code)):
                user = f"{outcome.smtp_code} {user}"
            return Verified(FAIL, user, text, "route", address, outcome.smtp_code)
        if isinstance(outcome, Deferred):
            return Verified(DEFER, outcome.user_text or "", outcome.text, "route", address)
        if not isinstance(outcome, Rerouted):
            return Verified(FAIL, "Unrouteable address", "Unrouteable address", "route", address)
        children = outcome.children or run.new_children
        if options.success_on_redirect or len(children) != 1 or children[0].kind != "address":
            return Verified(OK, address=address)
        address = children[0]
    return Verified(DEFER, "", "too many redirections while verifying", "route", address)
