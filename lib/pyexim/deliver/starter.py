"""The starter: the small process that keeps the privilege and does with it two things only.

It forks a child that becomes a user and runs one local transport, and it opens a file as a user.  It
reads no mail: what a job says about the message is a text that the child reads once it has become the
user.  It is forked early, so that it stays small (a fork costs 0.65 ms from 8 MB, 3 ms from 40 MB).
Without root everything is the same except that nobody becomes anybody else.  Here are the clients and the
way to the starter; what it does itself is in ``starting``.

A client is a delivery process; it holds one SOCK_SEQPACKET socket.  The results of a job come through a
pipe of the client's own, so the starter never waits for a child, and a child that dies shows as a pipe
that ends without a whole record: then all addresses of the job are deferred.

docs/processes.md has the records.  Spec: chapter "Environment for running local transports".
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyexim import child, fdpass
from pyexim.base.record import dataclass, field
from pyexim.config.configuration import Configuration
from pyexim.deliver.jobs import decode_results
from pyexim.deliver.starting import Server, StarterError, StarterSettings, check_user, open_as, start_child
from pyexim.expand.scope import Scope, Services
from pyexim.model.address import Address
from pyexim.transports.base import Result

if TYPE_CHECKING:
    from pyexim.filters.outcome import Outcome
    from pyexim.filters.process import FilterJob


@dataclass(frozen=True, slots=True)
class LocalJob:
    """One local delivery, ready to be started: what for the child, and as whom."""

    job: str
    header: str
    data_fd: int
    journal_fd: int
    uid: int
    gid: int
    user_name: str | None = None
    """Name whose supplementary groups the child gets, or None."""
    current_dir: str = "/"
    stay: bool = False
    """The child may do further jobs of the same user: a delivery to a file leaves nothing behind in it."""
    batch: list[Address] = field(default_factory=list)


# -- the server


def serve(control: socket.socket, config: Configuration, services: Services) -> int:
    """Be the starter of a configuration, until the control socket ends; the exit code."""
    from pyexim.deliver.local import starter_settings  # it needs the values of this module

    return serve_with(control, starter_settings(config, services, privileged=os.geteuid() == 0))


def serve_with(control: socket.socket, rules: StarterSettings) -> int:
    """Serve until the control socket ends: new clients come through it, {"type": "client"} with a socket."""
    return Server(control, rules).serve()


__all__ = ["Client", "Connector", "Direct", "LocalJob", "StarterError", "StarterSettings", "check_user", "launch",
           "serve", "serve_with"]

# -- the clients


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


class Client:
    """What a delivery process has of the starter: ``services.privileged``."""

    def __init__(self, sock: socket.socket, panic: Callable[[str], None] | None = None) -> None:
        """``panic`` hears of unexpected errors in local delivery processes, which cannot write to the log."""
        self._sock = sock
        self.panic = panic

    def fileno(self) -> int:
        """Return the descriptor of the socket, for children that must close it."""
        return self._sock.fileno()

    def close(self) -> None:
        """Give the connection up."""
        self._sock.close()

    def run_local(self, job: LocalJob) -> list[Result]:
        """Run one local delivery; a result for every address, deferred where the child died or never was."""
        answer = self._exchange(job)
        if isinstance(answer, OSError):
            return _no_pipe(job.batch, answer)
        if isinstance(answer, str):
            return defer_all(job.batch, answer)
        return results_of(answer, job.batch, self.panic)

    def _exchange(self, job: LocalJob) -> bytes | str | OSError:
        """Have a job done and return what its child has to say; a text where it cannot be begun."""
        try:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
        except OSError as e:
            return e
        try:
            try:
                fdpass.send(self._sock, _record(job), (job.data_fd, job.journal_fd, write_end))
            except OSError as e:
                return f"cannot reach the process that starts local deliveries: {e.strerror}"
            finally:
                os.close(write_end)
            return read_all(read_end)
        finally:
            os.close(read_end)

    def run_filter(self, job: FilterJob, scope: Scope) -> Outcome | str:
        """Have a filter run as its user; what it comes to, or why it could not be run."""
        from pyexim.deliver.filtering import filter_job, outcome_of  # it needs the values of this module

        made = filter_job(job, scope)
        answer = made if isinstance(made, str) else self._exchange(made)
        if isinstance(answer, OSError):
            return f"pipe for a filter: {answer.strerror}"
        return answer if isinstance(answer, str) else outcome_of(answer, self.panic)

    def open_file(self, path: str, uid: int, gid: int, user_name: str | None = None) -> tuple[int, int]:
        """Open a file for reading as a user: (descriptor, 0), or (-1, errno)."""
        try:
            fdpass.send(self._sock, {"type": "open", "path": path, "uid": uid, "gid": gid, "user_name": user_name})
            got = fdpass.receive(self._sock)
        except OSError as e:
            return -1, e.errno or errno.EIO
        if got is None:
            return -1, errno.EPIPE
        record, fds = got
        if record["type"] != "opened":
            _close_all(fds)
            return -1, errno.EPERM
        if record["errno"] or len(fds) != 1:
            _close_all(fds)
            return -1, int(record["errno"]) or errno.EIO
        return fds[0], 0


class Direct:
    """The same without a process between: a command forks its local deliveries itself.

    With privilege (a command run by root) the children become the users; without it they do not.
    """

    def __init__(self, settings: StarterSettings) -> None:
        self._settings = settings

    def run_local(self, job: LocalJob) -> list[Result]:
        """Run one local delivery; see Client.run_local."""
        try:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
        except OSError as e:
            return _no_pipe(job.batch, e)
        try:
            try:
                pid = start_child(self._settings, _record(job), [job.data_fd, job.journal_fd, write_end], [])
            except (StarterError, OSError) as e:
                return defer_all(job.batch, str(e))
            finally:
                os.close(write_end)
            results = results_of(read_all(read_end), job.batch, self._settings.panic)
        finally:
            os.close(read_end)
        child.wait(pid)
        return results

    def run_filter(self, job: FilterJob, scope: Scope) -> Outcome | str:
        """Run a filter as its user; see Client.run_filter."""
        from pyexim.filters.process import run_in_child  # where there are filters

        why = check_user(self._settings, job.uid, job.gid)
        if why is not None:
            return why
        return run_in_child(job, scope, become=self._settings.privileged)

    def open_file(self, path: str, uid: int, gid: int, user_name: str | None = None) -> tuple[int, int]:
        """Open a file for reading as a user: (descriptor, 0), or (-1, errno)."""
        return open_as(self._settings, path, uid, gid, user_name)


def _record(job: LocalJob) -> fdpass.Record:
    return {"type": "local", "uid": job.uid, "gid": job.gid, "user_name": job.user_name,
            "current_dir": job.current_dir, "stay": job.stay, "job": job.job, "header": job.header}


def read_all(pipe: int) -> bytes:
    """Read a pipe to its end."""
    chunks = []
    while chunk := os.read(pipe, 65536):
        chunks.append(chunk)
    return b"".join(chunks)


def results_of(data: bytes, batch: list[Address], panic: Callable[[str], None] | None = None) -> list[Result]:
    """Return the results that a child has written; all deferred where they are not whole."""
    results = decode_results(data, batch)
    if results is not None:
        return results
    try:
        told: Any = json.loads(data) if data else None
    except ValueError:
        told = None
    if isinstance(told, dict) and "refused" in told:
        return defer_all(batch, str(told["refused"]), number=-29)
    if isinstance(told, dict) and "failed" in told:
        return defer_all(batch, str(told["failed"][1]), number=int(told["failed"][0]))
    if isinstance(told, dict) and "crash" in told and panic is not None:
        panic("in a local delivery process: " + str(told["crash"]))
    return defer_all(batch, "the local delivery process ended without a result")


def _no_pipe(batch: list[Address], error: OSError) -> list[Result]:
    return defer_all(batch, "Unable to create pipe", number=error.errno or errno.EMFILE)


def defer_all(batch: list[Address], text: str, *, number: int = -1, freeze: bool = False) -> list[Result]:
    """Return a deferral of every address."""
    return [Result(a, "defer", text=text, errno=number, freeze=freeze) for a in batch]


class Connector:
    """Makes connections to the starter: held by whoever forks delivery processes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def fileno(self) -> int:
        """Return the descriptor of the control socket."""
        return self._control.fileno()

    def connect(self) -> socket.socket:
        """Return a new connection; the starter serves its other end.  OSError when the starter is gone."""
        ours, theirs = fdpass.pair()
        try:
            fdpass.send(self._control, {"type": "client"}, (theirs.fileno(),))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    __call__ = connect

    def close(self) -> None:
        """Give the starter up: it ends."""
        self._control.close()


def launch(rules: StarterSettings, *, close: Callable[[], None] | None = None) -> tuple[int, Connector]:
    """Fork the starter from this process: its process id and the way to it.

    Call it early, while the process is small.  ``close`` is called in the starter, to close what is
    none of its business.
    """
    ours, theirs = fdpass.pair()

    def job() -> int:
        ours.close()
        if close is not None:
            close()
        if rules.title is not None:
            rules.title("starter")
        return serve_with(theirs, rules)

    pid = child.fork(job, on_error=rules.panic)
    theirs.close()
    return pid, Connector(ours)
