"""The command: from an argument vector to the mode that it asks for.  Spec: chapter "The Exim command line"."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import ConfigError
from pyexim.base.record import replace
from pyexim.config.configuration import Configuration
from pyexim.log.debug import Debug
from pyexim.startup.environment import clean_environment
from pyexim.startup.identity import caller
from pyexim.startup.modes import reads_all
from pyexim.startup.options import Command, UsageError, parse
from pyexim.startup.process import Process, configure, process_log, start

EX_OK: Final = 0
EX_FAILURE: Final = 1
EX_SOFTWARE: Final = 70

USAGE: Final = """\
Exim is a Mail Transfer Agent. It is normally called by Mail User Agents,
not directly from a shell command line. Options and/or arguments control
what it does when called. For a list of options, see the Exim documentation.
"""

_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def main(arguments: list[str]) -> int:
    """Run a command; ``arguments[0]`` is the name it was called by.  The exit code."""
    return _guarded(arguments, lambda command: start(
        command, main_only=not reads_all(command.mode, command.action)))


def run_in_daemon(arguments: list[str], config: Configuration) -> int:
    """Run a command in a child of the daemon, whose configuration is at hand; the exit code."""
    return _guarded(arguments, lambda command: configure(command, caller(), config))


def _guarded(arguments: list[str], make: Callable[[Command], Process]) -> int:
    """Run a command and turn what it raises on purpose into messages and exit codes."""
    try:
        command = parse(arguments[0], arguments[1:])
    except UsageError as e:
        _error(str(e))
        return EX_FAILURE
    if command.mode == "help":
        sys.stderr.write(USAGE)
        return EX_FAILURE
    if command.mode == "receive" and not command.arguments and not command.extract_recipients:
        sys.stderr.write(USAGE)
        return EX_FAILURE
    if command.mode == "check_config":
        from pyexim.cli.configuration import check

        return check(command)
    process: Process | None = None
    try:
        process = make(command)
        gc.enable()
        clean_environment(process)
        return run(process)
    except ConfigError as e:
        from pyexim.cli.fault import report  # only when something is wrong

        report(e, command)
        return EX_FAILURE
    except UsageError as e:
        _error(str(e))
        return EX_FAILURE
    except BrokenPipeError:
        return EX_FAILURE
    except KeyboardInterrupt:
        return 130
    except OSError as e:
        return _scarce(e, process) if e.errno in _SCARCE else _unexpected(e, process)
    except Exception as e:  # noqa: BLE001 - the one catch-all of a command
        return _unexpected(e, process)


def _error(text: str) -> None:
    sys.stderr.write(text + "\n")


def _scarce(error: OSError, process: Process | None) -> int:
    """Report that the system has too little of something for this command: nothing is wrong with the program."""
    text = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    if process is not None:
        process.log.panic(f"cannot go on: {text}")
    _error(f"exim: cannot go on: {text}")
    return os.EX_TEMPFAIL


def _unexpected(error: Exception, process: Process | None) -> int:
    """Report what nobody has caught: to the panic log whole, to the caller in a line."""
    import traceback  # only when something is wrong

    text = f"unexpected failure: {type(error).__name__}: {error}"
    if process is None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        _error(f"exim: {text} ({os.path.basename(frame.filename)}, line {frame.lineno})")
    else:
        process.log.crash("".join(traceback.format_exception(error)))
        _error(f"exim: {text}; see the panic log")
    return EX_SOFTWARE


# The modules of the modes are imported when the mode is asked for: most commands are short-lived.

def _daemon(process: Process) -> int:
    from pyexim.master import run_daemon

    require_admin(process)
    if process.command.dont_deliver and process.identity.uid not in (0, process.identity.exim_uid):
        raise UsageError("exim: permission denied")
    return run_daemon(process, run_in_daemon)


def _submission(process: Process) -> int:
    from pyexim.startup.submission import run_submission

    return run_submission(process)


def _queue(process: Process) -> int:
    from pyexim.cli.queue import run_queue_command

    if process.config.main.prod_requires_admin:
        require_admin(process)
    return run_queue_command(process)


def _listing(process: Process) -> int:
    from pyexim.cli.queue import list_queue

    if process.config.main.queue_list_requires_admin:
        require_admin(process)
    return list_queue(process)


def _deliver(process: Process) -> int:
    from pyexim.cli.queue import deliver_messages

    if process.config.main.prod_requires_admin and not process.identity.admin:
        raise UsageError("exim: Permission denied")
    return deliver_messages(process)


def _action(process: Process) -> int:
    from pyexim.cli.queue import act_on_messages

    return act_on_messages(process)


def _continued(process: Process) -> int:
    from pyexim.cli.queue import continue_connection

    if process.identity.uid not in (0, process.identity.exim_uid):
        raise UsageError("exim: permission denied")
    return continue_connection(process)


def _testing(process: Process) -> int:
    from pyexim.cli import testing

    return testing.MODES[process.command.mode](process)


def _filtering(process: Process) -> int:
    from pyexim.cli.filtering import test_filters

    return test_filters(process)


def _configuration(process: Process) -> int:
    from pyexim.cli import configuration

    return configuration.MODES[process.command.mode](process)


def _log_line(process: Process) -> int:
    require_admin(process)
    process.log.main(process.command.log_line)
    return EX_OK


def _remove_pid_file(process: Process) -> int:
    from pyexim.daemon import pidfile

    path = pidfile.path_of(process)
    pidfile.remove(path, pidfile.read(path))
    return EX_OK


def _rebuild_aliases(process: Process) -> int:
    from pyexim.cli.aliases import run_bi_command

    return run_bi_command(process)


MODES: Final[dict[str, Callable[[Process], int]]] = {
    "daemon": _daemon, "receive": _submission, "smtp": _submission, "batch": _submission, "bh": _submission,
    "queue": _queue, "list": _listing, "count": _listing, "M": _deliver, "MC": _continued, "action": _action,
    "be": _testing, "bt": _testing, "bv": _testing, "bvs": _testing, "brt": _testing, "brw": _testing,
    "bf": _filtering, "bV": _configuration, "bP": _configuration, "info": _configuration, "log": _log_line,
    "pid_file": _remove_pid_file, "bi": _rebuild_aliases}


CHECKS: Final = frozenset({"be", "bf", "bt", "bv", "bvs", "bh", "brt", "brw"})
"""What commandline_checks_require_admin restricts."""


POWERLESS: Final = CHECKS | {"bV", "bP", "info", "bi", "pid_file"}
"""What anybody can do without a daemon and without privilege."""


def require_admin(process: Process) -> None:
    """Refuse a caller who is no admin user."""
    if not process.identity.admin:
        raise UsageError("exim: permission denied")


def _lacks_power(process: Process) -> bool:
    """Tell whether an ordinary user's command can do nothing by itself: as in src/launcher.c, where that was built."""
    me = process.identity
    if me.privileged or me.dropped or me.uid == 0 or process.config_changed or process.command.mode in POWERLESS:
        return False
    place = process.config.main.spool_directory or "/"
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return not os.access(place, os.W_OK | os.X_OK)


def _check_pid_file(process: Process) -> None:
    """Refuse -oP and -oPX of anybody but root and the exim user: they write and remove files."""
    me, command = process.identity, process.command
    if (command.pid_file is not None or command.mode == "pid_file") and me.uid not in (0, me.exim_uid):
        raise UsageError(f"exim: only uid=0 or uid={me.exim_uid} can use -oP and -oPX "
                         f"(uid={me.uid} euid={os.geteuid()} | {me.uid})")


def run(process: Process) -> int:
    """Run the mode of a configured process."""
    command = process.command
    if _lacks_power(process):
        _error("pyexim: no mail daemon took the command, and without one it needs privilege that this program has not "
               "(it is not set-uid root): nothing has been done, try again later")
        return os.EX_TEMPFAIL
    if command.syslog_tag is not None and not process.identity.admin:
        raise UsageError("exim: you lack sufficient privilege to specify syslog process name")
    _check_pid_file(process)
    if command.suppress_fixups and not process.identity.trusted:
        raise UsageError("exim: permission denied (-G requires a trusted user)")
    if command.debug is not None and not process.identity.admin:
        raise UsageError("exim: debugging permission denied")
    if (command.mode in CHECKS and process.config.main.commandline_checks_require_admin
            and not process.identity.admin):
        raise UsageError("exim: those command-line flags are set to require admin")
    if command.set_message is not None and not process.identity.admin:
        raise UsageError("exim: permission denied")
    process.log.stderr = command.mode != "daemon"
    if command.mode in CHECKS:
        # a test leaves nothing in the logs; what is wrong is told on standard error
        process.log.settings = replace(process.log.settings, use_file=False, use_syslog=False)
    process_log(process).answer()
    if process.log.selected("arguments"):
        words = command.command_line
        shown = " ".join(_quoted(word) for word in words)
        process.log.main(f"cwd={process.services.initial_cwd} {len(words)} args: {shown}")
    debug = process.services.debug
    if debug is None or command.debug is None or not debug.chosen:
        return MODES[command.mode](process)
    _introduce(process, debug)
    code = MODES[command.mode](process)
    debug.write(f"{'>' * 16} Exim pid={os.getpid()} (fresh-exec) terminating with rc={code} {'>' * 16}\n")
    return code


def _introduce(process: Process, debug: Debug) -> None:
    """Write what -d begins with: which program this is, for whom, with which configuration."""
    from pyexim.cli import version

    first, *rest = version.lines(process.config.file, details=False)
    head = first.partition(" #")[0]
    me = process.identity
    debug.write(f"{head} uid={os.getuid()} gid={os.getgid()} pid={os.getpid()} D={debug.number()}\n")
    debug.write("".join(line + "\n" for line in rest))
    for yes, text in ((me.trusted, "trusted user"), (me.admin, "admin user")):
        if yes:
            debug.write(text + "\n")
    debug("uid", f"originator: uid={me.uid} gid={me.gid} login={me.login} name={me.name}")


def _quoted(word: str) -> str:
    return word if word and not any(c in word for c in " \t\n\"'") else f'"{word}"'


