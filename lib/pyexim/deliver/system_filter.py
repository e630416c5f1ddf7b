"""The system filter: run at the start of every attempt at a message, before anything is routed.

What it sets up are children of an address of its own, "system-filter".  It runs as system_filter_user, which
is the exim user where the option is unset (or is root: root reads no mail here).
Spec: chapter "System-wide message filtering"; options system_filter...
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.record import dataclass, field
from pyexim.base.taint import untaint
from pyexim.config.configuration import Instance
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.filters.base import FilterRules
from pyexim.filters.evaluate import change_headers
from pyexim.filters.outcome import Action
from pyexim.filters.process import FilterJob, run_as_user
from pyexim.model.address import Address
from pyexim.privs import find_group, find_user
from pyexim.routers.base import Deferred, Failed, Routed
from pyexim.routers.children import make_child, make_item
from pyexim.routers.files import open_as
from pyexim.routers.filter_children import dress, reply_name
from pyexim.routers.redirect_file import Unusable, read_all

NAME: Final = "system-filter"
TRANSPORTS: Final = {
    "directory": "system_filter_directory_transport", "file": "system_filter_file_transport",
    "pipe": "system_filter_pipe_transport", "reply": "system_filter_reply_transport"}


@dataclass(slots=True)
class SystemOutcome:
    """What becomes of the message."""

    error: str | None = None
    """The filter could not be run: nothing is delivered now."""
    children: list[Address] = field(default_factory=list)
    significant: bool = False
    verdict: str = ""
    text: str = ""
    changed: bool = False
    """Header lines were added or removed."""


def run_system_filter(scope: Scope) -> SystemOutcome:
    """Run the system filter for the scope's message, whose header it may change."""
    main, message = scope.config.main, scope.message
    assert message is not None
    try:
        path = expand(main.system_filter or "", scope)
    except ForcedFail:
        return SystemOutcome()
    except ExpansionError as e:
        return SystemOutcome(error=f'failed to expand "{main.system_filter}": {e.text}')
    owner = _owner(scope)
    try:
        text = _read(path, scope, owner)
    except Unusable as e:
        return SystemOutcome(error=e.text)
    scope.address = None
    job = FilterJob(text, "Exim", FilterRules(system=True), *owner)
    outcome = run_as_user(job, scope)
    if isinstance(outcome, str):
        return SystemOutcome(error=outcome)
    if outcome.error is not None:
        return SystemOutcome(error=outcome.error)
    for what, value in outcome.headers:
        change_headers(message.headers, what, value)
    message.filter_numbers = {f"s{name}": value for name, value in outcome.numbers.items()}
    verdict = outcome.verdict
    if verdict == "freeze" and message.manual_thaw:
        verdict = ""  # an administrator has looked at it
    parent = Address(NAME, local_part=NAME, unique=NAME)
    children = [_child(action, parent, scope, owner) for action in reversed(outcome.actions)]
    return SystemOutcome(None, children, outcome.significant, verdict, outcome.text, bool(outcome.headers))


def _owner(scope: Scope) -> tuple[int, int, str | None]:
    """Return (uid, gid, name for initgroups) of system_filter_user."""
    main, services = scope.config.main, scope.services
    exim = (services.exim_uid if services.exim_uid >= 0 else os.geteuid(),
            services.exim_gid if services.exim_gid >= 0 else os.getegid())
    found = find_user(str(main.system_filter_user)) if main.system_filter_user is not None else None
    if found is None or found[1] == 0:
        return *exim, None
    gid: int | None = found[2]
    if main.system_filter_group is not None:
        gid = find_group(str(main.system_filter_group))
    return found[1], gid if gid is not None else exim[1], None


def _read(path: str, scope: Scope, owner: tuple[int, int, str | None]) -> str:
    """Return the text of the filter; Unusable."""
    fd, number = open_as(path, scope, owner[0], owner[1], None)
    if fd < 0:
        raise Unusable(f"{path} does not exist" if number == errno.ENOENT else
                       f"failed to open {path}: {os.strerror(number)}")
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable(f"{path} is not a regular file")
        return read_all(fd, path)
    finally:
        os.close(fd)


def _child(action: Action, parent: Address, scope: Scope, owner: tuple[int, int, str | None]) -> Address:
    """Make the address for one delivery that the filter has set up."""
    if action.kind == "address":
        child = make_child(parent, action.text)
        dress(child, action)
        return child
    text, problem = untaint(action.text), None
    if action.kind == "reply":
        text, problem = reply_name(action)
    child = make_item(parent, action.kind, f"|{text}" if action.kind == "pipe" else text)
    child.unique = f"{child.address}:{NAME}"
    child.uid, child.gid = owner[0], owner[1]
    dress(child, action)
    option = TRANSPORTS[action.kind]
    found = _transport(option, scope)
    if isinstance(found, str):
        child.message = found
        child.settled = Deferred(found, errno=-1)
        child.flags.add("panic")
        return child
    child.transport = found
    child.settled = Failed(problem) if problem else Routed()
    return child


def _transport(option: str, scope: Scope) -> Instance | str:
    """Return the transport that an option names, or why there is none."""
    source = getattr(scope.config.main, option)
    if source is None:
        return f"{option} is unset"
    try:
        name = expand(source, scope)
    except ExpansionError as e:
        return f'failed to expand "{source}" ({option}): {e.text}'
    found = scope.config.transports.get(name)
    return found if found is not None else f'failed to find "{name}" transport for system filter delivery'
