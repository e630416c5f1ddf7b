"""The delivery manager: hands ids of messages to persistent workers, and keeps idle connections between them.

It reads no mail.  One loop over a poll object: ids come in by the job socket, workers report, parked
connections end.  Workers are forked when jobs have to wait and end when they have been idle for long.  A
worker that dies costs nothing but the attempt: its message is still on the spool.

The same manager serves a queue run in a command, without job socket.  docs/processes.md has the records.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

from pyexim import child, fdpass
from pyexim.base.clock import Clock
from pyexim.base.record import dataclass, field
from pyexim.deliver import worker
from pyexim.deliver.api import DeliverRun
from pyexim.deliver.pool import Parking
from pyexim.deliver.starter import Client, Connector
from pyexim.expand.scope import LogSink

PATIENCE: Final = 0.05
"""Seconds that a job waits, while every worker is kept by one slow job, before another worker is forked."""
BASE: Final = os.cpu_count() or 1
"""Workers that are forked as soon as jobs wait."""
IDLE_END: Final = 60.0
"""Seconds after which an idle worker ends, while others are left."""
STOP_WITHIN: Final = 30.0
"""Seconds that a manager that is to stop gives to the jobs it has."""
MAX_WORKERS: Final = 64
READS_PER_TURN: Final = 256

Key = tuple[str, str]
"""(queue name, message id)."""


@dataclass(slots=True)
class Job:
    """A message to be tried."""

    key: Key
    flags: dict[str, Any]
    since: float


@dataclass(slots=True)
class WorkerProcess:
    """One worker as the manager sees it."""

    pid: int
    sock: socket.socket
    job: Job | None = None
    idle_since: float = 0.0
    job_since: float = 0.0
    next: deque[Job] = field(default_factory=deque)
    """Messages for the host that this worker has a connection to."""
    ended: int | None = None
    """Its wait status, where it has been collected before its end of file was seen."""


class Manager:
    """Jobs in, attempts made.  ``on_done`` hears of each finished attempt: (id, status)."""

    def __init__(self, fork_worker: Callable[[socket.socket, Callable[[], None]], int], clock: Clock, log: LogSink, *,
                 limit: int = MAX_WORKERS, jobs: socket.socket | None = None,
                 on_done: Callable[[str, str], None] | None = None) -> None:
        self._fork_worker = fork_worker
        self._clock = clock
        self._log = log
        self.limit = limit
        self._job_socket = jobs
        self._on_done = on_done
        self._poll = select.poll()
        self.parking = Parking(self._poll, clock)
        self.workers: dict[int, WorkerProcess] = {}
        self._idle: list[WorkerProcess] = []
        self.queue: OrderedDict[Key, Job] = OrderedDict()
        self._running: set[Key] = set()
        self.stopping: float | None = None
        self._next_tidy = 0.0
        self._last_fork = 0.0
        if jobs is not None:
            jobs.setblocking(False)
            self._poll.register(jobs, select.POLLIN)

    # -- jobs

    def submit(self, message_id: str, queue: str = "", flags: dict[str, Any] | None = None) -> bool:
        """Add a message to the queue; False when it is there, or under way, already."""
        key = (queue, message_id)
        if key in self.queue or key in self._running:
            return False
        self.queue[key] = Job(key, flags or {}, self._clock.monotonic())
        return True

    def busy(self) -> bool:
        """Tell whether anything is queued or under way."""
        return bool(self.queue or self._running)

    def _read_jobs(self) -> None:
        assert self._job_socket is not None
        for _ in range(READS_PER_TURN):
            try:
                got = fdpass.receive(self._job_socket)
            except BlockingIOError:
                return
            except fdpass.PassError as e:
                self._log.panic(f"delivery manager: {e}")
                continue
            if got is None:
                self._poll.unregister(self._job_socket)
                self._job_socket = None
                self.stop()
                return
            record, fds = got
            for fd in fds:
                os.close(fd)
            message_id = record.get("id")
            if record["type"] == "deliver" and isinstance(message_id, str):
                self.submit(message_id, str(record.get("queue") or ""), record.get("run") or {})

    # -- the loop

    def turn(self, wait: float | None = None) -> None:
        """Hand out jobs, wait for something to happen, and see to it."""
        self._dispatch()
        for fd, _ in self._poll.poll(self._timeout(wait)):
            if self._job_socket is not None and fd == self._job_socket.fileno():
                self._read_jobs()
            elif fd in self.workers:
                self._hear(self.workers[fd])
            elif fd in self.parking:
                self.parking.woke(fd)
            elif fd == self._wake_fd:
                os.read(fd, 512)
        now = self._clock.monotonic()
        if now >= self._next_tidy:
            self._tidy(now)

    _wake_fd = -1

    def watch(self, fd: int) -> None:
        """Wake up when a descriptor (of the signal handlers) becomes readable."""
        self._wake_fd = fd
        self._poll.register(fd, select.POLLIN)

    def _timeout(self, wait: float | None) -> int:
        if self.queue and len(self.workers) < self.limit:
            return max(1, int(self._patience_left() * 1000) + 1)
        if len(self.parking):
            return 250
        seconds = 5.0 if wait is None else wait
        return int(seconds * 1000)

    def _dispatch(self) -> None:
        """Give jobs to idle workers, the one that was busy last first (it may have the connection)."""
        for one in [w for w in self._idle if w.next]:
            self._next_for(one)
        while self.queue:
            if not self._idle and not self._may_fork():
                return
            if not self._idle:
                self._fork()
                continue
            _, job = self.queue.popitem(last=False)
            self._give(self._idle[-1], job)

    def _next_for(self, one: WorkerProcess) -> bool:
        """Give a worker the next message that waits for the host it is connected to."""
        while one.next:
            job = one.next.popleft()
            if job.key not in self._running:
                self.queue.pop(job.key, None)
                self._give(one, job)
                return True
        return False

    def _give(self, one: WorkerProcess, job: Job) -> None:
        self._idle.remove(one)
        one.job = job
        one.job_since = self._clock.monotonic()
        self._running.add(job.key)
        record: fdpass.Record = {"type": "deliver", "id": job.key[1], "queue": job.key[0]}
        if job.flags:
            record["run"] = job.flags
        try:
            fdpass.send(one.sock, record)
        except OSError:
            self._lost(one)

    def _may_fork(self) -> bool:
        if len(self.workers) >= self.limit:
            return False
        if not self.workers:
            return True
        return self._patience_left() <= 0

    def _patience_left(self) -> float:
        """Return the seconds until another worker is worth its memory: not while jobs are being finished."""
        first = next(iter(self.queue.values()))
        since = max(first.since, self._last_fork)
        if len(self.workers) >= BASE:
            since = max([since, *(w.job_since for w in self.workers.values())])
        return since + PATIENCE - self._clock.monotonic()

    def _fork(self) -> None:
        try:
            ours, theirs = fdpass.pair()
        except OSError as e:
            self._cannot_fork(e)
            return
        try:
            pid = self._fork_worker(theirs, lambda: self._close_in_child(ours))
        except OSError as e:
            ours.close()
            theirs.close()
            self._cannot_fork(e)
            return
        theirs.close()
        self._last_fork = self._clock.monotonic()
        new = WorkerProcess(pid, ours, idle_since=self._last_fork)
        self.workers[ours.fileno()] = new
        self._poll.register(ours, select.POLLIN)
        self._idle.append(new)

    def _cannot_fork(self, error: OSError) -> None:
        self._log.panic(f"delivery manager: fork failed: {error.strerror}")
        self._last_fork = self._clock.monotonic() + 1.0
        self._clock.sleep(0.1)

    def _close_in_child(self, ours: socket.socket) -> None:
        """Close, in a new worker, what belongs to the manager and to its other workers."""
        ours.close()
        for other in self.workers.values():
            other.sock.close()
        for conn in list(self.parking.connections()):
            conn.sock.close()
        if self._job_socket is not None:
            self._job_socket.close()

    # -- workers' records

    def _hear(self, one: WorkerProcess) -> None:
        try:
            got = fdpass.receive(one.sock)
        except (OSError, fdpass.PassError):
            got = None
        if got is None:
            self._lost(one)
            return
        record, fds = got
        kind = record["type"]
        if kind == "park" and len(fds) == 1:
            self.parking.add(record["state"], fds.pop())
        elif kind == "take":
            self._answer_take(one, record["keys"])
        elif kind == "done":
            self._finished(one, record)
        elif kind == "deliver":
            # A message of our own making (a bounce), submitted by a child of the worker.
            self.submit(str(record["id"]), str(record.get("queue") or ""))
        elif kind == "leaving":
            self._forget(one)
        for fd in fds:
            os.close(fd)

    def _answer_take(self, one: WorkerProcess, keys: list[str]) -> None:
        conn = self.parking.take(keys)
        try:
            if conn is None:
                fdpass.send(one.sock, {"type": "none"})
                return
            fdpass.send(one.sock, {"type": "taken", "key": conn.key, "state": conn.state()}, (conn.fileno(),))
            conn.sock.close()
        except OSError:
            if conn is not None:
                conn.close_quietly()

    def _finished(self, one: WorkerProcess, record: fdpass.Record) -> None:
        job = one.job
        if job is None:
            return
        one.job = None
        self._running.discard(job.key)
        one.idle_since = self._clock.monotonic()
        self._idle.append(one)
        if "waiting" in record:
            flags = {k: v for k, v in job.flags.items() if k in ("queue_run", "local_only")}
            one.next = deque(Job((job.key[0], str(i)), flags, one.idle_since) for i in record["waiting"])
        if self._on_done is not None:
            self._on_done(job.key[1], str(record.get("status")))
        if not self._next_for(one) and self.queue and one in self._idle:
            _, following = self.queue.popitem(last=False)
            self._give(one, following)

    def _lost(self, one: WorkerProcess) -> None:
        """A worker has died: its message stays on the spool for the next queue run."""
        job = one.job
        self._forget(one)
        status = child.wait(one.pid) if one.ended is None else one.ended
        if job is not None:
            self._running.discard(job.key)
            self._log.panic(f"delivery worker {one.pid} died ({child.exit_code(status)}) during a delivery; "
                            "the message stays on the queue", message_id=job.key[1])
            if self._on_done is not None:
                self._on_done(job.key[1], "died")

    def _forget(self, one: WorkerProcess) -> None:
        if self.workers.pop(one.sock.fileno(), None) is not None:
            self._poll.unregister(one.sock)
        if one in self._idle:
            self._idle.remove(one)
        one.sock.close()

    # -- tidying and stopping

    def _tidy(self, now: float) -> None:
        self._next_tidy = now + 0.25
        self.parking.expire()
        ended = dict(child.reap())
        for one in self.workers.values():
            one.ended = ended.get(one.pid, one.ended)
        for one in [w for w in self._idle if now - w.idle_since >= IDLE_END and len(self.workers) > 1][:4]:
            self._forget(one)
        if self.stopping is not None:
            for one in list(self._idle):
                if not self.queue and not one.next:
                    self._forget(one)

    def stop(self) -> None:
        """Stop when what is queued now has been tried, or STOP_WITHIN has passed."""
        if self.stopping is None:
            self.stopping = self._clock.monotonic()
            self._next_tidy = 0.0

    def finished(self) -> bool:
        """Tell whether a manager that was to stop is done."""
        if self.stopping is None:
            return False
        return not self.busy() or self._clock.monotonic() - self.stopping > STOP_WITHIN

    def close(self) -> None:
        """End all workers (each after the attempt it is at) and close parked connections."""
        self.parking.close()
        pids = []
        for one in list(self.workers.values()):
            pids.append(one.pid)
            self._forget(one)
        for pid in pids:
            child.wait(pid)


def worker_forker(make_run: Callable[[], DeliverRun], connector: Connector | None, log: LogSink, *,
                  title: Callable[[str], None] | None = None, close: Callable[[], None] | None = None,
                  ) -> Callable[[socket.socket, Callable[[], None]], int]:
    """Return the function by which a manager forks a worker.

    ``make_run`` is called in the worker, once; with a connector its local deliveries go by the starter.
    """

    def fork_worker(control: socket.socket, close_others: Callable[[], None]) -> int:
        def job() -> int:
            close_others()
            if close is not None:
                close()
            if title is not None:
                title("delivery worker")
            run = make_run()
            if connector is not None:
                try:
                    run.services.privileged = Client(connector.connect())
                except OSError as e:
                    log.panic(f"delivery worker: cannot reach the process that starts local deliveries: {e.strerror}")
                    return child.EX_SOFTWARE
                connector.close()
            return worker.serve(control, run, title=title)

        return child.fork(job, on_error=log.crash)

    return fork_worker


def run_manager(jobs: socket.socket, make_run: Callable[[], DeliverRun], connector: Connector | None, clock: Clock,
                log: LogSink, *, limit: int = MAX_WORKERS, title: Callable[[str], None] | None = None) -> int:
    """Be the daemon's delivery manager: until SIGTERM, or until nobody has the job socket any more."""
    fork_worker = worker_forker(make_run, connector, log, title=title)
    manager = Manager(fork_worker, clock, log, limit=limit, jobs=jobs)
    wake_read, wake_write = socket.socketpair()
    wake_read.setblocking(False)
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: manager.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    manager.watch(wake_read.fileno())
    gc.collect()
    gc.freeze()  # once, here: the workers share these pages
    while not manager.finished():
        manager.turn(0.2 if manager.stopping is not None else None)
    manager.close()
    return 0
