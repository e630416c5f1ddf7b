"""Garbage in the hints and in the files of the spool: what can be delivered is, the rest stays, nothing hangs."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from disturb import copies, message
from live import PROGRAM, Live, mail_user, wait_until

from compare import Sink

CHANCE = random.Random(4)
NOISE = CHANCE.randbytes(5000)


def queue(live: Live, recipients: list[str]) -> list[str]:
    """Put a message for each recipient on the queue; their ids, in this order."""
    batch = "".join(f"MAIL FROM:<bob@test.example>\nRCPT TO:<{r}>\nDATA\n{message(n)}.\n"
                    for n, r in enumerate(recipients))
    done = live.run("-odq", "-bS", stdin=batch)
    assert done.returncode == 0, done
    return re.findall(r"(\S+) <= bob@test\.example", live.log())


def no_crash(live: Live) -> None:
    """Nothing unexpected has happened."""
    panic = live.log("paniclog")
    assert "Traceback" not in panic and "unexpected error" not in panic and "Traceback" not in live.log(), panic


# -- hints

def overwritten(db: Path) -> None:
    """Noise in the middle of each file."""
    for path in db.glob("*.sqlite"):
        data = path.read_bytes()
        path.write_bytes(data[:1000] + NOISE + data[6000:])


def truncated(db: Path) -> None:
    """Half of each file."""
    for path in db.glob("*.sqlite"):
        os.truncate(path, path.stat().st_size // 2 + 7)


def directories(db: Path) -> None:
    """A directory in the place of each file."""
    for path in db.iterdir():
        path.unlink()
        path.mkdir()


def no_directory(db: Path) -> None:
    """A file in the place of the directory."""
    shutil.rmtree(db)
    db.write_bytes(NOISE)


def nonsense(db: Path) -> None:
    """Records that say nothing that makes sense."""
    for path in db.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as c, c:
            for table, column in (("hints", "value"), ("hints", "written"), ("waiting", "message_id")):
                with contextlib.suppress(sqlite3.OperationalError):
                    c.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", ("../../etc/passwd nan inf \xff\n",))


def forbidden(db: Path) -> None:
    """Files of somebody else."""
    for path in [*db.iterdir(), db]:
        path.chmod(0)
        if os.geteuid() == 0:
            os.chown(path, 0, 0)


@pytest.mark.parametrize("damage", [overwritten, truncated, directories, no_directory, nonsense, forbidden],
                         ids=lambda d: d.__name__)
def test_hints_stop_no_delivery(damage: Callable[[Path], None]) -> None:
    sink = Sink("MAIL -> 451 later")
    with Live(sink=sink.port) as live:
        queue(live, ["u0@far.example", "u1@far.example", "alice@test.example"])
        live.run("-q")
        assert len(live.queue()) == 2
        damage(live.top / "spool" / "db")
        sink.rules.clear()
        assert live.run("-qff").returncode == 0
        wait_until(lambda: live.queue() == [], "an empty queue")
        told = "\n".join(sink.record())
        assert copies(told, 0) == copies(told, 1) == copies(live.mail("alice"), 2) == (1, 1)
        no_crash(live)


@contextlib.contextmanager
def locked(db: Path) -> Iterator[None]:
    """Hold an exclusive lock on every file, meanwhile."""
    connections = [sqlite3.connect(p, isolation_level=None) for p in db.glob("*.sqlite")]
    try:
        for one in connections:
            one.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        for one in connections:
            one.close()


def test_locked_hints_stop_no_delivery() -> None:
    sink = Sink("MAIL -> 451 later")
    with Live(sink=sink.port) as live:
        queue(live, ["u0@far.example"])
        live.run("-q")
        sink.rules.clear()
        with locked(live.top / "spool" / "db"):
            assert live.run("-qff").returncode == 0
            wait_until(lambda: live.queue() == [], "an empty queue")
        no_crash(live)


# -- the spool

def damage_files(files: dict[str, Path]) -> dict[str, bool]:
    """Do something to the files of each message; whether it can still be delivered."""
    ids = list(files)
    path = files

    def of(n: int, suffix: str) -> Path:
        return path[ids[n]].with_name(ids[n] + suffix)

    of(0, "-J").write_bytes(NOISE)
    of(1, "-J").write_bytes(b"nobody@test.example\n" * 5000 + b"alice@te")
    of(2, "-J").mkdir()
    of(3, "-D").write_bytes(NOISE)
    os.truncate(of(4, "-D"), 0)
    of(5, "-H").write_bytes(NOISE)
    os.truncate(of(6, "-H"), 60)
    for n, kind in ((7, NOISE), (8, None)):
        log = path[ids[n]].parent.parent / "msglog" / ids[n]
        log.unlink()
        if kind is None:
            log.mkdir()
        else:
            log.write_bytes(kind)
    of(9, "-D").unlink()
    return {name: n in (0, 1, 7, 8, 10) for n, name in enumerate(ids)}


def test_garbage_in_the_files_of_messages() -> None:
    with Live() as live:
        ids = queue(live, ["alice@test.example"] * 11)
        fates = damage_files({name: live.top / "spool" / "input" / f"{name}-H" for name in ids})
        for path in (live.top / "spool").rglob("*"):
            if os.geteuid() == 0:
                shutil.chown(path, live.user)
        for arguments in (["-q"], ["-bp"], ["-bpc"], ["-M", *ids], ["-qff"], ["-bpa"]):
            done = live.run(*arguments)
            assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done
        for n, (name, fate) in enumerate(fates.items()):
            assert copies(live.mail("alice"), n) == ((1, 1) if fate else (0, 0)), (n, name, live.log())
            assert (name in live.queue()) == (not fate), (n, name, live.log())
        no_crash(live)


def test_a_process_that_stands_still_holds_its_message_only() -> None:
    """A delivery that stands still keeps its message; queue runs pass it by, and a crash frees it."""
    pipe = f"slow:\n  driver = pipe\n  command = /bin/sleep 60\n  user = {mail_user()}\n"
    router = "slow:\n  driver = accept\n  local_parts = slow\n  transport = slow\n"
    with Live(routers=router, transports=pipe) as live:
        held, _ = queue(live, ["slow@test.example", "alice@test.example"])
        running = subprocess.Popen([PROGRAM, "-C", str(live.conf), "-M", held], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        family: list[psutil.Process] = []

        def begun() -> bool:
            family[:] = psutil.Process(running.pid).children(recursive=True)
            return any("sleep" in p.name() for p in family)
        wait_until(begun, "the command")
        try:
            family.append(psutil.Process(running.pid))
            for one in family:
                one.send_signal(signal.SIGSTOP)
            assert live.run("-q").returncode == 0
            assert copies(live.mail("alice"), 1) == (1, 1) and live.queue() == [held]
            assert "is locked (another process" in live.run("-v", "-M", held).stderr
        finally:
            for one in family:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            running.wait()
        live.configure(transports=pipe.replace("/bin/sleep 60", "/bin/true"))
        wait_until(lambda: live.run("-M", held).returncode == 0 and live.queue() == [], "the delivery after the crash")
        no_crash(live)
