"""The program's beginning: hand the command to the daemon if one serves it, else start the real thing.

This file is compiled at each start, so there is little in it; and nothing is imported before it is known that
the daemon cannot do the work, but for what ``daemon.client`` needs.
"""

import gc
import os
import sys


def start(arguments: list[str]) -> int:
    """Run the program; ``arguments[0]`` is the name it was called by."""
    name = arguments[0].rpartition("/")[2]
    if name.startswith("exi") and name != "exim":
        from pyexim.tools.table import TOOLS, run

        if name in TOOLS:
            from pyexim import privs

            # Anybody may choose the name that a set-uid program is called by, and no utility is one.
            privs.drop_to_caller(os.getuid(), os.getgid())
            return run(name, arguments[1:])
    if "pyexim_asked" not in sys._xoptions:  # else the launcher has asked the daemon already
        from pyexim.daemon.client import ask_daemon

        code = ask_daemon(arguments[0], arguments[1:])
        if code is not None:
            return code
    gc.disable()  # until the process is set up: what importing and reading the configuration make is all kept
    from pyexim.cli.main import main

    return main(arguments)


def _open_standard_streams() -> None:
    """See to it that descriptors 0, 1 and 2 are open: what is opened later must not come to lie there."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")


if __name__ == "__main__":
    _open_standard_streams()
    # bin/pyexim starts this file in isolated mode without site, so that start-up is short and no
    # caller's environment reaches the interpreter; the libraries' place is added here.
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[0] = here
    packages = os.path.join(os.path.dirname(os.path.dirname(sys.executable)), "lib",
                            f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    if packages not in sys.path:
        sys.path.append(packages)
    # Octets in and out: one character each, as everywhere inside (base/octets.py).
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="latin-1", errors="replace")  # type: ignore[union-attr]
    code = start([os.fsencode(argument).decode("latin-1") for argument in sys.argv[1:]])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass
    os._exit(code)
