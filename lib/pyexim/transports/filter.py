"""transport_filter: pass a message through a command before it is delivered.

What the command yields goes into an unnamed temporary file, and is delivered only when the command has
ended well; so a filter that fails half-way leaves nothing half-delivered.

Spec: chapter "Generic options for transports", options transport_filter and transport_filter_timeout.
"""

from __future__ import annotations

import errno
import os
import select
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from pyexim.model.address import Address
from pyexim.transports.base import TransportRun
from pyexim.transports.command import NOT_EXECUTED, CommandError, Running, make_arguments, start
from pyexim.transports.write import Copy, WriteError

ERRNO_FILTER_FAIL: Final = -24


class FilterTimeout(WriteError):
    """The filter took too long."""


def filtered(copy: Copy, batch: list[Address], run: TransportRun, options: Any) -> Copy:
    """Return the copy as the transport's filter makes it.  Raises WriteError."""
    name = run.scope.transport_name
    try:
        argv = make_arguments(options.transport_filter, run.scope, batch, expanded=True,
                              what=f"{name} transport filter", allow_tainted=False)
    except CommandError as e:
        if e.text.startswith("no command specified"):
            return copy
        raise WriteError(e.text, -1) from None
    if not argv[0].startswith("/"):
        raise WriteError(f'transport filter command "{argv[0]}" is not an absolute path', ERRNO_FILTER_FAIL)
    try:
        running = start(argv, dict(os.environ))
    except OSError as e:
        raise WriteError("failed to create a process for the transport filter", e.errno or errno.EIO) from None
    out = tempfile.TemporaryFile(buffering=0)  # lives as long as the copy
    limit = options.transport_filter_timeout
    deadline = run.scope.services.clock.monotonic() + limit if limit > 0 else None
    try:
        _pump(running, copy.chunks(), out.fileno(), deadline, run)
    except TimeoutError:
        running.kill()
        running.wait()
        raise FilterTimeout("transport filter timed out", errno.ETIMEDOUT) from None
    code = running.wait()
    if code != 0:
        text = f"transport filter process failed ({code})"
        if code == NOT_EXECUTED:
            text += ": unable to execute command"
        raise WriteError(text, ERRNO_FILTER_FAIL)
    return Copy(b"", out.fileno(), 0, os.fstat(out.fileno()).st_size, False, [out])


def _pump(running: Running, chunks: Iterator[bytes], out: int, deadline: float | None, run: TransportRun) -> None:
    """Write the message to the command and its output to a file, at the same time."""
    monotonic = run.scope.services.clock.monotonic
    os.set_blocking(running.stdin, False)
    pending = memoryview(b"")
    feeding = True
    try:
        while True:
            if feeding and not pending:
                chunk = next(chunks, None)
                if chunk is None:
                    os.close(running.stdin)
                    running.stdin = -1
                    feeding = False
                else:
                    pending = memoryview(chunk)
            wait = None if deadline is None else max(deadline - monotonic(), 0)
            ready = select.select([running.stdout], [running.stdin] if feeding else [], [], wait)
            if not ready[0] and not ready[1]:
                raise TimeoutError
            if ready[0]:
                data = os.read(running.stdout, 65536)
                if not data:
                    return
                os.write(out, data)
            if ready[1]:
                try:
                    pending = pending[os.write(running.stdin, pending):]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    # A filter need not read all of the message; its exit code tells how it went.
                    os.close(running.stdin)
                    running.stdin = -1
                    feeding = False
    finally:
        if running.stdin >= 0:
            os.close(running.stdin)
        os.close(running.stdout)
