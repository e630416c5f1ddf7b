"""The plan of a delivery attempt: which addresses, routed where, in which groups.

No I/O of its own: routing is done by ``routers.runner``; what is remembered of failures comes from
``retry``.  Nothing is delivered or logged here; the plan says what came of each address.

Spec: chapters "How Exim receives and delivers mail" (sections 11 and 13), "Address batching in local
transports", "Retry configuration", and section "Outgoing SMTP" of "SMTP processing".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import lower
from pyexim.base.record import dataclass, field
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_domain, split_list
from pyexim.model.address import Address
from pyexim.model.message import Message
from pyexim.retry.api import RetryItem, RetryRecord, outlived
from pyexim.routers.base import Deferred, Discarded, Failed, Rerouted, Routed, RouteRun
from pyexim.routers.runner import route_address

ERRNO_HELD: Final = -23
ERRNO_RRETRY: Final = -52
ERRNO_LRETRY: Final = -53
ERRNO_HRETRY: Final = -54
ERRNO_LOCAL_ONLY: Final = -55
ERRNO_QUEUE_DOMAIN: Final = -56
ERRNO_TRETRY: Final = -57
_MAX_CHILDREN: Final = 500
"""Depth of redirection at which an address is held to loop."""


@dataclass(slots=True)
class Plan:
    """What came of routing: children before their parents, otherwise in the order of the recipients."""

    local: list[Address] = field(default_factory=list)
    remote: list[Address] = field(default_factory=list)
    discarded: list[Address] = field(default_factory=list)
    """:blackhole: and the like: delivered to nowhere."""
    failed: list[Address] = field(default_factory=list)
    deferred: list[Address] = field(default_factory=list)
    duplicates: list[tuple[Address, Address]] = field(default_factory=list)
    """(address, the one that it is a duplicate of)."""
    finished: list[Address] = field(default_factory=list)
    """Addresses whose children were all delivered before: nothing is left of them."""
    retries: list[RetryItem] = field(default_factory=list)
    freeze: Address | None = None
    """The address whose routing asked for the message to be frozen."""
    on_settled: Callable[[str, Address], None] = lambda what, address: None
    """Called with "redirected", "discarded", "failed" or "deferred" as soon as routing has come to it."""

    def discard(self, address: Address) -> None:
        """Note an address that goes to nowhere."""
        self.discarded.append(address)
        self.on_settled("discarded", address)

    def fail(self, address: Address) -> None:
        """Note an address that cannot be delivered."""
        self.failed.append(address)
        self.on_settled("failed", address)

    def defer(self, address: Address) -> None:
        """Note an address that is left for later."""
        self.deferred.append(address)
        self.on_settled("deferred", address)


@dataclass(slots=True)
class PlanRules:
    """How this attempt is meant."""

    queue_run: bool = False
    force: bool = False
    hold: bool = True
    """hold_domains and queue_domains are looked at."""
    find_record: Callable[[str], RetryRecord | None] = lambda key: None
    now: float = 0.0
    on_settled: Callable[[str, Address], None] = lambda what, address: None


def recipients(message: Message) -> list[Address]:
    """Return an address for every recipient that is not done yet."""
    out = []
    done = message.nonrecipients
    originals: dict[int, Address] = {}
    for index, r in enumerate(message.recipients):
        if r.address in done:
            continue
        address = Address(r.address, dsn_orcpt=r.dsn_orcpt, dsn_flags=r.dsn_flags)
        address.domain = address.domain.lower() if address.domain.isascii() else address.domain
        if r.errors_to is not None:
            address.errors_address = r.errors_to
        if 0 <= r.parent < len(message.recipients):
            parent = originals.get(r.parent)
            if parent is None:
                parent = originals[r.parent] = Address(message.recipients[r.parent].address)
            address.parent = parent
            address.flags.add("onetime")
        originals.setdefault(index, address)
        out.append(address)
    return out


def make_plan(addresses: list[Address], scope: Scope, rules: PlanRules, message: Message) -> Plan:
    """Route addresses and their children; nothing is raised for what can be expected.

    One generation after the other, and each from its last address to its first, as Exim does it: the order
    shows in logs and bounces.  Where queue_domains is looked at, it is from the first to the last.
    """
    plan = Plan(on_settled=rules.on_settled)
    queueing = rules.hold and not rules.queue_run and scope.config.main.queue_domains is not None
    generation = addresses
    while generation:
        families: list[list[Address]] = []
        for item in [a for a in generation if a.kind != "address"]:
            # Pipes and files need no routing, and are taken up in the order of the generation.
            generation.remove(item)
            if _ready([item], scope, rules, message, plan):
                _route_one(item, scope, rules, message, plan)
        for address in _ready(generation, scope, rules, message, plan)[::1 if queueing else -1]:
            children = _route_one(address, scope, rules, message, plan)
            for copy in [c for c in children if c.settled is not None and c.kind == "address"]:
                # What "unseen" has sent off belongs to this generation.
                children.remove(copy)
                if _ready([copy], scope, rules, message, plan):
                    _route_one(copy, scope, rules, message, plan)
            families.append(children)
        generation = [child for some in families[::1 if queueing else -1] for child in some]
    scope.address = None
    plan.local = _remove_duplicates(plan.local[::-1], plan)
    plan.remote = _remove_duplicates(plan.remote[::-1], plan)
    return plan


def _remove_duplicates(routed: list[Address], plan: Plan) -> list[Address]:
    """Return addresses in the order of their delivery, without those that are the same as an earlier one."""
    first: dict[str, Address] = {}
    out = []
    for address in routed:
        local_part, at, domain = address.unique.rpartition("@")
        same = first.setdefault(local_part + at + lower(domain) if address.kind == "address" else address.unique,
                                address)
        if same is address:
            out.append(address)
        else:
            plan.duplicates.append((address, same))
    return out


def _ready(generation: list[Address], scope: Scope, rules: PlanRules, message: Message, plan: Plan) -> list[Address]:
    """Return the addresses of a generation that are to be routed now; the others are settled."""
    out = []
    for address in generation:
        if address.unique in message.nonrecipients:
            plan.finished.append(address)
            continue
        if address.settled is None and (
                (rules.hold and _held(address, scope, rules, plan))
                or (rules.queue_run and not rules.force and _too_early(address, rules, plan, message, scope))):
            continue
        out.append(address)
    return out


def _route_one(address: Address, scope: Scope, rules: PlanRules, message: Message,
               plan: Plan) -> list[Address]:
    """Route one address and note what came of it; the children."""
    scope.address = address
    run = RouteRun(scope=scope)
    outcome = route_address(address, run)
    children: list[Address] = list(outcome.children) if isinstance(outcome, Rerouted) else []
    for extra in run.new_children:
        if all(extra is not c for c in children):
            children.append(extra)
    if isinstance(outcome, (Failed, Deferred)):
        _not_routed(address, outcome, plan)
    elif isinstance(outcome, Discarded):
        address.message = outcome.text or None
        plan.discard(address)
        _routed_again(address, rules, plan)
    elif isinstance(outcome, Rerouted):
        address.children = sum(1 for c in children if c.parent is address)
        _routed_again(address, rules, plan)
        if not children:
            plan.discard(address)
        elif not any(c.dsn_flags for c in children):
            plan.on_settled("redirected", address)
    elif isinstance(outcome, Routed):
        if any(c.parent is address for c in children):
            address.children += sum(1 for c in children if c.parent is address)
        _routed_again(address, rules, plan)
        _settle(address, plan, message)
    else:
        address.message = "Unrouteable address"
        plan.fail(address)
    return children


def _settle(address: Address, plan: Plan, message: Message) -> None:
    """Put an address with a transport on its list, unless that delivery is done."""
    if address.unique in message.nonrecipients:
        plan.finished.append(address)
        return
    transport = address.transport
    if transport is None:
        address.message = f"no transport for {address.address}"
        address.errno = -1
        plan.defer(address)
        return
    (plan.local if transport.driver.is_local else plan.remote).append(address)


def _not_routed(address: Address, outcome: Failed | Deferred, plan: Plan) -> None:
    """Note why an address has no transport."""
    address.message = outcome.text
    address.user_message = outcome.text if outcome.user_text is not None else None
    if outcome.freeze:
        address.special_action = "freeze"
        if plan.freeze is None:
            plan.freeze = address
    if isinstance(outcome, Failed):
        plan.fail(address)
        plan.retries.append(RetryItem(_routing_key(address), delete=True, kind="routing"))
        return
    address.errno = outcome.errno or -1
    if address.kind == "address":  # for a pipe or file without a transport, where the set-up is wrong, no time is kept
        address.retries.append(RetryItem(_routing_key(address), errno=address.errno, text=outcome.text, kind="routing",
                                         pattern=address.address if address.retry_use_local_part else address.domain))
    plan.defer(address)


def _routing_key(address: Address) -> str:
    return "R:" + (address.address if address.retry_use_local_part else address.domain)


def _routed_again(address: Address, rules: PlanRules, plan: Plan) -> None:
    """Forget that routing once failed."""
    key = _routing_key(address)
    if rules.find_record(key) is not None:
        plan.retries.append(RetryItem(key, delete=True, kind="routing"))


def _held(address: Address, scope: Scope, rules: PlanRules, plan: Plan) -> bool:
    """Tell whether hold_domains or queue_domains keeps an address back."""
    main = scope.config.main
    if main.hold_domains is not None:
        found = match_domain(address.domain, main.hold_domains, scope)
        if found.deferred:
            return _defer(address, -1, f"hold_domains lookup or queue_domains lookup failed: {found.error}", plan)
        if found:
            return _defer(address, ERRNO_HELD, "domain is held", plan)
    if main.queue_domains is not None and not rules.queue_run:
        found = match_domain(address.domain, main.queue_domains, scope)
        if found.deferred:
            return _defer(address, -1, f"queue_domains lookup failed: {found.error}", plan)
        if found:
            return _defer(address, ERRNO_QUEUE_DOMAIN, "domain is in queue_domains", plan)
    return False


def _defer(address: Address, number: int, text: str, plan: Plan) -> bool:
    address.errno = number
    address.message = text
    plan.defer(address)
    return True


def _too_early(address: Address, rules: PlanRules, plan: Plan, message: Message, scope: Scope) -> bool:
    """Tell whether the retry time of routing (or of an address with this sender) has not come."""
    for key in (f"R:{address.domain}", f"R:{address.address}",
                f"R:{address.address}:<{message.sender_address}>"):
        record = rules.find_record(key)
        if record is not None and rules.now < record.next_try and not record.expired and not outlived(
                record, address.address if "@" in key else address.domain, None, scope,
                rules.now - message.received_time):
            return _defer(address, ERRNO_RRETRY, "retry time not reached", plan)
    return False


# -- grouping


def local_batches(addresses: list[Address], scope: Scope) -> list[list[Address]]:
    """Group local addresses into batches by the rules of the batching chapter."""
    out: list[list[Address]] = []
    open_batches: dict[Any, list[Address]] = {}
    for address in addresses:
        limit = int(getattr(address.transport.options, "batch_max", 1) or 1)
        key = _batch_key(address, scope) if limit > 1 else None
        if key is None:
            out.append([address])
            continue
        batch = open_batches.get(key)
        if batch is None or len(batch) >= limit:
            batch = open_batches[key] = []
            out.append(batch)
        batch.append(address)
    return out


def _batch_key(address: Address, scope: Scope) -> Any:
    """Return what addresses of one batch have in common, or None where no batching is possible."""
    transport = address.transport
    uses_local_part, uses_domain = _references(transport, scope)
    if uses_local_part:
        return None
    batch_id = None
    if transport.options.batch_id is not None:
        scope.address = address
        try:
            batch_id = expand(transport.options.batch_id, scope)
        except ExpansionError as e:
            scope.services.log.panic(f"Failed to expand batch_id option in {transport.name} transport "
                                     f"({address.address}): {e.text}",
                                     message_id=scope.message.message_id if scope.message is not None else None)
            return None
    first = (address.host_list[0].name, address.host_list[0].address) if address.host_list else None
    file = None
    if address.kind != "address":
        file = address.local_part or address.address
    return (transport.name, address.domain if uses_domain else None, batch_id, address.errors_address,
            tuple(address.headers_add), address.headers_remove, address.uid, address.gid, first,
            address.kind, file)


def _references(transport: Any, scope: Scope) -> tuple[bool, bool]:
    """Tell whether any option of a transport refers to $local_part and to $domain."""
    cache: dict[str, tuple[bool, bool]] = scope.config.compiled.setdefault("deliver.references", {})
    found = cache.get(transport.name)
    if found is None:
        options = transport.options
        texts = [v for v in vars(options).values() if isinstance(v, str)]
        text = "\n".join(texts)
        found = cache[transport.name] = (_refers(text, "local_part"), _refers(text, "domain"))
    return found


def _refers(text: str, name: str) -> bool:
    return any(mark + name in text for mark in ("$", "${")) or f"def:{name}" in text


def remote_batches(addresses: list[Address], scope: Scope) -> list[list[Address]]:
    """Group remote addresses: the same transport, hosts, sender, headers; no more than max_rcpt of them."""
    ordered = sort_remote(addresses, scope)
    out: list[list[Address]] = []
    open_batches: dict[Any, list[Address]] = {}
    for address in ordered:
        limit, multi = _limits(address, scope)
        key = (address.transport.name, _hosts_key(address), address.errors_address, tuple(address.headers_add),
               address.headers_remove, address.uid, address.gid, address.self_hostname,
               None if multi else address.domain, tuple(h.name for h in address.fallback_hosts))
        batch = open_batches.get(key)
        if batch is None or (limit and len(batch) >= limit):
            batch = open_batches[key] = []
            out.append(batch)
        batch.append(address)
    return out


def _hosts_key(address: Address) -> Any:
    """Return the host list as a value: the order among equal MX preferences does not matter."""
    hosts = [(h.mx, h.name, h.address or "", h.port or 0) for h in address.host_list]
    if len(hosts) > 1:
        groups: list[tuple[Any, ...]] = []
        start = 0
        for i in range(1, len(hosts) + 1):
            if i == len(hosts) or hosts[i][0] != hosts[start][0] or hosts[start][0] < 0:
                groups.append(tuple(sorted(hosts[start:i])))
                start = i
        return tuple(groups)
    return tuple(hosts)


def _limits(address: Address, scope: Scope) -> tuple[int, bool]:
    """Return max_rcpt (0: none) and multi_domain of the transport of an address."""
    if scope.config.main.mua_wrapper:
        return 0, True
    options = address.transport.options
    limit, multi = getattr(options, "max_rcpt", 0), getattr(options, "multi_domain", True)
    if type(limit) is int and type(multi) is bool:
        return limit, multi
    scope.address = address
    try:
        if isinstance(limit, str):
            limit = int(expand(limit, scope))
        if isinstance(multi, str):
            multi = expand(multi, scope).lower() not in ("", "0", "no", "false")
    except (ExpansionError, ValueError):
        return 1, False
    return int(limit), bool(multi)


def sort_remote(addresses: list[Address], scope: Scope) -> list[Address]:
    """Return remote addresses in the order of remote_sort_domains; those it does not name come last."""
    order = scope.config.main.remote_sort_domains
    if order is None or len(addresses) < 2:
        return addresses
    try:
        patterns = split_list(expand(order, scope))
    except ExpansionError:
        return addresses
    rest, out = addresses, list[Address]()
    for pattern in patterns:
        passed: list[Address] = []
        run: list[Address] = []
        for address in rest:
            if match_domain(address.domain, pattern, scope):
                out.append(address)
                passed += run
                run = []
            else:
                run.append(address)
        # As Exim has it: what a match has overtaken goes to the end.
        rest = run + passed
    return out + rest
