"""The utilities by the name that each is called by."""

from __future__ import annotations

import importlib
import sys
from typing import Final

TOOLS: Final = {
    "exicyclog": "pyexim.tools.exicyclog",
    "exigrep": "pyexim.tools.exigrep",
    "exim_checkaccess": "pyexim.tools.checkaccess",
    "exim_dbmbuild": "pyexim.tools.dbmbuild",
    "exim_dumpdb": "pyexim.tools.dumpdb",
    "exim_fixdb": "pyexim.tools.fixdb",
    "exim_lock": "pyexim.tools.lock",
    "exim_msgdate": "pyexim.tools.msgdate",
    "exim_tidydb": "pyexim.tools.tidydb",
    "exinext": "pyexim.tools.exinext",
    "exiqgrep": "pyexim.tools.exiqgrep",
    "exiqsumm": "pyexim.tools.exiqsumm",
    "exiwhat": "pyexim.tools.exiwhat",
}
"""Each module has ``main(arguments) -> exit code``."""


def run(name: str, arguments: list[str]) -> int:
    """Run a utility; the exit code."""
    try:
        return int(importlib.import_module(TOOLS[name]).main(arguments))
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as e:
        sys.stderr.write(f"{name}: {e.filename or ''}: {e.strerror}\n")
        return 1
