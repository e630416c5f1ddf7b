"""A configuration that is wrong: what the caller is told, and what the panic log.

Which actions say it where was observed with Exim 4.96: what only tests leaves nothing in the logs.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from pyexim import settings
from pyexim.base.errors import ConfigError, ExpansionError
from pyexim.base.octets import lower
from pyexim.cli.version import lines
from pyexim.config.configuration import Configuration
from pyexim.config.reader import expand_early
from pyexim.log.log import Log, LogSettings
from pyexim.startup.identity import caller, find_exim_user
from pyexim.startup.options import Command
from pyexim.startup.process import log_places

_UNLOGGED: Final = frozenset({"bV", "be", "bf", "bh", "bt", "bv", "bvs"})


def report(error: ConfigError, command: Command) -> None:
    """Say what is wrong with the configuration: on standard error, and in the panic log as far as that is known."""
    text = str(error)
    log = Log(LogSettings(use_file=False))
    if command.mode == "bV":
        sys.stdout.write("\n".join(lines(None)) + "\n")
        sys.stdout.flush()
    if command.mode == "bh":
        sys.stderr.write(f"LOG: {text}\n")
    elif command.mode == "bP" and lower(" ".join(command.arguments)) != "config":
        sys.stderr.write(f"LOG: {'MAIN ' if error.bare else ''}PANIC DIE\n  {text}\n")
    else:
        sys.stderr.write(f"{log.time_stamp()} {text}\n")
    if command.mode not in _UNLOGGED:
        _to_panic_log(text, error.partial, also_main=error.bare)


def _to_panic_log(text: str, config: Configuration | None, *, also_main: bool) -> None:
    """Write to the panic log of a configuration that was read in part; not to be able to is no further error."""
    me = caller()
    main = config.main if config is not None else None
    try:
        if config is None:
            use_file, path = True, settings.LOG_FILE_PATH or f"{settings.SPOOL_DIRECTORY}/log/%slog"
        else:
            directory = expand_early(config, config.main.spool_directory or settings.SPOOL_DIRECTORY)
            use_file, _, path, _ = log_places(expand_early(config, config.main.log_file_path or ""), directory, config)
    except (ConfigError, ExpansionError):
        return
    if find_exim_user(me, main.exim_user if main else None, main.exim_group if main else None) is not None:
        return
    if use_file and (me.privileged or os.access(os.path.dirname(path), os.W_OK)):
        Log(LogSettings(file_path=path, uid=me.exim_uid, gid=me.exim_gid, directory_mode=settings.LOG_DIRECTORY_MODE,
                        file_mode=settings.LOG_MODE)).panic(text, also_main=also_main, raw=True)
