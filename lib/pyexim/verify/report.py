"""-bt, -bv and -bvs as commands: arguments or lines of standard input in, a report and an exit code out.

Spec: -bt and -bv in the chapter "The Exim command line".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyexim.expand.scope import Scope
from pyexim.verify.address_test import Reporter


def run(mode: str, arguments: list[str], scope: Scope, *, full: bool = False, lines: Iterable[str] = (),
        write: Callable[[str], object]) -> int:
    """Do "bt", "bv" or "bvs" and return the exit code: 0, 1 where something deferred, 2 where something failed.

    Without arguments the addresses come from ``lines``, prompted for with "> ".  ``full`` is -v or -d.
    """
    reporter = Reporter({"bt": "test", "bv": "recipient", "bvs": "sender"}[mode], scope, full=full)
    for argument in arguments:
        write(reporter.argument(argument))
    if not arguments:
        write("> ")
        for line in lines:
            write(reporter.input_line(line))
            write("> ")
        write("\n")
    return reporter.exit_code
