"""Processes are killed and calls fail at points of reception and delivery: nothing is lost, halved or sent too often.

Each scenario runs once undisturbed, to count the calls that change the spool, mailboxes, logs and hints and those that
send to other processes; then it runs again for some of them, drawn with a fixed seed.  After each run everything is
stopped and started afresh, and the queue is run once.  STRESS_POINTS=n draws n points of each fault instead of
the few that are drawn by default.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from disturb import FAULTS, KILL, KILL_ALL, NONE, Faults, copies, mailbox, message, missing
from live import PROGRAM, Client, Live, mail_user, wait_until

from compare import Sink

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

POINTS = int(os.environ.get("STRESS_POINTS", "0"))
TRANSPORTS = """
maildir:
  driver = appendfile
  directory = @TOP@/mail/$local_part_data
  maildir_format
  user = OWNER
""".replace("OWNER", mail_user())
ROUTERS = """
refused:
  driver = redirect
  domains = test.example
  local_parts = nobody
  data = :fail: nobody is here
  allow_fail
into_maildir:
  driver = accept
  domains = test.example
  local_parts = mary : mike
  transport = maildir
"""

Copy = tuple[int, str]
"""The number of a message, and a recipient."""


@dataclass
class Lab:
    """One installation, and what was promised in it."""

    live: Live
    faults: Faults
    sink: Sink
    promised: set[Copy] = field(default_factory=set)
    """Who must get what, as far as somebody was told so."""
    untaken: set[Copy] = field(default_factory=set)
    """What may arrive, although nobody was told so."""

    def daemon_runs(self) -> bool:
        """Tell whether the daemon's first process is there."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return (self.live.master is not None and self.live.master.status() != psutil.STATUS_ZOMBIE
                    and not (self.faults.fault in (KILL, KILL_ALL) and self.faults.fired == self.live.master.pid))
        return False

    def settle(self) -> None:
        """Wait until nothing happens any more; what a command, or a daemon that is gone, has begun comes to an end."""
        before = -1
        while before != (before := self.faults.counted[0]):
            time.sleep(0.25)
        if not self.daemon_runs():
            wait_until(lambda: not self.faults.alive(), f"the end of all processes after {self.faults.what}")

    def queue(self, *messages: tuple[int, str, list[str]]) -> None:
        """Put messages (number, sender, recipients) on the queue, undisturbed."""
        done = self.live.run("-odq", "-bS", stdin=batch(messages), name=PROGRAM)
        assert done.returncode == 0, done
        self.promised |= {(n, r) for n, _, to in messages for r in to}

    def copies(self, number: int, recipient: str) -> tuple[int, int]:
        """Return how many whole copies somebody has, and how many beginnings."""
        user, _, domain = recipient.partition("@")
        if domain != "test.example":
            whole, begun = copies("\n".join(s for s in self.sink.record() if f"RCPT TO:<{recipient}>" in s), number)
            return whole, begun
        return copies(mailbox(self.live.top / "mail" / user), number)


def batch(messages: tuple[tuple[int, str, list[str]], ...], eol: str = "\n") -> str:
    """Return batched SMTP for some messages."""
    out = []
    for number, sender, to in messages:
        out += [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in to), "DATA", message(number) + "."]
    return "\n".join([*out, ""]).replace("\n", eol)


@dataclass(frozen=True)
class Scenario:
    """What is done, and what may come of it."""

    act: Callable[[Lab], None]
    prepare: Callable[[Lab], None] = lambda lab: None
    below: str = ""
    """Where files change: below this part of the installation only."""
    doubles: tuple[str, ...] = ()
    """Faults after which one delivery may be repeated: it was done, and what did it could not write that down."""
    faults: tuple[str, ...] = ("kill", "killall", "enospc", "full", "eio")
    points: int = 2
    main: str = ""
    smtp: str = ""


# -- reception

def session_of(lab: Lab, first: int, count: int) -> None:
    """Send messages down one connection, and note what was promised; whatever breaks ends it."""
    with contextlib.suppress(OSError), Client(lab.live.port) as c:
        c.sock.settimeout(15)
        if not c.reply().startswith("220") or not c.say("EHLO client.example").startswith("250"):
            return
        for number in range(first, first + count):
            to = ["mike@test.example", "mary@test.example"]
            lab.untaken |= {(number, r) for r in to}
            for line in ("MAIL FROM:<x@far.example>", *(f"RCPT TO:<{r}>" for r in to)):
                if not c.say(line).startswith("250"):
                    return
            if c.say("DATA").startswith("354") and c.say(
                    message(number).replace("\n", "\r\n") + ".").startswith("250"):
                lab.promised |= {(number, r) for r in to}
            else:
                return


def sessions(lab: Lab) -> None:
    """Several clients talk to the daemon at the same time, each sends two messages."""
    threads = [threading.Thread(target=session_of, args=(lab, n * 2, 2)) for n in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
        assert not one.is_alive(), "a session hangs"
    if lab.faults.fired and lab.faults.fault != KILL_ALL and lab.daemon_runs():
        lab.faults.disarm()
        session_of(lab, 90, 1)
        assert (90, "mary@test.example") in lab.promised, f"the daemon serves no more after {lab.faults.what}"


def start_daemon(lab: Lab) -> None:
    """Start the daemon, disturbed only later; one session has been served, so that processes are there."""
    lab.faults.disarm()
    lab.live.start("-q1h")
    lab.live.wait_log("End queue run")
    session_of(lab, 80, 1)


def command(lab: Lab, arguments: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program that is disturbed."""
    return lab.live.run(*arguments, stdin=stdin)


def interactive(lab: Lab) -> None:
    """-bs with two messages."""
    two = ((1, "x@far.example", ["alice@test.example", "mary@test.example"]),
           (2, "x@far.example", ["bob@test.example"]))
    lab.untaken |= {(n, r) for n, _, to in two for r in to}
    done = command(lab, ["-odq", "-bs"], "HELO x\n" + batch(two) + "QUIT\n")
    lines = done.stdout.splitlines()
    answers = [after for line, after in itertools.pairwise(lines) if line.startswith("354")]
    for (number, _, to), answer in zip(two, answers, strict=False):
        if answer.startswith("250 OK id="):
            lab.promised |= {(number, r) for r in to}


def submission(lab: Lab) -> None:
    """A command takes a message and delivers it."""
    to = ["alice@test.example", "mary@test.example"]
    lab.untaken |= {(1, r) for r in to}
    done = command(lab, ["-odi", "-oem", "-f", "bob@test.example", *to], message(1))
    if done.returncode == 0:
        lab.promised |= {(1, r) for r in to}


# -- delivery

def deliver(lab: Lab) -> None:
    """Deliver what is on the queue, message by message."""
    for name in lab.live.queue():
        command(lab, ["-M", name], "")


def run_queue(lab: Lab) -> None:
    """One queue run."""
    command(lab, ["-q"], "")


def run_queues(lab: Lab) -> None:
    """Three queue runs at the same time."""
    threads = [threading.Thread(target=run_queue, args=(lab,)) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def in_boxes(*people: str) -> Callable[[Lab], None]:
    """Queue a message for some people."""
    return lambda lab: lab.queue((1, "x@far.example", [f"{p}@test.example" for p in people]))


def for_hosts(count: int) -> Callable[[Lab], None]:
    """Queue messages for another host."""
    return lambda lab: lab.queue(*((n, "x@test.example", [f"u{n}@far.example"]) for n in range(count)))


def for_both(lab: Lab) -> None:
    """Queue messages, each for a mailbox and a host."""
    lab.queue(*((n, "x@test.example", ["mary@test.example", f"u{n}@far.example"]) for n in range(4)))


def to_be_bounced(lab: Lab) -> None:
    """Queue a message that will come back."""
    lab.queue((1, "bob@test.example", ["nobody@test.example", "mary@test.example"]))


def refusing(lab: Lab) -> None:
    """Queue messages for a host that takes none of them: retry records and waiting messages."""
    for_hosts(3)(lab)
    lab.sink.rules.append(("MAIL", "451 later"))


SCENARIOS = {
    "daemon": Scenario(sessions, start_daemon, main="queue_only"),
    "daemon-deliver": Scenario(sessions, start_daemon, doubles=("kill", "killall")),
    "bs": Scenario(interactive),
    "bm": Scenario(submission, doubles=("kill", "killall")),
    "maildir": Scenario(deliver, in_boxes("mary", "mike"), doubles=("kill", "killall")),
    "mbox": Scenario(deliver, in_boxes("alice", "bob"), doubles=("kill", "killall")),
    "smtp": Scenario(run_queue, for_hosts(4), doubles=("kill", "killall", "full")),
    "bounce": Scenario(deliver, to_be_bounced, doubles=("kill", "killall")),
    "runners": Scenario(run_queues, for_both, doubles=("kill", "killall", "full")),
    "hints": Scenario(run_queue, refusing, below="spool/db", faults=("kill", "enospc", "full", "eio")),
}


@contextlib.contextmanager
def make_lab(scenario: Scenario, faults: Faults) -> Iterator[Lab]:
    """Make an installation with what the scenario needs."""
    sink = Sink()
    with Live(main=scenario.main, sink=sink.port, routers=ROUTERS, transports=TRANSPORTS, smtp=scenario.smtp,
              program=faults.program) as live:
        lab = Lab(live, faults, sink)
        try:
            scenario.prepare(lab)
            yield lab
        finally:
            faults.disarm()
            faults.kill()
            sink.server.close()


def perform(scenario: Scenario, faults: Faults, fault: str, point: int) -> tuple[int, int]:
    """Run a scenario with one fault and look at what came of it; how many calls there were, how many changed files."""
    kind, error = FAULTS.get(fault, (NONE, 0))
    with make_lab(scenario, faults) as lab:
        faults.arm(kind, point, below=lab.live.top / scenario.below, error=error)
        scenario.act(lab)
        faults.disarm()
        counted = faults.counted
        lab.settle()
        lab.live.kill()
        faults.kill()
        lab.sink.rules.clear()
        again(lab)
        problems = look(lab, scenario, fault)
        if problems:
            spool = [str(p) for p in (lab.live.top / "spool").rglob("*") if p.is_file()]
            pytest.fail(f"{fault} at {point} ({faults.what}): {problems}\n{lab.live.log()}\n{lab.live.log('paniclog')}"
                        f"\n{spool}", pytrace=False)
    return counted


def again(lab: Lab) -> None:
    """The queue run after the restart, undisturbed; bounces that it makes are delivered in the background."""
    for path in (lab.live.top / "spool").glob("*/*"):
        # Who made it may not have been waited for, and may look alive therefore: what is old is an orphan all the same.
        os.utime(path, (time.time() - 3600,) * 2)
    done = lab.live.run("-qff", name=PROGRAM)
    assert done.returncode == 0, done
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not lab.live.queue(), "an empty queue", 5)
    if lab.live.queue():
        lab.live.run("-qff", name=PROGRAM)


def look(lab: Lab, scenario: Scenario, fault: str) -> list[str]:
    """Return what is wrong."""
    problems = [f"{name} is still on the queue" for name in lab.live.queue()]
    bounced = mailbox(lab.live.top / "mail" / "bob")
    more = 0
    for number, recipient in sorted(lab.promised | lab.untaken):
        whole, begun = lab.copies(number, recipient)
        if recipient.startswith("nobody"):
            whole = begun = bounced.count("nobody is here")
        if whole == 0 and (number, recipient) in lab.promised:
            problems.append(f"message {number} for {recipient} is lost")
        if begun > whole:
            problems.append(f"message {number} for {recipient} is there by halves")
        more += max(0, whole - 1)
    if more > (fault in scenario.doubles):
        problems.append(f"{more} copies too many")
    for kind in ("input", "msglog"):
        problems += [f"{p} is left" for p in (lab.live.top / "spool" / kind).rglob("*") if p.is_file()]
    panic = lab.live.log("paniclog")
    if "Traceback" in panic or "unexpected error" in panic:
        problems.append("an error of the program")
    return problems


def draw(name: str, fault: str, count: int, calls: int) -> list[int]:
    """Return the numbers of some calls, spread over all of them; the same ones each time."""
    chance = random.Random(f"{name} {fault}")
    count = min(count, calls)
    return sorted({1 + int((n + chance.random()) * calls / count) for n in range(count)})


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    with Faults(tmp_path) as faults:
        calls, files = perform(scenario, faults, "none", 0)
        assert files > 3, "too few calls: is the library loaded?"
        for fault in scenario.faults:
            total = calls if FAULTS[fault][0] in (KILL, KILL_ALL) else files
            for point in draw(name, fault, POINTS or scenario.points, total):
                perform(scenario, faults, fault, point)
