"""Addresses that come from other addresses: by redirection, by the option ``unseen``.

What a child inherits: address data and variables, the errors address, header changes.  A child that is
the same address as an ancestor is a *homonym*: once it has been delivered, "address/transport" is what
journal and non-recipients get, so that the ancestor does not count as done.
"""

from __future__ import annotations

from pyexim.base.octets import lower
from pyexim.base.record import fields
from pyexim.base.taint import is_tainted, like
from pyexim.model.address import Address
from pyexim.routers.base import Discarded, Rerouted, Routed, RouteOutcome, RouteRun
from pyexim.routers.prepared import Prepared

_COPIED = tuple(f.name for f in fields(Address) if f.name not in (
    "parent", "children", "unique", "headers_add", "vars", "flags", "retries", "host_list", "fallback_hosts",
    "lookup_facts", "settled"))


def make_child(parent: Address, text: str) -> Address:
    """Return a child by redirection, data inherited; the case of the domain stays as it is in ``address`` only."""
    at = text.rfind("@")
    local_part, domain = (text[:at], lower(text[at + 1:])) if at >= 0 else (text, "")
    child = Address(text, like(local_part, text), like(domain, text), f"{local_part}@{domain}")
    child.parent = parent
    child.known = not is_tainted(text)
    inherit(child, parent)
    return child


def make_item(parent: Address, kind: str, text: str) -> Address:
    """Return a child that is a pipe, file, directory or reply; ``text`` is the whole item."""
    child = Address(text, text[1:] if kind == "pipe" else text, parent.domain, f"{text}:{parent.address}")
    if kind == "pipe":
        child.local_part = like(text[1:], text)
    child.kind = kind
    child.parent = parent
    inherit(child, parent)
    child.uid, child.gid, child.user_name = parent.uid, parent.gid, parent.user_name
    child.initgroups = parent.initgroups
    child.home_dir, child.home_expanded, child.current_dir = parent.home_dir, parent.home_expanded, parent.current_dir
    child.prefix, child.prefix_v, child.suffix, child.suffix_v = (
        parent.prefix, parent.prefix_v, parent.suffix, parent.suffix_v)
    child.local_part_data, child.domain_data = parent.local_part_data, parent.domain_data
    return child


def inherit(child: Address, parent: Address) -> None:
    """Give a child what stays with an address through redirection."""
    child.address_data = parent.address_data
    child.vars = dict(parent.vars)
    child.errors_address = parent.errors_address
    child.headers_add = list(parent.headers_add)
    child.headers_remove = parent.headers_remove
    child.self_hostname = parent.self_hostname
    if "ignore_error" in parent.flags:
        child.flags.add("ignore_error")
    if "hides_children" in parent.flags:
        child.flags.add("hide_child")


def adopt(children: list[Address], parent: Address, router: Prepared, run: RouteRun) -> None:
    """Make addresses that a driver has generated children of an address, and known to the caller."""
    for child in children:
        child.parent = parent
        if router.redirect_router is not None and child.start_router is None:
            child.start_router = router.redirect_router
        mark_homonym(child)
        run.new_children.append(child)


def mark_homonym(child: Address) -> None:
    """Mark a child whose address is that of an ancestor."""
    ancestor = child.parent
    while ancestor is not None:
        if lower(ancestor.address) == lower(child.address):
            child.flags.add("homonym")
            return
        ancestor = ancestor.parent


def continue_unseen(address: Address, run: RouteRun, router: Prepared, next_router: str,
                    outcome: RouteOutcome) -> Rerouted:
    """Let a clone of the address go on with the next router; the delivery decided on becomes a child, too."""
    children: list[Address] = list(outcome.children) if isinstance(outcome, Rerouted) else []
    if isinstance(outcome, Routed):
        seen = _copy(address)
        seen.parent = address
        seen.unique = f"{address.unique}/{router.name}"
        seen.settled = outcome
        children.append(seen)
        run.new_children.append(seen)
        address.transport = None
    elif isinstance(outcome, Discarded):
        address.message = None
    clone = Address(address.address, address.local_part, address.domain, address.unique)
    clone.parent = address
    clone.known = address.known
    clone.start_router = next_router
    inherit(clone, address)
    # Header changes are for the copy that this router has sent off.
    clone.headers_add, clone.headers_remove = [], None
    clone.dsn_flags, clone.dsn_orcpt = address.dsn_flags, address.dsn_orcpt
    clone.flags.add("homonym")
    children.append(clone)
    run.new_children.append(clone)
    return Rerouted(children)


def _copy(address: Address) -> Address:
    """Return a copy of a routed address."""
    other = Address(address.address)
    for name in _COPIED:
        setattr(other, name, getattr(address, name))
    other.headers_add = list(address.headers_add)
    other.vars = dict(address.vars)
    other.host_list = list(address.host_list)
    other.fallback_hosts = list(address.fallback_hosts)
    other.lookup_facts = dict(address.lookup_facts)
    other.flags = set(address.flags)
    return other
