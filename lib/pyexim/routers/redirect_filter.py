"""Filters in redirect routers: what the options forbid, and what comes of a filter's outcome.

Spec: chapter "The redirect router"; the filter document, "Significant deliveries".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import to_bytes
from pyexim.base.taint import untaint
from pyexim.expand.engine import expand
from pyexim.filters.base import FilterRules, SieveRules
from pyexim.filters.outcome import Action, Outcome
from pyexim.filters.process import FilterJob, run_as_user
from pyexim.model.address import Address
from pyexim.routers.base import Declined, Deferred, Discarded, Failed, Rerouted, RouteOutcome, RouteRun
from pyexim.routers.filter_children import dress, reply_name
from pyexim.routers.redirect_errors import report_filter_error
from pyexim.routers.redirection import Item

if TYPE_CHECKING:
    from pyexim.routers.redirect import Redirect

FORBIDDEN: Final = {
    "forbid_filter_dlfunc": ("dlfunc",), "forbid_filter_existstest": ("exists", "stat"),
    "forbid_filter_logwrite": ("logwrite",), "forbid_filter_lookup": ("lookup",), "forbid_filter_perl": ("perl",),
    "forbid_filter_readfile": ("readfile",), "forbid_filter_readsocket": ("readsocket",),
    "forbid_filter_run": ("run",)}
"""Options, and what they lock out while a filter is run."""
ERRNO_BADREDIRECT: Final = -17


def rules_of(router: Redirect, run: RouteRun) -> FilterRules | Deferred:
    """Return what a filter of a router may do."""
    options = router.options
    disabled = {command for command, allowed in (
        ("defer", options.allow_defer), ("fail", options.allow_fail), ("freeze", options.allow_freeze)) if not allowed}
    forbidden = {word for option, words in FORBIDDEN.items() if getattr(options, option) for word in words}
    values: dict[str, str | None] = {}
    for field, option in (("inbox", "sieve_inbox"), ("subaddress", "sieve_subaddress"),
                          ("useraddress", "sieve_useraddress"), ("vacation_directory", "sieve_vacation_directory"),
                          ("enotify_owner", "sieve_enotify_mailto_owner")):
        source = getattr(options, option)
        try:
            values[field] = expand(source, run.scope) if source is not None else None
        except ForcedFail:
            values[field] = None
        except ExpansionError as e:
            return Deferred(f'failed to expand "{source}" for {option}: {e.text}')
    inbox = values.pop("inbox") or "inbox"
    return FilterRules(disabled=frozenset(disabled), forbidden=frozenset(forbidden),
                       prepend_home=options.filter_prepend_home, sieve=SieveRules(inbox=inbox, **values))


def apply_filter(router: Redirect, text: str, kind: str, source: str, address: Address,
                 run: RouteRun) -> RouteOutcome:
    """Run a filter for an address and do what it comes to; ``source`` is file or data, for errors."""
    rules = rules_of(router, run)
    if isinstance(rules, Deferred):
        return rules
    if address.uid is None:
        return Deferred(f"no user to run the filter of the {router.name} router as")
    job = FilterJob(text, kind, rules, address.uid, address.gid if address.gid is not None else -1,
                    address.user_name if address.initgroups else None)
    outcome = run_as_user(job, run.scope)
    if isinstance(outcome, str):
        return Deferred(f"error in filter {source}: {outcome}")
    if outcome.error is not None:
        if not router.options.skip_syntax_errors:
            return Deferred(f"error in filter {source}: {outcome.error}", errno=ERRNO_BADREDIRECT)
        report_filter_error(router, outcome.error, run)
        return Declined()
    return _obey(router, outcome, address, run)


def _obey(router: Redirect, outcome: Outcome, address: Address, run: RouteRun) -> RouteOutcome:
    """Make the children, and say whether the address itself is taken care of."""
    inherited = address.errors_address, list(address.headers_add), address.headers_remove
    if outcome.actions or outcome.significant:
        problem = router.generic.decorate(address, run)
        if problem is not None:
            return problem
    if router.options.hide_child_in_errmsg:
        address.flags.add("hides_children")
    children = []
    for action in outcome.actions:
        if action.kind == "notify":
            _notify(router, action, run)
            continue
        child = _child(router, action, address, run)
        if isinstance(child, Deferred):
            return child
        children.append(child)
    if outcome.significant and not outcome.verdict:
        return Rerouted(children) if children else Discarded("discarded")
    # What was set up is done besides; the address itself goes on as if nothing had been.
    run.besides += children
    address.errors_address, address.headers_add, address.headers_remove = inherited
    if outcome.verdict in ("fail", "defer"):
        # Who is told of the failure: this router has had to do with the address.
        problem = router.generic.errors_to(address, run)
        if problem is not None:
            return problem
    if outcome.verdict == "fail":
        return Failed(outcome.text, outcome.text)
    if outcome.verdict == "defer":
        return Deferred(outcome.text, outcome.text)
    if outcome.verdict:
        return Deferred(outcome.text, freeze=True)
    return Declined()


def _notify(router: Redirect, action: Action, run: RouteRun) -> None:
    """Send a notification that a Sieve script wants sent; not while verifying."""
    reply, scope = action.reply, run.scope
    if reply is None or run.verify or run.address_test or scope.services.submit is None:
        return
    head = f"From: {reply.from_}\nTo: {reply.to}\n" + (f"Cc: {reply.cc}\n" if reply.cc else "") + reply.headers
    text = f"{head}Subject: {reply.subject}\n\n{reply.text}" + ("\n" if reply.text else "")
    ident = scope.message.message_id if scope.message is not None else ""
    if scope.services.submit(["-oi", "-oem", "-t", "-f", action.errors_to or "<>", *([f"-E{ident}"] if ident else [])],
                             to_bytes(text)) != 0:
        scope.services.log.main(f"{router.name} router: notification to {reply.to} could not be sent",
                                message_id=ident or None)


def _child(router: Redirect, action: Action, address: Address, run: RouteRun) -> Address | Deferred:
    """Make the address for one delivery that a filter has set up."""
    text = action.text
    if action.kind == "reply":
        return _reply(router, action, address, run)
    if action.kind == "pipe":
        text = "|" + text
    elif action.kind != "address":
        text = untaint(text)  # the user's own choice, and opened as the user
    child = router.make(Item(action.kind, text), address, run)
    if isinstance(child, Deferred):
        return child
    dress(child, action)
    return child


def _reply(router: Redirect, action: Action, address: Address, run: RouteRun) -> Address:
    """Make the address for a message that a filter wants sent; it is named after the recipients."""
    name, problem = reply_name(action)
    child = router.local_item(Item("reply", name), address, run)
    dress(child, action)
    if problem and "forbidden" not in child.flags:
        child.settled = Failed(problem)
    return child
