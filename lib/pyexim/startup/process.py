"""From a command line to a configured process: configuration, identity, logs, services.

Everything here happens once per process, before any work; nothing of it is on a message's path.
"""

from __future__ import annotations

import os
from functools import partial

from pyexim import settings
from pyexim.base.clock import SystemClock
from pyexim.base.errors import ConfigError, ExpansionError
from pyexim.base.messageid import Generator
from pyexim.base.record import dataclass
from pyexim.config.configuration import Configuration
from pyexim.config.load import load
from pyexim.config.security import file_fault
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope, Services
from pyexim.log.debug import Debug, parse_topics
from pyexim.log.log import Log, LogSettings
from pyexim.log.selectors import parse as parse_selectors
from pyexim.match.lists import split_list
from pyexim.privs import drop_to_caller, find_group, find_user
from pyexim.processinfo import ProcessLog
from pyexim.spool.names import SpoolSettings  # no more of the spool: many commands do not touch it
from pyexim.startup import preload
from pyexim.startup.identity import Identity, caller, find_exim_user, must_drop, settle_rights
from pyexim.startup.options import Command, UsageError


@dataclass(slots=True)
class Process:
    """A configured process: what every mode of the command is given."""

    command: Command
    identity: Identity
    config: Configuration
    services: Services
    log: Log
    spool: SpoolSettings
    config_changed: bool = False
    """-C or -D gave the configuration, so what re-runs the program must give them again."""


def configuration_files(command: Command) -> list[str]:
    """Return the files to look for, the first existing one being used."""
    text = command.config_files or settings.CONFIGURE_FILE
    if command.config_files is not None and settings.ALT_CONFIG_PREFIX and text != settings.CONFIGURE_FILE:
        for name in text.split(":"):
            if not name.startswith(settings.ALT_CONFIG_PREFIX) or "/../" in name:
                raise UsageError("exim: -C Permission denied")
    return [f for f in text.split(":") if f]


def start(command: Command, *, main_only: bool = False) -> Process:
    """Read the configuration, perhaps its main section only, and settle who we are; raise ConfigError or UsageError."""
    me = caller()
    if command.config_files == settings.CONFIGURE_FILE:
        command.config_files = None  # as if it had not been given: it is the one that is built in
    if settings.DISABLE_D_OPTION and command.macros:
        raise UsageError("exim: -D is not available in this Exim binary")
    files = configuration_files(command)
    find_exim_user(me, None, None)
    if me.privileged and must_drop(me, command.config_files, command.macros):
        preload.before_changing_user()
        drop_to_caller(me.uid, me.gid)
        me.privileged, me.dropped = False, True
    if me.privileged:
        _check_file(files)
    config = load(files, command.macros, main_only=main_only)
    config.command_macros = dict(command.macros)
    return configure(command, me, config)


def _check_file(files: list[str]) -> None:
    """Refuse a configuration that a process with privilege must not believe; raise ConfigError."""
    owner = find_user(settings.CONFIGURE_OWNER) if settings.CONFIGURE_OWNER else None
    group = find_group(settings.CONFIGURE_GROUP) if settings.CONFIGURE_GROUP else None
    for name in files:
        if os.path.exists(name):
            fault = file_fault(name, owners=frozenset({0} if owner is None else {0, owner[1]}),
                               groups=frozenset({0} if group is None else {0, group}))
            if fault is not None:
                raise fault
            return


def configure(command: Command, me: Identity, config: Configuration) -> Process:
    """Make a process of a configuration that has been read."""
    main = config.main
    error = find_exim_user(me, main.exim_user, main.exim_group)
    if error:
        raise ConfigError(error, config.set_places.get("exim_user"), "exim_user")
    log = Log(LogSettings())
    services = Services(log=log, clock=SystemClock(), exim_uid=me.exim_uid, exim_gid=me.exim_gid,
                        caller_uid=me.uid, caller_gid=me.gid, initial_cwd=_cwd(),
                        config_dir=os.path.join(_cwd(), os.path.dirname(config.file)))
    apply_overrides(command, config)
    services.primary_hostname = main.primary_hostname or ""
    scope = Scope(config, services)
    settle_rights(me, _list(main.trusted_users, scope), _list(main.trusted_groups, scope),
                  _list(main.admin_groups, scope))
    services.admin, services.trusted = me.admin, me.trusted
    log = Log(log_settings(config, me, command.syslog_tag))
    services.log = log
    services.debug = log.debug = debug_of(command)
    services.make_resolver = _make_resolver
    services.hints = LazyHints(main.spool_directory or "", services)
    spool = SpoolSettings(
        directory=main.spool_directory or "", split=main.split_spool_directory,
        uid=me.exim_uid if me.privileged else -1, gid=me.exim_gid if me.privileged else -1,
        message_logs=main.message_logs, fsync=not main.disable_fsync,
        queue_name=(command.queue_run.queue_name or "") if command.queue_run else "")
    return Process(command, me, config, services, log, spool,
                   config_changed=bool(command.config_files or command.macros))


def process_log(process: Process) -> ProcessLog:
    """Return where this process tells what it does."""
    me, main = process.identity, process.config.main
    command = "accepting a local non-SMTP message" if process.command.mode == "receive" else "running a command"
    return ProcessLog(main.process_log_path or "", me.exim_uid, me.exim_gid, command)


def apply_overrides(command: Command, config: Configuration) -> None:
    """Put what -or, -os and -oB say in place of the options that they override."""
    if command.receive_timeout is not None:
        config.main.receive_timeout = command.receive_timeout
    if command.smtp_receive_timeout is not None:
        config.main.smtp_receive_timeout = command.smtp_receive_timeout
    if command.connection_max is not None:
        for instance in config.transports.values():
            if hasattr(instance.options, "connection_max_messages"):
                instance.options.connection_max_messages = command.connection_max


def debug_of(command: Command) -> Debug | None:
    """Return what shows what -d, -v and -bh ask for, if any of them was given."""
    host_checking = command.mode == "bh"
    if command.debug is None and not command.verbose and not host_checking:
        return None
    topics = parse_topics(command.debug) if command.debug is not None else {"v"} if command.verbose else ()
    if command.mode == "daemon" and command.debug is not None and topics:
        topics = {*topics, "pid"}  # so that its children can be told apart
    return Debug(topics, host_checking=host_checking)


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _list(text: str | None, scope: Scope) -> list[str]:
    if not text:
        return []
    try:
        return split_list(expand(text, scope))
    except ExpansionError as e:
        raise ConfigError(f"failed to expand \"{text}\": {e.text}") from None


def _make_resolver(config: Configuration) -> object:
    from pyexim.dns.resolver import make_resolver  # dnspython is heavy: only who asks the DNS pays

    return make_resolver(config)


class LazyHints:
    """The hints databases, opened on first use: most processes never need them."""

    def __init__(self, spool_directory: str, services: Services) -> None:
        self._directory = spool_directory
        self._services = services
        self._real: object = None

    def __getattr__(self, name: str) -> object:
        if self._real is None:
            from pyexim.hints.sqlite import SqliteHints  # sqlite3 is heavy

            services, root = self._services, os.geteuid() == 0
            debug = services.debug
            trace = partial(debug, "hints_lookup") if debug is not None and debug.selected("hints_lookup") else None
            self._real = SqliteHints(f"{self._directory}/db", uid=services.exim_uid if root else -1,
                                     gid=services.exim_gid if root else -1, log=services.log.panic, trace=trace)
        return getattr(self._real, name)


def log_settings(config: Configuration, me: Identity, tag: str | None = None) -> LogSettings:
    """Make the log settings of a configuration; raise ConfigError."""
    main = config.main
    try:
        selectors = parse_selectors(main.log_selector)
    except ValueError as e:
        raise ConfigError(str(e), config.set_places.get("log_selector"), "log_selector") from None
    use_file, use_syslog, path, further = log_places(main.log_file_path, main.spool_directory or "", config)
    if tag is not None:
        use_file, use_syslog = False, True
    return LogSettings(
        file_path=path, use_file=use_file, use_syslog=use_syslog, selectors=selectors,
        timezone=main.log_timezone, millisec="millisec" in selectors, pid="pid" in selectors,
        write_rejectlog=main.write_rejectlog, syslog_processname=tag or main.syslog_processname or "exim",
        syslog_facility=main.syslog_facility or "mail", syslog_pid=main.syslog_pid,
        syslog_timestamp=main.syslog_timestamp, syslog_duplication=main.syslog_duplication,
        uid=me.exim_uid, gid=me.exim_gid, directory_mode=settings.LOG_DIRECTORY_MODE, file_mode=settings.LOG_MODE,
        complaint=f"More than one path given in log_file_path: using {path}" if further else "")


def log_places(text: str | None, spool_directory: str, config: Configuration) -> tuple[bool, bool, str, bool]:
    """Read log_file_path: (write files?, write to syslog?, path with %s, whether more paths are given)."""
    default = settings.LOG_FILE_PATH or f"{spool_directory}/log/%slog"
    if not text:
        return True, False, default, False
    items = split_list(text)  # (it has been expanded when it was read)
    use_file = use_syslog = further = False
    path = ""
    for item in items:
        if item == "syslog":
            use_syslog = True
            continue
        use_file = True
        further |= bool(path and item)
        path = path or item or default
    if not items:
        return True, False, default, False
    place = config.set_places.get("log_file_path")
    if use_file and "%s" not in path:
        raise ConfigError(f'log_file_path "{path}" does not contain "%s"', place, "log_file_path")
    if use_file and not path.startswith("/"):
        raise ConfigError(f'log_file_path "{path}" is not an absolute path', place, "log_file_path")
    return use_file, use_syslog, path, further


def id_generator(config: Configuration) -> Generator:
    """Return the maker of this process's message ids."""
    number = config.main.localhost_number
    return Generator(os.getpid(), int(number) if number is not None else None,
                     short=config.main.message_id_short)
