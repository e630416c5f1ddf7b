"""Local deliveries: who they run as and where (in the delivery process), and the run itself (in the child).

The delivery process decides user, group and directories (``prepare``) and passes the job to
``services.privileged``; ``run_job`` is what the child does once it is the user.

Spec: chapters "Environment for running local transports" and "Generic options for transports".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from pyexim import privs, processinfo, settings
from pyexim.base.errors import ConfigError, ExpansionError
from pyexim.base.plain import unpack
from pyexim.base.record import dataclass, replace
from pyexim.config.configuration import Configuration
from pyexim.deliver.jobs import decode_job, encode_job, encode_results, unpack_address
from pyexim.deliver.starter import Client, Direct, LocalJob, StarterSettings
from pyexim.deliver.warm import warm_up
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope, Services
from pyexim.match.lists import split_list
from pyexim.model.address import Address
from pyexim.model.message import Message
from pyexim.spool.api import append_line, journal_lines, parse_header_file
from pyexim.transports.base import Result, TransportRun
from pyexim.transports.trace import observed

ERRNO_UIDFAIL = -28
ERRNO_BADUGID = -29
ERRNO_NOTABSOLUTE = -21
ERRNO_EXPANDFAIL = -27


@dataclass(frozen=True, slots=True)
class Environment:
    """As whom and where a local transport runs."""

    uid: int
    gid: int
    user_name: str | None
    """For the supplementary groups, or None."""
    home_dir: str | None
    current_dir: str


@dataclass(frozen=True, slots=True)
class CannotRun:
    """Why a local transport cannot be run: the addresses are deferred."""

    text: str
    errno: int = ERRNO_UIDFAIL
    panic: bool = True


def environment(address: Address, scope: Scope, never_users: frozenset[int], *,
                privileged: bool) -> Environment | CannotRun:
    """Decide user, group and directories for the transport of an address."""
    ids = _user_and_group(address, scope)
    if isinstance(ids, CannotRun):
        return ids
    uid, gid, user_name = ids
    name = address.transport.name
    if privileged and uid in never_users:
        return CannotRun(f"User {uid} set for {name} transport is on the never_users list", ERRNO_BADUGID)
    options = address.transport.options
    home = current = None
    if (source := options.home_directory or address.home_dir) is not None:
        home = _directory("home", source, scope, name,
                          expanded=options.home_directory is None and address.home_expanded)
    if isinstance(home, CannotRun):
        return home
    if (source := options.current_directory or address.current_dir) is not None:
        current = _directory("current", source, replace_home(scope, home), name, expanded="$" not in source)
    if isinstance(current, CannotRun):
        return current
    return Environment(uid, gid, user_name, home, current or home or "/")


def _directory(what: str, source: str, scope: Scope, name: str, *, expanded: bool = False) -> str | CannotRun:
    """Return the path of the home or current directory of a transport."""
    path = source
    if not expanded:
        try:
            path = expand(source, scope)
        except ExpansionError as e:
            return CannotRun(f'{what} directory "{source}" failed to expand for {name} transport: {e.text}',
                             ERRNO_EXPANDFAIL)
    if not path.startswith("/"):
        return CannotRun(f'{what} directory path "{path}" is not absolute for {name} transport', ERRNO_NOTABSOLUTE)
    return path


def replace_home(scope: Scope, home: str | None) -> Scope:
    """Return the scope with $home as the transport sees it."""
    if home is None:
        return scope
    return replace(scope, vars={**scope.vars, "home": home})


def _user_and_group(address: Address, scope: Scope) -> tuple[int, int, str | None] | CannotRun:
    """Return (uid, gid, name for initgroups or None) by the chapter's two orders of preference."""
    transport, services = address.transport, scope.services
    options, name = transport.options, transport.name
    uid: int | None = None
    gid: int | None = None
    gid_by_user: int | None = None
    user_name = address.user_name if address.initgroups else None
    if options.group is not None:
        text = _owner_text("group", options.group, scope, name, ERRNO_UIDFAIL)
        if isinstance(text, CannotRun):
            return text
        gid = privs.find_group(text)
        if gid is None:
            return CannotRun(f'Failed to find group "{text}" from expanded string "{options.group}" for the {name} '
                             "transport")
    if options.user is not None:
        text = _owner_text("user", options.user, scope, name, ERRNO_BADUGID)
        if isinstance(text, CannotRun):
            return text
        found = privs.find_owner(text)
        if found is None:
            return CannotRun(f'Failed to find user "{text}" from expanded string "{options.user}" for the {name} '
                             "transport", ERRNO_BADUGID)
        uid, gid_by_user = found[1], found[2] if found[2] >= 0 else None
        user_name = found[0] if options.initgroups else None
    message = scope.message
    if uid is None and getattr(options, "pipe_as_creator", False) and message is not None:
        uid, gid_by_user = message.originator_uid, message.originator_gid
        user_name = message.originator_login if options.initgroups else None
    if uid is None and address.uid is not None:
        uid = address.uid
        user_name = address.user_name if address.initgroups else None
    if gid is None:
        gid = address.gid if address.gid is not None and options.user is None else gid_by_user
        if gid is None:
            gid = address.gid
    if uid is None:
        uid = services.exim_uid if services.exim_uid >= 0 else os.geteuid()
        if gid is None:
            gid = services.exim_gid if services.exim_gid >= 0 else os.getegid()
    if gid is None:
        return CannotRun(f"User set without group for {name} transport")
    return uid, gid, user_name


def _owner_text(what: str, source: str, scope: Scope, name: str, number: int) -> str | CannotRun:
    try:
        return expand(source, scope)
    except ExpansionError as e:
        return CannotRun(f'Failed to expand {what} string "{source}" for the {name} transport: {e.text}', number)


def starter(config: Configuration, services: Services) -> Client | Direct:
    """Return what starts local deliveries and runs filters: the starter, or this very process."""
    found = services.privileged
    if found is not None:
        if getattr(found, "panic", services) is None:
            found.panic = services.log.crash
        return found  # type: ignore[no-any-return]
    made = Direct(starter_settings(config, services, privileged=os.geteuid() == 0))
    services.privileged = made
    return made


def starter_settings(config: Configuration, services: Services, *, privileged: bool) -> StarterSettings:
    """Return what a starter for a configuration decides by; raise ConfigError for a wrong never_users."""
    return StarterSettings(run_job(config, services, fsync=not config.main.disable_fsync),
                           never_users(config, services), privileged=privileged,
                           panic=services.log.crash, warm=lambda: warm_up(config), title=processinfo.show,
                           exim_uid=services.exim_uid, exim_gid=services.exim_gid)


def never_users(config: Configuration, services: Services) -> frozenset[int]:
    """Return the uids that nothing is ever delivered as: the fixed ones and never_users (expanded once)."""
    kept: frozenset[int] | None = config.compiled.get("deliver.never_users")
    if kept is not None:
        return kept
    found: set[int] = set()
    for source in (settings.FIXED_NEVER_USERS, config.main.never_users):
        if not source:
            continue
        try:
            names = split_list(expand(source, Scope(config, services)))
        except ExpansionError as e:
            raise ConfigError(f"failed to expand never_users: {e.text}") from None
        for name in names:
            user = privs.find_user(name)
            if user is None:
                raise ConfigError(f"user {name} (in never_users) does not exist", option="never_users")
            found.add(user[1])
    kept = config.compiled["deliver.never_users"] = frozenset(found)
    return kept


def make_job(batch: list[Address], env: Environment, *, header: str, data_fd: int, journal_fd: int,
             return_path: str, shadow: str | None = None, facts: dict[str, Any] | None = None,
             sent: bool = False) -> LocalJob:
    """Return the job for a batch of addresses with one transport (or their shadow transport).

    With ``sent`` the transport is run again, as an autoreply of it has been submitted.
    """
    job = encode_job(shadow or batch[0].transport.name, batch, return_path=return_path, home=env.home_dir,
                     cwd=env.current_dir, uid=env.uid, gid=env.gid, shadow=shadow is not None, facts=facts or {},
                     sent=sent)
    return LocalJob(job=job, header=header, data_fd=data_fd, journal_fd=journal_fd, uid=env.uid, gid=env.gid,
                    user_name=env.user_name, current_dir=env.current_dir, batch=batch,
                    stay=batch[0].transport.driver_name == "appendfile" and shadow is None)


# -- in the child


def run_job(config: Configuration, services: Services, *, fsync: bool,
            ) -> Callable[[str, str, int, int, int, int], int]:
    """Return the function that a child of the starter runs, bound to a configuration."""

    def run(job: str, header: str, data_fd: int, journal_fd: int, pipe: int, uid: int) -> int:
        values = decode_job(job)
        message = parse_header_file(header.encode("latin-1"))
        if "filter" in values:
            from pyexim.deliver.filtering import run_filter_job  # where there are filters

            run_filter_job(values, message, config, services, data_fd, pipe)
            return 0
        message.data_fd = data_fd
        batch = [unpack_address(a, config) for a in values["batch"]]
        results = deliver_batch(values, batch, message, config, services, data_fd, journal_fd, fsync)
        write_all(pipe, encode_results(results, batch))
        return 0

    return run


def deliver_batch(values: dict[str, Any], batch: list[Address], message: Message, config: Configuration,
                  services: Services, data_fd: int, journal_fd: int, fsync: bool) -> list[Result]:
    """Run the transport for a batch, as the user that this process now is."""
    transport = config.transports[values["transport"]]
    for key, value in values.get("facts", {}).items():
        setattr(message, key, unpack(value))
    for address in batch:
        address.transport = transport
    shadow = bool(values.get("shadow"))

    not_journalled: dict[int, int] = {}

    begun: set[int] = set()
    settled: set[int] = set()

    def delivered(*addresses: Address, sync: bool = True) -> int:
        if shadow or settled.issuperset(map(id, addresses)):
            return 0
        lines = journal_lines([a.unique for a in addresses if id(a) not in begun])
        begun.update(map(id, addresses))
        if sync:
            settled.update(map(id, addresses))
        written = False
        try:
            append_line(journal_fd, lines, sync=False)
            written = True
            if fsync and sync:
                append_line(journal_fd, b"", sync=True)
        except OSError as e:
            # Unless it is taken back, it has been delivered: the result says so, to the process that can log this.
            for address in addresses:
                not_journalled[id(address)] = e.errno or errno.EIO
            return 0 if written else e.errno or errno.EIO
        return 0

    scope = delivery_scope(config, services, message, batch)
    scope.transport_name = transport.name
    home = unpack(values.get("home"))
    if home is not None:
        scope.vars["home"] = home
    run = TransportRun(scope=scope, message=message, data_fd=data_fd, delivered=delivered,
                       return_path=unpack(values["return_path"]), uid=values["uid"], gid=values["gid"],
                       home_dir=home, current_dir=unpack(values.get("cwd")))
    run.submitted_later = not shadow
    run.reply_sent = bool(values.get("sent"))
    submissions: list[tuple[list[str], str]] = []
    services.submit = _collector(submissions)
    results: list[Result] = observed(transport, batch, run)
    for result in results:
        result.journal_error = not_journalled.get(id(result.address), 0)
    if results:
        results[0].submissions = submissions
    return results


def _collector(into: list[tuple[list[str], str]]) -> Callable[[list[str], bytes], int]:
    """Return what takes messages of our own in a process that cannot submit them itself."""

    def submit(arguments: list[str], data: bytes) -> int:
        into.append((arguments, data.decode("latin-1")))
        return 0

    return submit


def delivery_scope(config: Configuration, services: Services, message: Message,
                   batch: list[Address]) -> Scope:
    """Return the scope of a delivery: with several addresses, only what they have in common is set."""
    scope = Scope(config, services, conn=message.conn, message=message, is_delivery=True)
    first = batch[0]
    scope.address = first
    if len(batch) > 1:
        if any(a.domain != first.domain for a in batch):
            scope.vars["domain"] = ""
            scope.vars["domain_data"] = ""
        scope.vars["local_part"] = ""
        scope.vars["local_part_data"] = ""
        scope.vars["original_domain"] = ""
        scope.vars["original_local_part"] = ""
    if first.host_list:
        scope.host = first.host_list[0]
    return scope


def write_all(fd: int, data: bytes) -> None:
    """Write all octets; OSError."""
    while data:
        data = data[os.write(fd, data):]
