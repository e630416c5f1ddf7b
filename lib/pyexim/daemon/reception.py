"""A reception child: serves the sessions that the master hands it, each whenever its client has spoken.

Runs as the exim user.  Several sessions share a process because a warm one costs a third of a cold one, and
an idle session then costs kilobytes.  No session may hold up the others for long, so a child divides itself
where it has to wait for something (docs/decisions/001-sessions.md):

* A piece of work that does not come to its end within STUCK (a callout, ``delay``, a slow lookup) keeps this
  process for itself: all other sessions go on in a process forked from it, and the master is told to send no
  more until the work is done.
* When several sessions each made the others wait a little (for the disk, or a name server), half of them move.

The protocol with the master is in docs/processes.md.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final

from pyexim import child, fdpass, processinfo
from pyexim.base.clock import Clock
from pyexim.model.connection import Connection
from pyexim.receive.api import ReceiveRun, SocketSession, open_session

MAX_SESSIONS: Final = 10_000
"""Sessions after which a child is replaced, so that nothing it may leak can grow."""
STUCK: Final = 0.25
"""Seconds after which a piece of work must not hold up other sessions any longer."""
SLOW_TURN: Final = 0.03
"""Seconds of waiting in one turn with several sessions after which they are divided."""
ENDLESS: Final = 1e9
"""Seconds that stand for a time limit that is not set."""
LONGEST_WAIT: Final = 3600.0
"""Seconds of one wait: the system takes no more than some weeks."""

Services = Callable[[], ReceiveRun]


class Served:
    """A session, the number by which the master knows it, and until when its client has to speak."""

    __slots__ = ("deadline", "number", "peer", "session")

    def __init__(self, number: int, peer: str, session: SocketSession) -> None:
        self.number = number
        self.peer = peer
        self.session = session
        self.deadline = 0.0


class Reception:
    """The sessions of one child, from the first to the last.

    ``make_run`` makes what a process needs to receive messages; a process that is forked off makes its own.
    ``passing``: this process takes no new sessions, and ends with its last one.
    """

    def __init__(self, control: socket.socket, make_run: Services, *, passing: bool = False,
                 report: Callable[[str], None] | None = None) -> None:
        self._control = control
        self._make_run = make_run
        self._report = report
        self._run = make_run()
        self._clock: Clock = self._run.services.clock
        self._poll = select.epoll()
        self._poll.register(control.fileno(), select.EPOLLIN)
        self._sessions: dict[int, Served] = {}
        """By descriptor."""
        self._fresh: list[Served] = []
        """Not begun yet."""
        self._check_at = ENDLESS
        """When the next session may have been silent for too long."""
        self._leaving = passing
        self._taken = 0
        self._at_work: Served | None = None
        self._work_began = 0.0
        self._held = False
        """The master knows that this process is kept by one session."""
        self._dividing = False
        self._ticking = False
        self._children = 0
        self._cost = _cpu_and_queue()
        self._shown = 0

    # -- the loop

    def serve(self) -> int:
        """Serve until the master has closed the control socket and the last session is over; the exit code."""
        signal.signal(signal.SIGALRM, self._on_tick)
        while True:
            if self._leaving and not self._sessions and not self._fresh:
                return 0
            self._set_ticking(bool(self._sessions))
            self._show()
            ready = self._poll.poll(self._patience())
            self._turn([fd for fd, _ in ready])
            if self._children:
                self._children = max(0, self._children - len(child.reap()))

    def _turn(self, ready: list[int]) -> None:
        """Serve all who have something to say, once each."""
        began = self._clock.monotonic()
        control = self._control.fileno()
        if control in ready and not self._take():
            self._leaving = True
            self._poll.unregister(control)
        served = 0
        while self._fresh:
            self._work(self._fresh.pop(0))
            served += 1
        for fd in ready:
            if (one := self._sessions.get(fd)) is not None:
                self._work(one)
                served += 1
        now = self._clock.monotonic()
        if now >= self._check_at:
            self._look_for_silence(now)
        if now - began > SLOW_TURN and served > 1 and len(self._sessions) > 1:
            self._divide(now - began)

    def _show(self) -> None:
        """Say in the process title what this process does, where that has changed."""
        count = len(self._sessions) + len(self._fresh)
        if count == self._shown:
            return
        self._shown = count
        if count == 1:
            (one,) = [*self._sessions.values(), *self._fresh]
            processinfo.show(f"reception: handling incoming call from [{one.peer}]")
        else:
            processinfo.show(f"reception: handling {count} incoming calls" if count else "reception (idle)")

    def _patience(self) -> float:
        if self._fresh:
            return 0.0
        if self._children:
            return 5.0
        if not self._sessions:
            return -1.0
        return min(LONGEST_WAIT, max(0.0, self._check_at - self._clock.monotonic()))

    def _take(self) -> bool:
        """Take a session from the master; False at the end of the control socket."""
        try:
            got = fdpass.receive(self._control)
        except ConnectionResetError:
            return False  # the master has ended without reading all that we told it
        except (OSError, fdpass.PassError) as e:
            self._run.services.log.panic(f"reception child: {e}")
            return False
        if got is None:
            return False
        record, fds = got
        if record["type"] != "session" or len(fds) != 1:
            for fd in fds:
                os.close(fd)
            self._run.services.log.panic(f"reception child: unexpected record {record['type']}")
            return False
        self._taken += 1
        if self._taken == MAX_SESSIONS:
            self._tell({"type": "enough"})
        run = self._run
        session = open_session(fds[0], connection_of(record, run), run)
        self._fresh.append(Served(int(record["number"]), str(record["peer"][0]), session))
        self._set_ticking(True)
        self._show()
        return True

    def _work(self, one: Served) -> None:
        """Do what a session has to do now."""
        session = one.session
        self._at_work = one
        self._work_began = self._clock.monotonic()
        going = session.go_on()
        self._at_work = None
        if self._held:
            self._held = False
            self._tell({"type": "free"})
        if not going:
            self._end(one)
            return
        one.deadline = self._clock.monotonic() + (session.patience or ENDLESS)
        if one.deadline < self._check_at:
            self._check_at = one.deadline
        if session.fd not in self._sessions:
            self._sessions[session.fd] = one
            self._poll.register(session.fd, select.EPOLLIN)

    def _end(self, one: Served) -> None:
        self._forget(one)
        one.session.close()
        self._tell({"type": "ended", "number": one.number})

    def _forget(self, one: Served) -> None:
        """Take a session out; always before its descriptor is closed, of which another process may have a copy."""
        if self._sessions.pop(one.session.fd, None) is not None:
            self._poll.unregister(one.session.fd)

    def _tell(self, record: fdpass.Record, fds: Iterable[int] = ()) -> None:
        """Tell the master; where it is gone, the sessions are served to their end all the same."""
        try:
            fdpass.send(self._control, record, list(fds))
        except OSError:
            self._leaving = True

    def _look_for_silence(self, now: float) -> None:
        for one in [x for x in self._sessions.values() if x.deadline <= now]:
            one.session.give_up()
            self._end(one)
        self._check_at = min((x.deadline for x in self._sessions.values()), default=ENDLESS)

    # -- more than one process

    def _set_ticking(self, wanted: bool) -> None:
        """Look at the work from time to time as long as there are sessions."""
        if wanted != self._ticking:
            self._ticking = wanted
            signal.setitimer(signal.ITIMER_REAL, STUCK if wanted else 0, STUCK if wanted else 0)

    def _on_tick(self, _signal: int, _frame: FrameType | None) -> None:
        """Called by the timer, in the middle of a piece of work: is it stuck?

        The work itself notices nothing: system calls that were interrupted go on.
        """
        one = self._at_work
        if one is None or self._dividing or self._clock.monotonic() - self._work_began < STUCK * 0.8:
            return
        if not self._held:
            self._held = True
            self._tell({"type": "held"})
        while select.select([self._control], [], [], 0)[0] and not self._leaving and self._take():
            pass
        others = [x for x in self._sessions.values() if x is not one]
        if others or self._fresh:
            self._move(others, passing=True)

    def _divide(self, seconds: float) -> None:
        """Give half of the sessions to a new process, if they were waiting and not just working."""
        used, before = _cpu_and_queue(), self._cost
        self._cost = used
        if seconds - (used - before) > SLOW_TURN:
            self._move(list(self._sessions.values())[::2], passing=False)

    def _move(self, leaving: list[Served], *, passing: bool) -> None:
        """Fork a process that goes on with some sessions, and with those not begun; they are not ours any more."""
        try:
            mine, theirs = fdpass.pair()
        except OSError:
            return  # as where no process can be forked
        self._dividing = True
        fresh = self._fresh

        def job() -> int:
            mine.close()
            return self._go_on_elsewhere(theirs, leaving, fresh, passing)

        try:
            pid = child.fork(job, on_error=self._report)
        except OSError:
            pid = 0  # they have to wait; the next tick tries again
        theirs.close()
        if pid:
            self._children += 1
            self._tell({"type": "divided", "pid": pid, "passing": passing,
                        "numbers": [x.number for x in leaving + fresh]}, [mine.fileno()])
            for one in leaving:
                self._forget(one)
            for one in leaving + fresh:
                one.session.left_to_another()
            self._fresh = []
        mine.close()
        self._dividing = False

    def _go_on_elsewhere(self, control: socket.socket, mine: list[Served], fresh: list[Served], passing: bool) -> int:
        """Be the new process: nothing of what the old one is at may be touched here."""
        self._control.close()
        self._poll.close()
        for one in self._sessions.values():
            if one not in mine:
                one.session.left_to_another()
        if self._at_work is not None and self._at_work.session.fd not in self._sessions:
            self._at_work.session.left_to_another()
        new = Reception(control, self._make_run, passing=passing, report=self._report)
        # The sessions know the old process's run: its message ids must become those of this one.
        self._run.ids = new._run.ids
        new._run = self._run
        for one in mine:
            one.session.taken_over()
            new.adopt(one)
        new._fresh = fresh
        return new.serve()

    def adopt(self, one: Served) -> None:
        """Go on with a session that another process began."""
        self._sessions[one.session.fd] = one
        self._poll.register(one.session.fd, select.EPOLLIN)
        self._check_at = min(self._check_at, one.deadline)


def serve(control: socket.socket, make_run: Services, report: Callable[[str], None] | None = None) -> int:
    """Be a reception child; the exit code.  ``report`` is told of a crash of a process that is forked off."""
    try:
        reception = Reception(control, make_run, report=report)
    except OSError as e:  # no descriptor is left: the master sees this process end, and makes another when it needs one
        make_run().services.log.panic(f"reception process could not begin: {e.strerror}")
        return os.EX_OSERR
    return reception.serve()


def connection_of(record: fdpass.Record, run: ReceiveRun) -> Connection:
    """Return the facts of the connection that the master admitted."""
    peer, local = record["peer"], record["local"]
    return Connection(
        kind="tcp", sender_host_address=peer[0], sender_host_port=peer[1], interface_address=local[0],
        interface_port=local[1], smtp_count_at_connection_start=record["count"],
        only_queue=record["only_queue"], started=run.services.clock.time(), submitter_trusted=False)


def _cpu_and_queue() -> float:
    """Return the seconds that this process has computed or waited for a processor; the former where that is unknown."""
    try:
        with open("/proc/self/schedstat", "rb") as f:
            computed, waited = f.read().split()[:2]
    except (OSError, ValueError):
        return sum(os.times()[:2])
    return (int(computed) + int(waited)) * 1e-9
