"""The pipe transport."""

from __future__ import annotations

from pyexim.config.option import BOOL, INT, OCTAL, STRING, STRING_LIST, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class PipeOptions(TransportOptions):
    """The options of its section."""

    allow_commands: str | None = option(STRING_LIST, None, expanded=True)
    batch_id: str | None = option(STRING, None, expanded=True)
    batch_max: int = option(INT, 1)
    check_string: str | None = option(STRING, None)
    command: str | None = option(STRING, None, expanded=True)
    environment: str | None = option(STRING_LIST, None, expanded=True)
    escape_string: str | None = option(STRING, None)
    force_command: bool = option(BOOL, False)
    freeze_exec_fail: bool = option(BOOL, False)
    freeze_signal: bool = option(BOOL, False)
    ignore_status: bool = option(BOOL, False)
    log_defer_output: bool = option(BOOL, False)
    log_fail_output: bool = option(BOOL, False)
    log_output: bool = option(BOOL, False)
    max_output: int = option(INT, 20480, style="K")
    message_prefix: str | None = option(STRING, None, expanded=True)
    message_suffix: str | None = option(STRING, None, expanded=True)
    path: str | None = option(STRING, "/bin:/usr/bin", expanded=True)
    permit_coredump: bool = option(BOOL, False)
    pipe_as_creator: bool = option(BOOL, False)
    restrict_to_path: bool = option(BOOL, False)
    return_fail_output: bool = option(BOOL, False)
    return_output: bool = option(BOOL, False)
    temp_errors: str | None = option(STRING_LIST, None)
    timeout: int = option(TIME, 3600)
    timeout_defer: bool = option(BOOL, False)
    umask: int = option(OCTAL, 0o22)
    use_bsmtp: bool = option(BOOL, False)
    use_classresources: bool = option(BOOL, False)
    use_crlf: bool = option(BOOL, False)
    use_shell: bool = option(BOOL, False)
