"""Run addresses through the configured routers: preconditions, the driver, the generic options after it.

Used for delivery (``deliver.plan``), verification (``verify``), -bt and -bv.  Spec: chapter "Generic
options for routers", section "Routers" of "How Exim receives and delivers mail".

What the options say is prepared once (``prepared``); an address then costs little more than the list
matches that the configuration asks for.
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.base.taint import Tainted
from pyexim.config.configuration import Configuration
from pyexim.expand.engine import expand
from pyexim.model.address import Address, unquoted
from pyexim.routers.base import Declined, Deferred, Discarded, Failed, Passed, Rerouted, Routed, RouteOutcome, RouteRun
from pyexim.routers.children import adopt, continue_unseen, make_child
from pyexim.routers.percent import percent_hack
from pyexim.routers.preconditions import SKIP, panic
from pyexim.routers.prepared import Prepared, Routers, prepare

_MAX_DEPTH = 100


def instantiate(config: Configuration) -> None:
    """Make the driver object of every router (``instance.driver``) and check it; raise ConfigError."""
    config.compiled["routers"] = prepare(config, _verifies)


def route_address(address: Address, run: RouteRun) -> RouteOutcome:
    """Run one address through the routers, from the first or its ``start_router``, until one settles it.

    Routed: ``address.transport`` is the transport's Instance, and uid, gid, home, hosts, headers,
    errors_address, data values are set.  Rerouted: routing goes on with the children, in the order
    given; they are in ``run.new_children`` too.  A child that its router has settled already (a pipe,
    a file, a copy made by "unseen") is given to this function like any other.  No router: Failed with
    "Unrouteable address" or what cannot_route_message says.
    """
    if address.settled is not None:
        return address.settled  # type: ignore[no-any-return]
    scope = run.scope
    if scope.config.main.percent_hack_domains and address.kind == "address" and "%" in address.local_part:
        meant = percent_hack(lower(address.address), scope)
        if meant != lower(address.address):
            child = make_child(address, meant)
            run.new_children.append(child)
            return Rerouted([child])
    routers = scope.config.compiled.get("routers")
    if routers is None:
        instantiate(scope.config)
        routers = scope.config.compiled["routers"]
    saved = scope.address, scope.router_name
    scope.address = address
    try:
        return _route(address, run, routers)
    finally:
        scope.address, scope.router_name = saved


def _route(address: Address, run: RouteRun, routers: Routers) -> RouteOutcome:
    whole = address.address
    at = whole.rfind("@")
    local_part = unquoted(whole if at < 0 else whole[:at])
    folded = lower(local_part)
    if whole.__class__ is not str:
        local_part, folded = Tainted(local_part), Tainted(folded)
    scope = run.scope
    ordered = routers.ordered
    position = 0
    if address.start_router is not None:
        position = routers.positions.get(address.start_router, 0)
    last: Prepared | None = None
    dirty = False
    debug = scope.services.debug
    trace = None
    if debug is not None and debug.selected("routing"):
        from pyexim.routers.trace import RouteTrace  # only under -d and -bh

        trace = RouteTrace(debug, address, local_part)
    while position < len(ordered):
        router = last = ordered[position]
        position += 1
        if address.parent is not None and _has_been_here(router, address):
            continue
        if dirty:
            _clean(address, run)
        dirty = router.leaves_traces
        scope.router_name = router.name
        address.local_part = local_part if router.caseful else folded
        address.domain_data = address.local_part_data = address.sender_data = None
        address.retry_use_local_part = router.retry_use_local_part
        if trace is not None:
            trace.router(router.instance, address)
        if router.affixes is not None and not router.affixes.apply(address):
            if trace is not None:
                trace.no_affix()
            continue
        if trace is not None:
            trace.stripped(address)
        for check in router.checks:
            if trace is not None:
                trace.check(check, address)
            result = check(address, run)
            if result is not None:
                break
        else:
            result = None
        if result is SKIP:
            if trace is not None:
                trace.skipped(check, address, run)
            continue
        if result is not None:
            address.router = router.instance
            return result  # type: ignore[return-value]
        outcome = router.prelude(address, run) if router.prelude is not None else None
        if outcome is None:
            if trace is not None:
                trace.calling(address)
            outcome = router.driver.route(address, run)
            if trace is not None:
                trace.outcome(outcome, address, run)
        kind = type(outcome)
        if kind is Declined:
            if outcome.reason:  # type: ignore[union-attr]
                address.message = outcome.reason  # type: ignore[union-attr]
                address.user_message = address.message if outcome.public else None  # type: ignore[union-attr]
            more = router.more if router.more.__class__ is bool else _flag(router, "more", True, run)
            if more is True:
                if run.besides and position < len(ordered):
                    address.router = router.instance
                    besides = Rerouted(_besides(address, run, router))
                    both = continue_unseen(address, run, router, ordered[position].name, besides).children
                    run.new_children.insert(0, run.new_children.pop())
                    return Rerouted([both[-1], *both[:-1]])
                continue
            if more is not False:
                return more
            if trace is not None:
                trace.say('"more" is false: skipping remaining routers')
            break
        if kind is Passed:
            if outcome.reason:  # type: ignore[union-attr]
                address.message, address.user_message = outcome.reason, None  # type: ignore[union-attr]
            if router.pass_to is not None:
                position = router.pass_to
            continue
        return _settled(address, run, router, routers, position, outcome)
    if trace is not None:
        trace.end()
    if run.besides and last is not None:
        _besides(address, run, last)
    return _unrouteable(address, run, last)


def _besides(address: Address, run: RouteRun, router: Prepared) -> list[Address]:
    """Make children of what a filter has set up besides."""
    children, run.besides = run.besides, []
    adopt(children, address, router, run)
    return children


def _settled(address: Address, run: RouteRun, router: Prepared, routers: Routers, position: int,
             outcome: RouteOutcome) -> RouteOutcome:
    """Finish with a router that took the address: failure on purpose, children, unseen copies."""
    address.router = router.instance
    if run.besides:
        _besides(address, run, router)
    if isinstance(outcome, (Deferred, Failed)):
        return outcome
    if run.verify:
        if (run.verify == "R" and router.fail_verify_recipient) or (run.verify == "S" and router.fail_verify_sender):
            text = f"{router.name} router forced verify failure"
            return Failed(text)
        if isinstance(outcome, Rerouted):
            adopt(outcome.children, address, router, run)
        return outcome
    if isinstance(outcome, Rerouted):
        adopt(outcome.children, address, router, run)
    elif isinstance(outcome, Routed):
        address.message = None
        if "homonym" in address.flags and address.transport is not None:
            # an ancestor bears the same address: it is this delivery that is complete, not that one
            address.unique = f"{address.unique}/{address.transport.name}"
    unseen = router.unseen
    if unseen is False:
        return outcome
    wanted = unseen if unseen.__class__ is bool else _flag(router, "unseen", False, run)
    if wanted is False:
        return outcome
    if wanted is not True:
        return wanted
    if position >= len(routers.ordered):
        return outcome
    return continue_unseen(address, run, router, routers.ordered[position].name, outcome)


def _flag(router: Prepared, name: str, default: bool, run: RouteRun) -> bool | Deferred:
    """Return the value of an expanded boolean option."""
    source: str = getattr(router.instance.options, name)
    try:
        value = lower(expand(source, run.scope))
    except ForcedFail:
        return default
    except ExpansionError as e:
        return Deferred(f'failed to expand "{name}" in {router.name} router: {e.text}')
    if value in ("yes", "true"):
        return True
    if value in ("no", "false"):
        return False
    return Deferred(f'"{value}" is not a valid value for the "{name}" option in the {router.name} router')


def _has_been_here(router: Prepared, address: Address) -> bool:
    """Tell whether an ancestor with the same address (or any, without repeat_use) was handled by this router."""
    ancestor = address.parent
    folded = None
    while ancestor is not None:
        if ancestor.router is router.instance:
            if not router.repeat_use:
                return True
            if folded is None:
                folded = str(address.address) if router.caseful else lower(address.address)
            if (str(ancestor.address) if router.caseful else lower(ancestor.address)) == folded:
                return True
        ancestor = ancestor.parent
    return False


def _clean(address: Address, run: RouteRun) -> None:
    """Take back what a router that did not accept has left in the address."""
    address.prefix = address.prefix_v = address.suffix = address.suffix_v = ""
    address.home_dir = address.user_name = None
    address.uid = address.gid = None
    address.home_expanded = address.initgroups = False
    address.lookup_facts.pop("account_home", None)
    values = run.scope.vars
    if "local_user_uid" in values:
        del values["local_user_uid"], values["local_user_gid"]


def _unrouteable(address: Address, run: RouteRun, last: Prepared | None) -> Failed:
    """Return the failure of an address that no router took."""
    address.router = None
    if address.message:
        return Failed(address.message, address.user_message)
    text = "Unrouteable address"
    if last is not None and last.cannot_route_message is not None:
        try:
            text = expand(last.cannot_route_message, run.scope) or text
        except ForcedFail:
            return Failed(text, text)
        except ExpansionError as e:
            panic(run, f"failed to expand cannot_route_message in {last.name} router: {e.text}")
    return Failed(text, text)


def _verifies(text: str, run: RouteRun) -> bool:
    """Tell whether an errors_to address can be routed; its sender is the empty one while that is found out."""
    scope = run.scope
    message = scope.message
    if run.facts.get("errors_to depth", 0) > 2:
        return True
    at = text.rfind("@")
    if at < 0:
        text = f"{text}@{scope.config.main.qualify_domain or scope.services.primary_hostname}"
        at = text.rfind("@")
    address = Address(text[:at + 1] + lower(text[at + 1:]))
    saved_vars, scope.vars = scope.vars, {}
    saved_mode, scope.verify_mode = scope.verify_mode, "R"
    sender = message.sender_address if message is not None else ""
    if message is not None:
        message.sender_address = ""
    try:
        for _ in range(_MAX_DEPTH):
            inner = RouteRun(scope, "R")
            inner.facts["errors_to depth"] = run.facts.get("errors_to depth", 0) + 1
            outcome = route_address(address, inner)
            if not isinstance(outcome, Rerouted):
                return isinstance(outcome, (Routed, Discarded))
            if len(outcome.children) != 1 or outcome.children[0].kind != "address":
                return True
            address = outcome.children[0]
        return False
    finally:
        scope.vars, scope.verify_mode = saved_vars, saved_mode
        if message is not None:
            message.sender_address = sender
