"""Modes that tell about the configuration and the program: -bV, -bP, -bI, --check-config."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

from pyexim.startup.options import Command, UsageError
from pyexim.startup.process import Process, configuration_files

INFO_HELP: Final = """\
The -bI: flag takes a string indicating which information to provide.
If the string is not recognised, you'll get this help (on stderr).

  exim -bI:help    this information
  exim -bI:dscp    list of known dscp value keywords
  exim -bI:modules list of optional modules
"""

DSCP: Final = ("af11", "af12", "af13", "af21", "af22", "af23", "af31", "af32", "af33", "af41", "af42", "af43",
               "cs0", "cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "cs7", "ef", "lowcost", "lowdelay", "mincost",
               "reliability", "throughput", "va")
"""Names of code points (RFC 4594 and relatives) and of the older types of service."""


def show_version(process: Process) -> int:
    """-bV: who we are and what this build has."""
    from pyexim.cli import version

    sys.stdout.write("\n".join(version.lines(process.config.file)) + "\n")
    return 0


def show_options(process: Process) -> int:
    """-bP: the configuration as read."""
    from pyexim.config.show import DENIED, show

    c = process.command
    lines, code = show(process.config, c.arguments, admin=process.identity.admin, no_labels=c.terse,
                       environment=dict(os.environ))
    if lines == [DENIED]:
        raise UsageError(DENIED)
    sys.stdout.buffer.write("".join(line + "\n" for line in lines).encode("latin-1", "replace"))
    return code


def show_information(process: Process) -> int:
    """-bI:WORD."""
    word = process.command.info.lower()
    if word == "help":
        sys.stdout.write(INFO_HELP)
        return 0
    if word == "dscp":
        sys.stdout.write("".join(f"{name}\n" for name in DSCP))
        return 0
    if word == "modules":
        from pyexim.lookup.table import optional

        sys.stdout.write("".join(f"{name}\n" for name in optional()))
        return 0
    if word == "sieve":
        from pyexim.filters.sieve.table import EXTENSIONS

        sys.stdout.write("".join(f"{name}\n" for name in EXTENSIONS))
        return 0
    sys.stderr.write(INFO_HELP)
    return 1


def check(command: Command) -> int:
    """--check-config: every fault of the configuration, with its place; 0 if there is none."""
    from pyexim.config.check import check_configuration

    report = check_configuration(configuration_files(command), command.macros)
    sys.stdout.write("".join(line + "\n" for line in report.lines()))
    return 1 if report.faults else 0


MODES: Final[dict[str, Callable[[Process], int]]] = {
    "bV": show_version, "bP": show_options, "info": show_information}
