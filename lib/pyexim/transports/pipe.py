"""The pipe transport: hand the message to a command on its standard input.

Command lines are split, expanded and started by ``transports.command``.

Spec: chapter "The pipe transport".
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Iterator
from typing import Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import is_digits
from pyexim.base.record import dataclass, field
from pyexim.base.taint import is_tainted, like
from pyexim.config.configuration import Instance
from pyexim.config.option import BOOL, INT, OCTAL, STRING, STRING_LIST, TIME, option, options
from pyexim.expand.engine import expand
from pyexim.expand.lists import split_list
from pyexim.model.address import Address
from pyexim.transports import write
from pyexim.transports.appendfile import FROM_LINE
from pyexim.transports.base import DEFER, FAIL, OK, Result, Transport, TransportRun
from pyexim.transports.command import NOT_EXECUTED, CommandError, Running, make_arguments, start
from pyexim.transports.options import TransportOptions

_EXITS: Final = {
    64: "usage or syntax error", 65: "error in input data", 66: "input data missing", 67: "user nonexistent",
    68: "host nonexistent", 69: "service or program unavailable", 70: "internal software error",
    71: "internal operating system error", 72: "system file missing", 73: "can't create output file",
    74: "input/output error", 75: "temporary error", 76: "protocol error", 77: "permission denied",
    78: "configuration error"}
"""What the exit codes of sysexits.h mean."""
TEMP_ERRORS: Final = frozenset({75, 73})
"""EX_TEMPFAIL and EX_CANTCREAT."""


@options
class PipeOptions(TransportOptions):
    """The options of its section."""

    allow_commands: str | None = option(STRING_LIST, None, expanded=True, spec="29.5",
        doc="Commands that may be run.")
    batch_id: str | None = option(STRING, None, expanded=True, spec="29.5",
        doc="Only addresses for which this expands to the same are delivered together.")
    batch_max: int = option(INT, 1, spec="29.5",
        doc="How many addresses one run may deliver for.")
    check_string: str | None = option(STRING, None, spec="29.5",
        doc="What is replaced at the start of a line.")
    command: str | None = option(STRING, None, expanded=True, spec="29.5",
        doc="Command to run, split into arguments that are expanded one by one.")
    environment: str | None = option(STRING_LIST, None, expanded=True, spec="29.5",
        doc="Additional environment variables, name=value.")
    escape_string: str | None = option(STRING, None, spec="29.5",
        doc="What check_string is replaced by.")
    force_command: bool = option(BOOL, False, spec="29.5",
        doc="Use command for pipes from redirection too.")
    freeze_exec_fail: bool = option(BOOL, False, spec="29.5",
        doc="Freeze the message when the command cannot be run.")
    freeze_signal: bool = option(BOOL, False, spec="29.5",
        doc="Freeze the message when the command ends by a signal.")
    ignore_status: bool = option(BOOL, False, spec="29.5",
        doc="Take every exit code for success.")
    log_defer_output: bool = option(BOOL, False, spec="29.5",
        doc="Log the first line of output when delivery is deferred.")
    log_fail_output: bool = option(BOOL, False, spec="29.5",
        doc="Log the first line of output when delivery fails.")
    log_output: bool = option(BOOL, False, spec="29.5",
        doc="Log the first line of output.")
    max_output: int = option(INT, 20480, style="K", spec="29.5",
        doc="How much the command may say before it is killed.")
    message_prefix: str | None = option(STRING, None, expanded=True, spec="29.5",
        doc="Text before the message; a \"From \" line by default.")
    message_suffix: str | None = option(STRING, None, expanded=True, spec="29.5",
        doc="Text after the message; an empty line by default.")
    path: str | None = option(STRING, "/bin:/usr/bin", expanded=True, spec="29.5",
        doc="Directories in which commands are looked for.")
    permit_coredump: bool = option(BOOL, False, spec="29.5",
        doc="Let the command dump core.")
    pipe_as_creator: bool = option(BOOL, False, spec="29.5",
        doc="Run as the user who submitted the message.")
    restrict_to_path: bool = option(BOOL, False, spec="29.5",
        doc="Allow only commands without slashes, found on path.")
    return_fail_output: bool = option(BOOL, False, spec="29.5",
        doc="Put the output of a failing command into the bounce.")
    return_output: bool = option(BOOL, False, spec="29.5",
        doc="Bounce when there is output, with the output.")
    temp_errors: str | None = option(STRING_LIST, None, spec="29.5",
        doc="Exit codes that mean to try again later, or * for all; 75 and 73 by default.")
    timeout: int = option(TIME, 3600, spec="29.5",
        doc="How long the command may take; 0 for no limit.")
    timeout_defer: bool = option(BOOL, False, spec="29.5",
        doc="A timeout defers instead of failing.")
    umask: int = option(OCTAL, 0o22, spec="29.5",
        doc="File mode mask of the command.")
    use_bsmtp: bool = option(BOOL, False, spec="29.5",
        doc="Write batched SMTP.")
    use_classresources: bool = option(BOOL, False, spec="29.5",
        doc="Resource limits of BSD login classes; refused, as Linux has none.")
    use_crlf: bool = option(BOOL, False, spec="29.5",
        doc="End lines with CRLF.")
    use_shell: bool = option(BOOL, False, spec="29.5",
        doc="Let /bin/sh run the command line.")


@dataclass(slots=True)
class Ended:
    """How a command ended: its exit code (minus a signal), output, whether it timed out or said too much."""

    code: int = 0
    output: list[bytes] = field(default_factory=list)
    timed_out: bool = False
    too_much: bool = False
    write_error: int = 0


class Pipe(Transport):
    """Deliver to a command."""

    Options = PipeOptions
    options: PipeOptions

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        o, given = self.options, instance.set_places
        if o.use_bsmtp:
            self.check_string, self.escape_string = b".", b".."
        else:
            self.check_string = (o.check_string or "").encode("latin-1")
            self.escape_string = (o.escape_string or "").encode("latin-1")
        self.prefix = o.message_prefix if "message_prefix" in given or o.use_bsmtp else FROM_LINE
        self.suffix = o.message_suffix if "message_suffix" in given or o.use_bsmtp else "\n"
        self.temporary: frozenset[int] | None = TEMP_ERRORS
        """Exit codes that mean "try again later"; None for all."""

    def check(self) -> None:
        o = self.options

        for one, other, article in (("allow_commands", "use_shell", ""), ("restrict_to_path", "use_shell", ""),
                                    ("return_output", "return_fail_output", ""),
                                    ("log_output", "log_fail_output", "the "),
                                    ("log_output", "log_defer_output", "the ")):
            if getattr(o, one) and getattr(o, other):
                raise self.wrong(f"both {one} and {other} set for {article}{self.name} transport", other, named=False)
        if o.temp_errors == "*":
            self.temporary = None
        elif o.temp_errors is not None:
            items = [x for x in split_list(o.temp_errors) if x]
            if not all(is_digits(x) for x in items):
                raise self.wrong(f"temp_errors must be a list of numbers or an asterisk for the {self.name} transport",
                                 "temp_errors", named=False)
            self.temporary = frozenset(int(x) for x in items)
        if o.use_classresources:
            raise self.wrong("use_classresources is not available on this system", "use_classresources")

    # -- delivery

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        try:
            command, argv, environment = self._command(batch, run)
            copy = write.prepare(batch, run, self.options)
            pieces = self._pieces(copy, batch, run)
        except CommandError as e:
            return [Result(a, FAIL if e.permanent else DEFER, e.text) for a in batch]
        except write.WriteError as e:
            status = DEFER
            if e.errno == errno.ETIMEDOUT and not self.options.timeout_defer:
                status = FAIL
            return [Result(a, status, e.text, e.errno) for a in batch]
        o = self.options
        try:
            debug = run.scope.services.debug
            if debug is not None and debug.selected("exec"):
                debug("exec", "direct command:\n" + "\n".join(f"  argument {i} = {a}" for i, a in enumerate(argv)))
            running = start(argv, environment, umask=o.umask, core=o.permit_coredump)
        except OSError as e:
            text = f"Failed to create child process for {self.name} transport: {e.strerror}"
            return [Result(a, DEFER, text, e.errno or errno.EAGAIN) for a in batch]
        try:
            ended = self._feed(running, pieces, run)
        except write.WriteError as e:
            running.kill()
            running.wait()
            return [Result(a, DEFER, e.text, e.errno) for a in batch]
        return self._judge(ended, command, argv, batch, run)

    # -- the command

    def _command(self, batch: list[Address], run: TransportRun) -> tuple[str, list[str], dict[str, str]]:
        """Return the command's text, its arguments and its environment.  Raises CommandError."""
        o, first, scope = self.options, batch[0], run.scope
        redirected = first.kind == "pipe"
        forced: str | None = None
        if redirected and not o.force_command:
            command = like(first.local_part.lstrip(" \t"), first.local_part)
            expanded = first.pipe_allow_expansion
        else:
            if o.command is None:
                raise CommandError(f"no command specified for {self.name} transport")
            command, expanded = o.command, True
            if redirected:
                forced = like(first.local_part.lstrip(" \t"), first.local_part)
        what = f"{self.name} transport"
        if redirected and not o.force_command and is_tainted(command):
            raise CommandError(f"Tainted '{command}' (command for {what}) not permitted")
        if not command.strip(" \t"):
            raise CommandError(f"no command specified for {what}")
        try:
            path = expand(o.path, scope) if o.path else ""
        except ExpansionError as e:
            raise CommandError(f'failed to expand string "{o.path}" for {what}: {e.text}') from None
        if o.use_shell:
            argv = self._for_shell(command, run, expanded=expanded, what=what)
        else:
            argv = make_arguments(command, scope, batch, expanded=expanded, what=what, forced=forced)
            if first.pipe_expandn is not None and expanded:
                argv = self._with_numbers(command, batch, run, what)
            argv[0] = self._find(argv[0], command, path, run, what)
        return command, argv, self._environment(batch, run, path, what)

    def _with_numbers(self, command: str, batch: list[Address], run: TransportRun, what: str) -> list[str]:
        """Expand with the numeric variables that a filter file had."""
        variables = run.scope.vars
        values = batch[0].pipe_expandn or []
        saved = {str(i): variables.get(str(i)) for i in range(len(values))}
        variables.update({str(i): v for i, v in enumerate(values)})
        try:
            return make_arguments(command, run.scope, batch, expanded=True, what=what)
        finally:
            for name, value in saved.items():
                if value is None:
                    del variables[name]
                else:
                    variables[name] = value

    def _for_shell(self, command: str, run: TransportRun, *, expanded: bool, what: str) -> list[str]:
        if "$pipe_addresses" in command:
            raise CommandError(f'"$pipe_addresses" cannot be used with use_shell in {what}')
        if expanded:
            try:
                command = expand(command, run.scope)
            except ExpansionError as e:
                raise CommandError(f'Expansion of command "{command}" in {what} failed: {e.text}') from None
        return ["/bin/sh", "-c", command]

    def _find(self, name: str, command: str, path: str, run: TransportRun, what: str) -> str:
        """Return the absolute path of a command that may be run.  Raises CommandError."""
        o = self.options
        if o.allow_commands is not None:
            try:
                allowed = split_list(expand(o.allow_commands, run.scope))
            except ExpansionError as e:
                raise CommandError(f'failed to expand string "{o.allow_commands}" for {what}: {e.text}') from None
            permitted = name in allowed
            if not permitted and not o.restrict_to_path:
                raise CommandError(f'"{name}" command not permitted by {what}', permanent=True)
        else:
            permitted = False
        if o.restrict_to_path and not permitted and "/" in name:
            raise CommandError(f'"/" found in "{command}" (command for {what}) - failed for security reasons',
                               permanent=True)
        if name.startswith("/"):
            return name
        if "/" not in name or permitted:
            for directory in split_list(path):
                found = os.path.join(directory, name)
                if os.path.isfile(found):
                    return found
        raise CommandError(f'"{name}" command not found for {what}', permanent=True)

    def _environment(self, batch: list[Address], run: TransportRun, path: str, what: str) -> dict[str, str]:
        scope, first, message = run.scope, batch[0], run.message
        single = len(batch) == 1
        source = first
        while source.kind != "address" and source.parent is not None:
            source = source.parent
        local_part = source.local_part if single else ""
        domain = first.domain if all(a.domain == first.domain for a in batch) else ""
        out = {
            "LOCAL_PART": local_part, "LOGNAME": local_part, "USER": local_part,
            "LOCAL_PART_PREFIX": first.prefix if single else "", "LOCAL_PART_SUFFIX": first.suffix if single else "",
            "DOMAIN": domain, "HOME": run.home_dir or "", "MESSAGE_ID": message.message_id, "PATH": path,
            "RECIPIENT": source.address if single else "",
            "QUALIFY_DOMAIN": scope.config.main.qualify_domain or scope.services.primary_hostname,
            "SENDER": message.sender_address, "SHELL": "/bin/sh"}
        if first.host_list:
            out["HOST"] = first.host_list[0].name
        timezone = scope.config.main.timezone
        if timezone:
            out["TZ"] = timezone
        if self.options.environment is not None:
            try:
                text = expand(self.options.environment, scope)
            except ExpansionError as e:
                raise CommandError(f'failed to expand string "{self.options.environment}" for {what}: '
                                   f"{e.text}") from None
            for item in split_list(text):
                name, equals, value = item.partition("=")
                if equals:
                    out[name] = value
        return out

    # -- the message

    def _text(self, source: str | None, option_name: str, run: TransportRun) -> bytes:
        if not source:
            return b""
        variables = run.scope.vars
        variables["return_path"] = run.return_path
        try:
            return expand(source, run.scope).encode("latin-1")
        except ForcedFail:
            return b""
        except ExpansionError as e:
            raise write.WriteError(f'Expansion of "{source}" ({option_name} for {self.name} transport) failed: '
                                   f"{e.text}") from None
        finally:
            del variables["return_path"]

    def _pieces(self, copy: write.Copy, batch: list[Address], run: TransportRun) -> Iterator[bytes]:
        o = self.options
        prefix = self._text(self.prefix, "prefix", run)
        suffix = self._text(self.suffix, "suffix", run)
        if o.use_bsmtp:
            commands = write.batched_smtp(batch, run, affixes=o.rcpt_include_affixes)
            prefix += write.to_crlf(commands) if o.use_crlf else commands
            suffix = (b".\r\n" if o.use_crlf else b".\n") + suffix

        def pieces() -> Iterator[bytes]:
            if prefix:
                yield prefix
            last = b"\n"
            for piece in write.stream_lines(copy.chunks(), self.check_string, self.escape_string, o.use_crlf):
                yield piece
                last = piece[-1:]
            if last != b"\n":
                yield b"\r\n" if o.use_crlf else b"\n"
            if suffix:
                yield suffix

        return pieces()

    # -- running

    def _feed(self, running: Running, pieces: Iterator[bytes], run: TransportRun) -> Ended:
        """Write the message and read the output until the command has ended, or its time is up."""
        o, ended = self.options, Ended()
        monotonic = run.scope.services.clock.monotonic
        deadline = monotonic() + o.timeout if o.timeout > 0 else None
        os.set_blocking(running.stdin, False)
        pending = memoryview(b"")
        stdin = running.stdin
        size = 0
        while True:
            if stdin >= 0 and not pending:
                piece = next(pieces, None)
                if piece is None:
                    os.close(stdin)
                    stdin = -1
                else:
                    pending = memoryview(piece)
            wait = None if deadline is None else max(deadline - monotonic(), 0)
            readable, writable, _ = select.select([running.stdout], [stdin] if stdin >= 0 else [], [], wait)
            if not readable and not writable:
                ended.timed_out = True
                running.kill()
                break
            if readable:
                data = os.read(running.stdout, 16384)
                if not data:
                    break
                size += len(data)
                ended.output.append(data)
                if size > o.max_output:
                    ended.output.append(b"\n\n*** Too much output - remainder discarded ***\n")
                    ended.too_much = True
                    running.kill()
                    break
            if writable:
                try:
                    pending = pending[os.write(stdin, pending):]
                except BlockingIOError:
                    continue
                except OSError as e:
                    # The command need not read the message; what counts is how it ends.
                    ended.write_error = e.errno or errno.EPIPE
                    os.close(stdin)
                    stdin = -1
                    pending = memoryview(b"")
        if stdin >= 0:
            os.close(stdin)
        os.close(running.stdout)
        ended.code = running.wait()
        return ended

    # -- the outcome

    def _judge(self, ended: Ended, command: str, argv: list[str], batch: list[Address],
               run: TransportRun) -> list[Result]:
        o = self.options
        output = b"".join(ended.output)
        status, text, freeze = OK, "", False
        code = ended.code
        if ended.timed_out:
            status = DEFER if o.timeout_defer else FAIL
            text = "pipe delivery process timed out"
        elif code < 0 and (not o.ignore_status or o.freeze_signal):
            word = _signal_name(-code)
            text = (f'Child process of {self.name} transport (running command "{command}") was terminated by signal '
                    f"{-code} ({word})")
            status, freeze = (DEFER, True) if o.freeze_signal else (FAIL, False)
        elif code == NOT_EXECUTED and o.freeze_exec_fail:
            status, freeze = DEFER, True
            text = f'pipe process failed to exec "{argv[0]}"'
        elif code != 0 and not o.ignore_status:
            status, text = self._bad_exit(code, argv)
        result_output, returned, logged = self._output(output, status, run)
        if returned and o.return_output:
            status = FAIL
            text = text or "return message generated"
        results: list[Result] = []
        for address in batch:
            if status == OK:
                run.delivered(address)
            results.append(Result(address, status, text, freeze=freeze, output=result_output, return_output=returned,
                                  log_output=None if results else logged))
        return results

    def _bad_exit(self, code: int, argv: list[str]) -> tuple[str, str]:
        hint = ""
        if code == NOT_EXECUTED:
            hint = " (could mean unable to exec or command does not exist)"
        elif code > 128:
            hint = f" (could mean shell command ended by signal {code - 128} ({_signal_name(code - 128)}))"
        elif code in _EXITS:
            hint = f" (could mean {_EXITS[code]})"
        text = f"Child process of {self.name} transport returned {code}{hint} from command: {argv[0]}"
        if self.temporary is None or code in self.temporary:
            return DEFER, text
        return FAIL, text

    def _output(self, output: bytes, status: str, run: TransportRun) -> tuple[str | None, bool, str | None]:
        """Return (the output as text or None, whether it is to be returned, the line to be logged or None)."""
        o = self.options
        if not output:
            return None, False, None
        text = output.decode("latin-1")
        logged = None
        if o.log_output or (o.log_fail_output and status == FAIL) or (o.log_defer_output and status == DEFER):
            logged = text.partition("\n")[0].rstrip(" \t\r")
        returned = (o.return_output or (o.return_fail_output and status == FAIL)) and run.message.sender_address != ""
        if o.return_output and run.message.sender_address == "":
            returned = False
        return text if returned else None, returned, logged


def _signal_name(number: int) -> str:
    known = signal.strsignal(number) if 0 < number < signal.NSIG else None
    return known or f"Unknown signal {number}"
