"""-bi: run the command that bi_command names, as the caller.  Spec: option -bi."""

from __future__ import annotations

import os

from pyexim import child, privs
from pyexim.startup.options import UsageError
from pyexim.startup.process import Process


def run_bi_command(process: Process) -> int:
    """Run bi_command with the value of -oA as its argument; its exit code.  Unset, nothing is done."""
    program = process.config.main.bi_command
    if not program:
        return 0
    if not program.startswith("/"):
        raise UsageError(f"exim: bi_command must be an absolute path: {program}")
    me = process.identity
    arguments = [program] + ([process.command.alias_file] if process.command.alias_file else [])

    def job() -> int:
        privs.drop_to_caller(me.uid, me.gid)
        try:
            os.execv(program, arguments)
        except OSError as e:
            os.write(2, f"exim: exec of {program} failed: {e.strerror}\n".encode())
        return 1

    return max(0, child.exit_code(child.wait(child.fork(job))))
