"""The environment of the process: purged, but for keep_environment and add_environment; and the time zone.

Spec: those two options, and timezone, of "Main configuration".
"""

from __future__ import annotations

import os
import time

from pyexim import processinfo
from pyexim.expand.scope import Scope
from pyexim.match.lists import match_string, split_list
from pyexim.startup.process import Process


def clean_environment(process: Process) -> None:
    """Remove what is not kept, add what is configured; a purge that nobody asked for is logged."""
    processinfo.find_place()
    main = process.config.main
    if main.keep_environment is None:
        if os.environ:
            os.environ.clear()
            process.log.main("Warning: purging the environment.\n Suggested action: use keep_environment.",
                             raw=True)
    else:
        scope = Scope(process.config, process.services)
        for name in list(os.environ):
            if not main.keep_environment or not match_string(name, main.keep_environment, scope):
                del os.environ[name]
    for item in split_list(main.add_environment or ""):
        name, equals, value = item.partition("=")
        if equals:
            os.environ[name] = value
    set_time_zone(process)


def set_time_zone(process: Process) -> None:
    """Work in the time zone of the option ``timezone``; without one in that of the system, whatever the caller's is."""
    zone = process.config.main.timezone
    if zone:
        os.environ["TZ"] = zone
    else:
        os.environ.pop("TZ", None)
    time.tzset()
