"""The preconditions of a router, prepared when the configuration is read.

Each option that is set becomes one check; one that is not set costs nothing.  A check returns None
(go on), SKIP (the next router) or Deferred.  Spec: section "Router preconditions" of the chapter "How
Exim receives and delivers mail", which has the order, and the chapter on generic options.

Where a ``condition`` cannot be expanded the address is deferred, as the spec says; Exim 4.96 logs
and skips the router.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower
from pyexim.config.configuration import Instance
from pyexim.expand.engine import expand
from pyexim.match.lists import domain_list, local_part_list, match_address, split_list
from pyexim.model.address import Address
from pyexim.routers.affixes import original_case
from pyexim.routers.base import Deferred, RouteRun
from pyexim.routers.files import check_required_files
from pyexim.routers.users import local_user


class _Skip:
    """The router does not apply."""

    __slots__ = ()


SKIP: Final = _Skip()
Check = Callable[[Address, RouteRun], _Skip | Deferred | None]


def compile_checks(instance: Instance) -> tuple[Check, ...]:
    """Return the checks of a router in the order of the spec."""
    options = instance.options
    checks: list[Check] = []
    modes = _modes(options)
    if modes is not None:
        checks.append(modes)
    if options.domains is not None:
        checks.append(_domains(options.domains))
    if options.local_parts is not None:
        checks.append(_local_parts(options.local_parts, options.caseful_local_part))
    if options.check_local_user:
        checks.append(_local_user)
    if options.debug_print is not None:
        checks.append(_debug_print(options.debug_print))
    if options.router_home_directory is not None:
        checks.append(_home(options.router_home_directory))
    if options.senders is not None:
        checks.append(_senders(options.senders))
    if options.require_files is not None:
        checks.append(_required_files(options.require_files))
    if options.condition is not None:
        checks.append(_condition(options.condition, instance.name))
    return tuple(checks)


def _modes(options: Any) -> Check | None:
    """What the router is for: delivery, verification, testing, EXPN; None where it is for everything."""
    excluded = set()
    if not options.verify_sender:
        excluded.add("S")
    if not options.verify_recipient:
        excluded.add("R")
    if not options.expn:
        excluded.add("E")
    if options.verify_only:
        excluded.update(("", "E"))
    untested = not options.address_test
    if not excluded and not untested:
        return None

    def check(address: Address, run: RouteRun) -> _Skip | None:
        return SKIP if run.verify in excluded or (untested and run.address_test) else None
    return check


def _domains(source: str) -> Check:
    in_list = domain_list(source)

    def check(address: Address, run: RouteRun) -> _Skip | Deferred | None:
        found = in_list(address.domain, run.scope)
        if found.found:
            address.domain_data = found.value
            return None
        return Deferred("domains check lookup or other defer") if found.deferred else SKIP
    return check


def _local_parts(source: str, caseful: bool) -> Check:
    in_list = local_part_list(source, caseful=caseful)

    def check(address: Address, run: RouteRun) -> _Skip | Deferred | None:
        # +caseful in the list brings the original case back
        found = in_list(address.local_part if caseful else original_case(address), run.scope)
        if found.found:
            address.local_part_data = found.value
            return None
        return Deferred("local_parts check lookup or other defer") if found.deferred else SKIP
    return check


def _local_user(address: Address, run: RouteRun) -> _Skip | None:
    user = local_user(address.local_part, run.scope.services.clock)
    if user is None:
        return SKIP
    address.local_part_data = user.name
    address.home_dir = user.home
    address.home_expanded = True
    address.uid, address.gid, address.user_name = user.uid, user.gid, user.name
    run.scope.vars["local_user_uid"] = str(user.uid)
    run.scope.vars["local_user_gid"] = str(user.gid)
    return None


def _debug_print(source: str) -> Check:
    def check(address: Address, run: RouteRun) -> None:
        debug = run.scope.services.debug
        if debug is None or not debug.chosen:
            return
        try:
            text = expand(source, run.scope)
        except ExpansionError as e:
            text = f'failed to expand debug_output "{source}": {e.text}'
        debug.write(text if text.endswith("\n") else text + "\n")
    return check


def _home(source: str) -> Check:
    def check(address: Address, run: RouteRun) -> Deferred | None:
        try:
            home = expand(source, run.scope)
            if address.home_dir is not None:
                address.lookup_facts["account_home"] = address.home_dir
            address.home_dir = home
            address.home_expanded = True
        except ForcedFail:
            return None
        except ExpansionError as e:
            return Deferred(f'failed to expand "{source}" for router_home_directory: {e.text}')
        return None
    return check


def _senders(source: str) -> Check:
    def check(address: Address, run: RouteRun) -> _Skip | Deferred | None:
        message = run.scope.message
        # While a sender is being verified there is none yet to compare with.
        sender = message.sender_address if message is not None and run.verify != "S" else ""
        found = match_address(sender, source, run.scope)
        if found.found:
            address.sender_data = found.value
            return None
        return Deferred("senders check lookup or other defer") if found.deferred else SKIP
    return check


def _required_files(source: str) -> Check:
    items = split_list(source)

    def check(address: Address, run: RouteRun) -> _Skip | Deferred | None:
        found = check_required_files(items, run.scope)
        if found is True:
            return None
        return SKIP if found is False else Deferred(found)
    return check


_FALSE: Final = frozenset({"", "0", "no", "false"})


def _condition(source: str, name: str) -> Check:
    def check(address: Address, run: RouteRun) -> _Skip | Deferred | None:
        try:
            value = expand(source, run.scope)
        except ForcedFail:
            return SKIP
        except ExpansionError as e:
            text = f'failed to expand condition "{source}" for {name} router: {e.text}'
            panic(run, text)
            return Deferred(text)
        return SKIP if lower(value) in _FALSE else None
    return check


def panic(run: RouteRun, text: str) -> None:
    """Write to the panic log (and the main log), with the message at work."""
    message = run.scope.message
    run.scope.services.log.panic(text, message_id=message.message_id if message is not None else None)
