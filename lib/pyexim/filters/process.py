"""Filters are run in a process of their user: their expansions can read files and run commands.

Where this process may become the user (it is root's), it forks one for the filter; where it is the user
already, too, so that nothing of the filter stays behind.  A delivery worker asks the starter instead
(``services.privileged``).  Spec: chapter "The redirect router", section "Interpreting redirection data".
"""

from __future__ import annotations

import os

from pyexim import child, privs
from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.filters.api import run_filter
from pyexim.filters.base import FilterRules, FilterRun, WriteLog
from pyexim.filters.outcome import Outcome, decode, encode


@dataclass(frozen=True, slots=True)
class FilterJob:
    """A filter that is to be run as somebody."""

    text: str
    kind: str
    """Exim or Sieve."""
    rules: FilterRules
    uid: int
    gid: int
    user_name: str | None = None
    """Name whose supplementary groups the process gets, or None."""


def run_as_user(job: FilterJob, scope: Scope) -> Outcome | str:
    """Run a filter as its user; what it comes to, or why it could not be run."""
    privileged = scope.services.privileged
    if privileged is not None:
        return privileged.run_filter(job, scope)  # type: ignore[no-any-return]
    euid = os.geteuid()
    if euid not in (0, job.uid):
        return f"no privilege to run a filter as uid={job.uid} gid={job.gid} (euid={euid})"
    return run_in_child(job, scope, become=euid == 0)


def run_in_child(job: FilterJob, scope: Scope, *, become: bool) -> Outcome | str:
    """Run a filter in a child process that has (or by ``become`` gets) the identity of its user."""
    try:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
    except OSError as e:
        return f"pipe for a filter: {e.strerror}"

    def work() -> int:
        os.close(read_end)
        if become:
            privs.become(job.uid, job.gid, user_name=job.user_name)
        os.umask(0)
        os.chdir(scope.config.main.spool_directory or "/")
        send(run_here(job, scope), write_end)
        return 0

    try:
        pid = child.fork(work, on_error=scope.services.log.crash)
    except OSError as e:
        os.close(read_end)
        os.close(write_end)
        return f"fork for a filter: {e.strerror}"
    os.close(write_end)
    chunks = []
    try:
        while chunk := os.read(read_end, 65536):
            chunks.append(chunk)
    finally:
        os.close(read_end)
    child.wait(pid)
    outcome = decode(b"".join(chunks))
    return "the process of the filter ended without a result" if outcome is None else outcome


def send(outcome: Outcome, pipe: int) -> None:
    """Write an outcome into a pipe."""
    data = encode(outcome)
    while data:
        data = data[os.write(pipe, data):]


def run_here(job: FilterJob, scope: Scope) -> Outcome:
    """Run a filter in this process, which is its user's."""
    if job.rules.system:
        scope.facts["enable_dollar_recipients"] = True
    return run_filter(job.text, job.kind, FilterRun(scope, job.rules, open_log=open_log))


def open_log(path: str, mode: int) -> WriteLog:
    """Open a filter's log; OSError.  Every text is one write to the end of the file."""
    fd = os.open(path.encode("latin-1"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC, mode)

    def write_log(text: str) -> None:
        data = text.encode("latin-1")
        while data:
            data = data[os.write(fd, data):]

    return write_log
