"""The master: accepts connections and keeps the other processes going; it never reads from a client.

One loop, woken by a connection, a child's record, a due queue run or a signal.  Signal handlers only
set flags (the wake-up descriptor ends the wait); finished children are collected by polling at every
turn.  What it decides with is in ``daemon/``.  docs/processes.md tells who the others are.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import selectors
import signal
import socket
import traceback
from collections.abc import Callable
from math import inf
from typing import Any, Final

from pyexim import EXIM_VERSION, child, fdpass, processinfo
from pyexim.base.errors import ConfigError, ExpansionError
from pyexim.base.record import dataclass, replace
from pyexim.config.configuration import Configuration
from pyexim.daemon import command, listeners, pidfile, pool, reception, timer
from pyexim.daemon.client import absolute_files
from pyexim.daemon.desk import Desk
from pyexim.daemon.front import Front
from pyexim.deliver.manager import run_manager
from pyexim.deliver.starter import Connector
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.receive.encryption import on_connect_ports
from pyexim.receive.encryption import prepare as prepare_tls
from pyexim.startup import preload
from pyexim.startup.environment import set_time_zone
from pyexim.startup.options import Command, QueueRunOptions, UsageError
from pyexim.startup.process import Process, process_log, start
from pyexim.startup.queue_run import run_one
from pyexim.startup.work import (
    become_exim,
    deliver_run,
    launch_starter,
    make_receive_run,
    make_spool,
    report_crash,
    send_job,
)

IDLE_WAIT: Final = 10.0
"""Seconds between looks at children when nothing happens."""


@dataclass(slots=True)
class Helpers:
    """The starter and the delivery manager that belong to one configuration."""

    starter_pid: int
    manager_pid: int
    connector: Connector
    """The way to the starter, for queue runners."""
    jobs: socket.socket
    """Where ids of messages to deliver are sent; every reception child has it."""


@dataclass(slots=True)
class Listening:
    """One listening socket."""

    endpoint: listeners.Endpoint
    sock: socket.socket


@dataclass(slots=True)
class Flags:
    """What signals have asked for."""

    reload: bool = False
    stop: bool = False
    child: bool = False


class Master:
    """The loop."""

    def __init__(self, process: Process, run_command: Callable[[list[str], Configuration], int]) -> None:
        """``run_command`` does the work of a command that came by the command socket; it is called in a child."""
        self.process = process
        self.run_command = run_command
        self.clock = process.services.clock
        self.flags = Flags()
        self.selector: selectors.BaseSelector  # made once the process is detached, which closes descriptors
        self.listening: list[Listening] = []
        self.timers: list[timer.QueueTimer] = []
        self.pid_path: str | None = None
        self.helpers: Helpers | None = None
        self.helpers_due = 0.0
        """When to try again to start them; 0 where nothing is to be tried."""
        self.file_times = _file_times(process.config.files)
        self.desk = Desk(self._fork_apart, self._serve_caller)
        self.front = Front(process, self._fork_reception)
        self.waited_for = inf
        """When to end because no connection has come; only with -bw and a time."""

    # -- starting

    def open_listeners(self) -> None:
        """Bind and listen, before the process detaches, so that errors are seen; raise ConfigError."""
        command_line = self.process.command
        if not command_line.listen:
            return
        if command_line.inherit_socket:
            self.listening = self.listening or [Listening(*listeners.inherited(0))]
            return
        main = self.process.config.main
        wanted = listeners.endpoints(main, command_line.interfaces)
        kept = {item.endpoint: item for item in self.listening}
        opened: list[Listening] = []
        for endpoint in wanted:
            if endpoint in kept:
                opened.append(kept[endpoint])
                continue
            sock = self._bind(endpoint, opened)
            if sock is not None:
                opened.append(Listening(endpoint, sock))
        for item in self.listening:
            if item not in opened:
                item.sock.close()
        self.listening = opened

    def _bind(self, endpoint: listeners.Endpoint, opened: list[Listening]) -> socket.socket | None:
        """Make one listening socket; None for an IPv6 wildcard on a host without IPv6."""
        main, clock = self.process.config.main, self.process.services.clock
        # A daemon that is starting waits for its predecessor to let go of the port; one at work does not stand still.
        tries = main.daemon_startup_retries if not self.listening else 0
        while True:
            try:
                return listeners.listen(endpoint, main.smtp_connect_backlog, nodelay=main.tcp_nodelay)
            except OSError as e:
                if endpoint.family == 6 and e.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    return None
                where = endpoint.address or ("::" if endpoint.family == 6 else "0.0.0.0")
                text = (f"socket bind() to port {endpoint.port} for address {where} failed: "
                        f"{os.strerror(e.errno or 0)}")
                if e.errno == errno.EADDRINUSE and tries > 0:
                    pause = main.daemon_startup_sleep
                    self.process.log.main(f"{text}: waiting {pause}s before trying again ({tries} more "
                                          f"{'try' if tries == 1 else 'tries'})")
                    tries -= 1
                    clock.sleep(pause)
                    continue
                for item in opened:
                    if item not in self.listening:
                        item.sock.close()
                raise ConfigError(f"{text}: daemon abandoned") from None

    def descriptors(self) -> list[int]:
        """Return the descriptors that must survive detaching from the terminal."""
        return [item.sock.fileno() for item in self.listening]

    def run(self) -> int:
        """Be the daemon until SIGTERM; the exit code."""
        self.selector = selectors.DefaultSelector()
        raise_descriptor_limit()
        self._install_signals()
        self._write_pid_file()
        self._set_timers()
        self._start_helpers()
        self._open_command_socket()
        for item in self.listening:
            self.selector.register(item.sock, selectors.EVENT_READ, item)
        self._announce()
        processinfo.show("master " + self._title())
        gc.collect()
        gc.freeze()
        self.front.begin(self.selector, listening=bool(self.listening))
        self._wait_again()
        while not self.flags.stop:
            self._turn()
        self._shut_down()
        return 0

    def _wait_again(self) -> None:
        """-bw with a time: the daemon ends when no connection comes for so long."""
        patience = self.process.command.inherited_timeout
        self.waited_for = self.clock.monotonic() + patience if patience else inf

    def _title(self) -> str:
        return listeners.describe([item.endpoint for item in self.listening]) or "(not listening)"

    def _announce(self) -> None:
        c, runs = self.process.command, timer.describe(self.timers)
        ports = on_connect_ports(self.process.config.main)
        where = listeners.purposes([item.endpoint for item in self.listening],
                                   lambda port: c.tls_on_connect or port in ports)
        text = where if self.listening else "not listening for SMTP"
        what = f"{runs}, {text}"
        if c.inherit_socket:
            end = (f"terminating after {c.inherited_timeout} seconds" if c.inherited_timeout
                   else "with no wait timeout")
            what = f"launched with listening socket, {end}"
        self.process.log.main(f"exim {EXIM_VERSION} daemon started: pid={os.getpid()}, {what}")
        replace(process_log(self.process), daemon=f"daemon({EXIM_VERSION}): {what}").answer()

    def _install_signals(self) -> None:
        flags = self.flags

        def setter(name: str) -> Callable[[int, Any], None]:
            return lambda *_: setattr(flags, name, True)

        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, setter("reload"))
        signal.signal(signal.SIGTERM, setter("stop"))
        signal.signal(signal.SIGINT, setter("stop"))
        signal.signal(signal.SIGCHLD, setter("child"))
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.selector.register(self._wake_read, selectors.EVENT_READ, "wake")

    def _write_pid_file(self) -> None:
        c = self.process.command
        if c.pid_file is not None or (c.listen and not c.interfaces and not c.inherit_socket):
            self.pid_path = pidfile.path_of(self.process)
        if self.pid_path:
            make_spool(self.process)  # where the file is by default
            error = pidfile.write(self.pid_path, os.getpid())
            if error:
                self.process.log.panic(error)

    def _set_timers(self) -> None:
        c = self.process.command
        now = self.clock.monotonic()
        runs: list[QueueRunOptions] = [r for r in [c.queue_run, *c.more_runs] if r is not None and r.interval]
        self.timers = [timer.QueueTimer(r, now) for r in runs]

    # -- other processes

    def _start_helpers(self) -> None:
        """Fork the starter (privileged) and the delivery manager of the present configuration."""
        process = self.process
        starter_pid, connector = launch_starter(process, close=self._close_in_child)
        preload.everything()  # after the starter, which is to stay small
        jobs_read, jobs_write = fdpass.pair()

        def manager_job() -> int:
            jobs_write.close()
            self._close_in_child()
            become_exim(process)
            processinfo.show("delivery manager")
            return run_manager(jobs_read, lambda: deliver_run(process, None), connector, self.clock, process.log,
                               title=processinfo.show)

        manager_pid = self._fork(manager_job)
        jobs_read.close()
        self.helpers = Helpers(starter_pid, manager_pid, connector, jobs_write)
        if process.command.listen:  # after the manager, whose processes receive nothing
            prepare_tls(process.config, process.services, on_connect=process.command.tls_on_connect)

    def _fork(self, job: Callable[[], int]) -> int:
        return child.fork(job, on_error=report_crash(self.process))

    def _fork_reception(self, generation: int) -> tuple[int, socket.socket]:
        mine, theirs = fdpass.pair()
        process = self.process

        def job() -> int:
            mine.close()
            jobs = self.helpers.jobs if self.helpers else None
            self._close_in_child(keep=jobs)
            become_exim(process)
            processinfo.show("reception (idle)")
            start_delivery = send_job(jobs, process) if jobs is not None else (lambda message_id, queue: None)
            return reception.serve(theirs, lambda: make_receive_run(process, start_delivery),
                                   report=report_crash(process))

        pid = self._fork(job)
        theirs.close()
        return pid, mine

    def _close_in_child(self, keep: socket.socket | Connector | None = None) -> None:
        """Close what belongs to the master alone: listeners, siblings' sockets, the selector.

        ``keep`` is the one way to a helper that this child needs.  With -dd only the master shows what it does.
        """
        if self.process.command.debug_daemon_only:
            self.process.services.debug = self.process.log.debug = None
        for item in self.listening:
            item.sock.close()
        self.front.close_in_child()
        self.desk.close_in_child()
        if self.helpers is not None:
            for way in (self.helpers.jobs, self.helpers.connector):
                if way is not keep:
                    way.close()
        self._wake_read.close()
        self._wake_write.close()
        self.selector.close()

    def _open_command_socket(self) -> None:
        c = self.process.command
        name = command.socket_name(absolute_files(c.config_files or ""), c.macros)
        self.desk.open(f"{command.directory(os.geteuid())}/{name}")
        if self.desk.socket is not None:
            self.selector.register(self.desk.socket, selectors.EVENT_READ, "command")

    # -- the loop

    def _turn(self) -> None:
        """Wait for something, then do all that is due."""
        events = self.selector.select(self._patience())
        for key, _ in events:  # first what the children say, so that the counts are true when more is let in
            if isinstance(key.data, pool.Child):
                self.front.hear(key.data)
        for key, _ in events:
            what = key.data
            if isinstance(what, pool.Child):
                continue
            if isinstance(what, Listening):
                if self.front.accept(what.sock):
                    self._wait_again()
            elif what == "wake":
                self._drain_wake()
        self._reap()
        now = self.clock.monotonic()
        self._serve_commands(now, asked=any(key.data == "command" for key, _ in events))
        if now >= self.waited_for:
            self.process.log.main(f"exim {EXIM_VERSION} daemon terminating, inetd wait timeout reached.\n", raw=True)
            self.flags.stop = True
        if self.helpers_due and now >= self.helpers_due and not self.flags.stop:
            self._restart_helpers()
        self._run_queues(now)
        self.front.keep_up(now)
        if self.flags.reload:
            self.flags.reload = False
            self._reload()

    def _patience(self) -> float:
        if self.flags.stop or self.flags.reload:
            return 0.0
        now = self.clock.monotonic()
        times = [t.due - now for t in self.timers] + [self.waited_for - now]
        return max(0.0, min([self.front.patience(), *times]))

    def _drain_wake(self) -> None:
        try:
            while self._wake_read.recv(512):
                pass
        except BlockingIOError:
            return

    def _reap(self) -> None:
        """Collect whatever has finished; replace what must not be missing."""
        for pid, status in child.reap():
            self.desk.discard(pid)
            for one in self.timers:
                one.runners.discard(pid)
            helpers = self.helpers
            if helpers is None or self.flags.stop:
                continue
            if pid in (helpers.starter_pid, helpers.manager_pid):
                which = "starter" if pid == helpers.starter_pid else "delivery manager"
                self.process.log.panic(f"the {which} ended unexpectedly (exit code {child.exit_code(status)}): "
                                       "starting it again")
                self._restart_helpers()

    def _restart_helpers(self) -> None:
        """Start starter and manager anew, and the idle children, which hold the old job socket."""
        self._drop_helpers(self.helpers)
        self.helpers = None
        self.clock.sleep(0.2)
        try:
            self._start_helpers()
        except OSError as e:
            self.process.log.panic(f"cannot start the delivery processes: {e.strerror}; trying again")
            self.helpers_due = self.clock.monotonic() + 5.0
            return
        self.helpers_due = 0.0
        self.front.renew(self.process, listening=bool(self.listening))

    @staticmethod
    def _drop_helpers(helpers: Helpers | None) -> None:
        """Let go of a starter and manager: they end when nobody else needs them."""
        if helpers is not None:
            helpers.jobs.close()
            helpers.connector.close()

    # -- commands and queue runs

    def _fork_apart(self, job: Callable[[], int]) -> int:
        """Fork a process that has nothing to do with the rest of the daemon."""
        def apart() -> int:
            self._close_in_child()
            return job()

        return self._fork(apart)

    def _serve_caller(self, sock: socket.socket) -> int:
        """Serve a command, in a child."""
        processinfo.show("command")
        process, times = self.process, self.file_times

        def current(files: list[str]) -> bool:
            mine = absolute_files(process.command.config_files or "")
            return ":".join(files) == mine and _file_times(process.config.files) == times

        return command.serve(sock, lambda argv: self.run_command(argv, process.config), current)

    def _serve_commands(self, now: float, *, asked: bool) -> None:
        """Have a caller served, if one has asked, and be ready for the next one."""
        try:
            if asked:
                self.desk.take(now)
            self.desk.keep_up(now)
        except OSError as e:
            self.process.log.main(f"fork failed for a command: {e.strerror}")

    def _run_queues(self, now: float) -> None:
        running = sum(len(t.runners) for t in self.timers)
        limit = self._queue_run_max()
        for one in self.timers:
            if not one.take(now, running, limit):
                continue
            process, options = self.process, one.options
            connector = self.helpers.connector if self.helpers else None

            def job(process: Process = process, options: QueueRunOptions = options,
                    connector: Connector | None = connector) -> int:
                self._close_in_child(keep=connector)
                become_exim(process)
                processinfo.show("queue runner")
                return run_one(process, options, connector)

            try:
                one.runners.add(self._fork(job))
                running += 1
            except OSError as e:
                self.process.log.main(f"fork of queue-runner process failed: {e.strerror}")

    def _queue_run_max(self) -> int:
        value = self.process.config.main.queue_run_max
        if isinstance(value, int):
            return value
        try:
            return int(expand(value, Scope(self.process.config, self.process.services)))
        except (ExpansionError, ValueError):
            self.process.log.panic(f'queue_run_max does not expand to a number: "{value}"')
            return 1

    # -- reload and end

    def _reload(self) -> None:
        """SIGHUP: read the configuration again; sessions go on with the old one, new ones get the new.

        With a wrong configuration the daemon goes on as it is and says so.
        """
        pid = os.getpid()
        self.process.log.main(f"pid {pid}: SIGHUP received: re-exec daemon")
        try:
            self.process = start(self.process.command)
            set_time_zone(self.process)
            self.open_listeners()
        except (ConfigError, UsageError) as e:
            self.process.log.panic(f"the new configuration is not used: {str(e).replace(chr(10), ' ')}")
            return
        for key in [k for k in self.selector.get_map().values() if isinstance(k.data, Listening)]:
            self.selector.unregister(key.fd)
        for item in self.listening:
            self.selector.register(item.sock, selectors.EVENT_READ, item)
        self.file_times = _file_times(self.process.config.files)
        gone = self.helpers
        self._start_helpers()
        self._drop_helpers(gone)
        self.front.renew(self.process, listening=bool(self.listening))
        self.desk.send_home()
        self._announce()

    def _shut_down(self) -> None:
        """SIGTERM: no more connections; sessions and deliveries in progress end by themselves."""
        self.front.end()
        for item in self.listening:
            item.sock.close()
        self.desk.close()
        if self.pid_path:
            pidfile.remove(self.pid_path, os.getpid())


def _file_times(files: list[str]) -> list[tuple[str, int, int]]:
    """Return what tells a changed configuration file: (name, mtime, size) of each."""
    out = []
    for name in files:
        try:
            st = os.stat(name)
            out.append((name, st.st_mtime_ns, st.st_size))
        except OSError:
            out.append((name, 0, 0))
    return out


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system lets us: each child and each parked session needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_daemon(process: Process, run_command: Callable[[list[str], Configuration], int]) -> int:
    """-bd and -q<time>: become the daemon; the exit code of what the caller sees."""
    if process.config.main.mua_wrapper:
        text = "Daemon cannot be run when mua_wrapper is set"
        process.log.panic(text)
        os.write(2, f"{text}\n".encode("ascii"))
        return 1
    master = Master(process, run_command)
    try:
        master.open_listeners()
    except ConfigError as e:
        process.log.panic(e.text)
        os.write(2, f"{process.log.time_stamp()} {e.text}\n".encode("latin-1", "replace"))
        return 1
    c: Command = process.command
    if not (c.foreground or c.debug is not None or c.verbose):
        process.log.close()  # detaching would close its files unseen
        _detach(master.descriptors())
    elif c.inherit_socket and c.debug is None and not c.verbose:
        _let_go_of_standard_streams()
    try:
        return master.run()
    except Exception:  # noqa: BLE001 - nobody sees a detached process's standard error
        process.log.crash(traceback.format_exc())
        return child.EX_SOFTWARE


def _let_go_of_standard_streams() -> None:
    """With -bw descriptor 0 is the listening socket, which children must not keep."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _detach(keep: list[int]) -> None:
    """Leave the terminal and the caller behind."""
    import daemon  # only for this; the foreground does without

    daemon.DaemonContext(files_preserve=keep, umask=0o022, working_directory="/", prevent_core=False,
                         detach_process=True, signal_map={}).open()
