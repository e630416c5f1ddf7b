"""The utilities beside the ones of Debian's exim4-base: the same input, the same output."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live import ROOT, Live, wait_until

QUEUE = """\
10m   721 16VDhm-00001b-D9 <> *** frozen ***
          root@test.example

 2h  1.5K 16VDhn-00001b-D3 <alice@Test.example>
          carol@Other.example
          dave@other.example

 0m   298 {young} <q@s> *** frozen ***
          bob@test.example
          carol@test.example

80m  2.3K 16VDhr-00001b-D6 <bob@other.example>
          bob@test.example

 4d   12M 16VDhs-00001b-D7 <x@y>
          z@a.very.long.domain.name.that.goes.on.example

"""
LOG = """\
2026-11-28 10:00:00 exim 4.99 daemon started: pid=1, -q1h
2026-11-28 10:00:01 16VDhn-00001b-D9 <= alice@test.example U=root P=local S=298
2026-11-28 10:00:02 16VDho-00001b-D4 <= bob@test.example H=foo [1.2.3.4] P=esmtp S=1298 id=x@y
2026-11-28 10:00:03 16VDhn-00001b-D9 => bob <bob@test.example> R=r T=t
2026-11-28 10:00:03 no host name found for IP address 1.2.3.4
2026-11-28 10:00:04 16VDhn-00001b-D9 ** zed@test.example: Unrouteable address
2026-11-28 10:00:04 16VDhp-00001b-D5 <= <> R=16VDhn-00001b-D9 U=Debian-exim P=local S=1200
2026-11-28 10:00:05 16VDhn-00001b-D9 Completed
2026-11-28 10:00:05 16VDhp-00001b-D5 => fred <fred@test.example> R=r T=t
2026-11-28 10:00:05 16VDhp-00001b-D5 Completed
2026-11-28 10:01:45 16VDho-00001b-D4 == carol@x.example R=r T=smtp defer (111): Connection refused
2026-11-28 10:02:45.123 +0000 [123] 16VDho-00001b-D4 => carol@x.example R=r T=smtp H=h [1.1.1.1] C="250 ok"
2026-11-28 10:02:45 16VDho-00001b-D4 Completed QT=2m45s
2026-11-28 10:02:46 16VDhq-00001b-D7 <= dan@test.example U=root P=local S=2
2026-11-28 10:02:47 SMTP connection from [1.2.3.4]
2026-11-28 10:02:48 [99] SMTP bob connection
a line without a time
"""
ALIASES = """\
# comment
Root: alice, bob
"Quoted Key" : data
 continued
x\ttab data
y
z:
  : junk
Root: again
"esc\\"aped": v
"""


def ours(name: str, *arguments: str, stdin: str = "", **kw: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "bin" / name), *arguments], input=stdin, text=True, capture_output=True,  # type: ignore[call-overload,no-any-return]
                          timeout=60, **kw)


def same(name: str, *arguments: str, stdin: str = "", **kw: object) -> None:
    """Run the real utility and ours; output and exit code must be the same."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no real {name} (Debian: exim4-base)")
    real = subprocess.run([program, *arguments], input=stdin, text=True, capture_output=True, timeout=60, **kw)  # type: ignore[call-overload]
    mine = ours(name, *arguments, stdin=stdin, **kw)
    assert (mine.stdout, mine.returncode) == (real.stdout, real.returncode), arguments


def fake_program(top: Path) -> str:
    """Make a program that prints a queue, whatever it is asked."""
    from pyexim.base.messageid import Generator

    (top / "queue").write_text(QUEUE.format(young=Generator(1234, short=True).next(time.time() - 60)))
    program = top / "fake"
    program.write_text(f"#!/bin/sh\ncat {top}/queue\n")
    program.chmod(0o755)
    return str(program)


def test_exiqgrep(tmp_path: Path) -> None:
    fake = fake_program(tmp_path)
    for line in ("-c", "-i -f alice", "-b -f ALICE", "-f ^<>", "-r bob -i", "-s K -i", "-s ^1 -b", "-y 120 -i",
                 "-o 120 -i", "-y 10 -c", "-zi", "-x -b", "-z -x", "-r carol -c", "-R -i -x", "-r other -R",
                 "-f q -r bob -i", "-r nobody -i"):
        same("exiqgrep", "-E", fake, *line.split())
    assert ours("exiqgrep", "-i").returncode == 1
    assert "-G <queue>" in ours("exiqgrep", "-h").stdout


def test_exiqsumm(tmp_path: Path) -> None:
    listing = QUEUE.format(young="16VDhq-00001b-D5")
    for line in ("", "-a", "-c", "-b", "-f", "-s", "-b -f", "-b -s"):
        same("exiqsumm", *line.split(), stdin=listing)
    same("exiqsumm")


def test_exigrep(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG)
    (tmp_path / "syslog").write_text(re.sub("(?m)^", "Nov 28 10:00:00 host exim[12]: ", LOG))
    shutil.copy(log, tmp_path / "old")
    subprocess.run(["gzip", str(tmp_path / "old")], check=True)
    for line in ("alice", "ALICE", "-I ALICE", "-M alice", "-v alice", "-t 10 test", "-t 162 carol", "-t 163 carol",
                 "zed", "-l [1.2.3.4]", "-l ..", "connection", "nothing", "16VDho", "--literal (", "Completed",
                 "-I -v bob"):
        same("exigrep", *line.split(), str(log))
    for name in ("syslog", "old.gz", "none"):
        same("exigrep", "bob", str(tmp_path / name))
    same("exigrep", "dan", stdin=LOG)
    assert ours("exigrep", "-t163", "carol", str(log)).stdout == ""
    assert ours("exigrep").returncode == 2


def test_exicyclog(tmp_path: Path) -> None:
    def cycle(program: str, top: Path, keep: str) -> list[str]:
        top.mkdir()
        for number in range(5):
            (top / "mainlog").write_text(f"{number}\n")
            if number == 2:
                (top / "rejectlog").write_text("rejected\n")
            subprocess.run([program, "-k", keep, "-l", f"{top}/%slog"], check=True, timeout=60)
        out = []
        for path in sorted(top.iterdir()):
            text = subprocess.run(["zcat", "-f", str(path)], capture_output=True, text=True, check=True).stdout
            out.append(f"{path.name} {text}")
        return out

    program = shutil.which("exicyclog")
    if program is None:
        pytest.skip("no real exicyclog (Debian: exim4-base)")
    for keep in ("3", "100"):
        assert cycle(str(ROOT / "bin" / "exicyclog"), tmp_path / f"ours{keep}", keep) == cycle(
            program, tmp_path / f"real{keep}", keep)
    assert ours("exicyclog", "-l", "syslog").returncode == 1
    assert ours("exicyclog", "-x").returncode == 1


def test_dbm_files_are_read_by_the_real_exim(tmp_path: Path) -> None:
    from pyexim.lookup.berkeley import read

    (tmp_path / "aliases").write_text(ALIASES)
    for line in ("", "-nolc", "-nozero", "-lastdup", "-noduperr", "-nolc -nozero -lastdup -nowarn"):
        same("exim_dbmbuild", *line.split(), str(tmp_path / "aliases"), "a.db", cwd=tmp_path)
        mine = read((tmp_path / "a.db").read_bytes())
        subprocess.run(["exim_dbmbuild", *line.split(), str(tmp_path / "aliases"), str(tmp_path / "r.db")], check=False,
                       capture_output=True)
        assert mine == read((tmp_path / "r.db").read_bytes())
    big = "".join(f"key{i}: value number {i}\n" for i in range(3000)) + "huge: " + "x" * 20000 + "\n"
    (tmp_path / "big").write_text(big)
    assert ours("exim_dbmbuild", str(tmp_path / "big"), str(tmp_path / "big.db")).returncode == 0
    exim = shutil.which("exim4")
    if exim is None:
        pytest.skip("no real Exim")
    os.chmod(tmp_path, 0o755)
    asked = [f"${{lookup{{{key}}}dbm{{{tmp_path}/big.db}}{{$value}}{{none}}}}" for key in ("key0", "KEY2999", "other")]
    asked.append(f"${{strlen:${{lookup{{huge}}dbm{{{tmp_path}/big.db}}}}}}")
    shown = subprocess.run([exim, "-be", *asked], capture_output=True, text=True, check=False).stdout
    assert shown.splitlines() == ["value number 0", "none", "none", "20000"]


def test_exim_lock(tmp_path: Path) -> None:
    (tmp_path / "mb").write_text("mail\n")
    for line in ("", "-lockfile", "-fcntl", "-flock", "-mbx", "-q"):
        same("exim_lock", *line.split(), "-retries", "1", "mb", "ls mb* >&2; exit 3", cwd=tmp_path)
    done = ours("exim_lock", "-q", "mb", "ls", cwd=tmp_path)
    assert done.stdout == "mb\nmb.lock\n"
    same("exim_lock", "-retries", "1", "none", "true", cwd=tmp_path)
    (tmp_path / "mb.lock").write_text("")
    same("exim_lock", "-retries", "1", "-interval", "0", "mb", "true", cwd=tmp_path)


def test_exim_checkaccess() -> None:
    acl = "deny local_parts = bad\n  message = no bad here\n  defer local_parts = later\n  accept"
    with Live(acl=acl) as live:
        def check(*arguments: str) -> str:
            return ours("exim_checkaccess", *arguments, "-C", str(live.conf)).stdout

        assert check("192.0.2.1", "good@x.example") == "Accepted\n"
        assert check("::1", "good@x.example", "-f", "a@b") == "Accepted\n"
        assert check("192.0.2.1", "bad@x.example") == "Rejected:\n  550 no bad here\n"
        assert check("192.0.2.1", "later@x.example").startswith("Rejected:\n  451 ")
        assert check("192.0.2", "x@y").startswith('** Invalid IP address "192.0.2"\nUsage: ')


def test_hints_are_shown_tidied_and_changed() -> None:
    with Live() as live:
        spool = str(live.top / "spool")
        live.run("-odf", "-oi", "far@remote.example", stdin="Subject: x\n\nhello\n")
        dump = ours("exim_dumpdb", spool, "retry").stdout
        assert re.search(r"(?m)^  T:127\.0\.0\.1:127\.0\.0\.1\S* 111 \d+ Connection refused\n"
                         r"\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d  \S+ \S+  \S+ \S+ $", dump), dump
        key = dump.split()[0]
        assert ours("exim_dumpdb", "-k", spool, "retry").stdout == f"  {key}\n"
        host, message_id = ours("exim_dumpdb", spool, "wait-out").stdout.split()
        assert (host, [message_id]) == ("127.0.0.1", live.queue())
        next_try = ours("exinext", "-C", str(live.conf), "far@remote.example").stdout
        assert re.search(r"127\.0\.0\.1:127\.0\.0\.1\S* error 111: Connection refused\n  first failed: ", next_try)
        assert ours("exinext", "-C", str(live.conf), "x.example").stdout.startswith("Transport: 127.0.0.1")
        talk = ours("exim_fixdb", spool, "retry", stdin=f"{key}\n4 300101:1000\n5 yes\nnone\nd\n").stdout
        assert "4 next try:     01-Jan-2030 10:00:00\n5 expired:      yes\n" in talk
        assert talk.endswith("> record none not found\n> not found\n> \n")
        assert ours("exim_dumpdb", spool, "retry").stdout.endswith("01-Jan-2030 10:00:00 *\n")
        assert ours("exim_tidydb", spool, "retry").stdout == (
            f"Tidying Exim hints database {spool}/db/retry\nTidying complete\n")
        live.run("-Mrm", message_id)
        assert f"deleted {host} (empty)\n" in ours("exim_tidydb", spool, "wait-out").stdout
        assert f"deleted {key} (too old)\n" in ours("exim_tidydb", "-t", "0s", spool, "retry").stdout
        assert ours("exim_dumpdb", spool, "retry").stdout == ""
        assert ours("exim_dumpdb", spool, "nothing").returncode == 1


def test_exiwhat_asks_the_processes() -> None:
    with Live() as live:
        master = live.start()
        others = list(live.processes("pyexim: "))
        done = ours("exiwhat", "-C", str(live.conf))
        assert f"{master.pid:5d} daemon(4.99): no queue runs, listening for SMTP on " in done.stdout
        assert all(p.is_running() for p in others)


def test_exim_msgdate() -> None:
    second = 1_011_000_000
    from pyexim.base.messageid import base62

    start = base62(second, 6)
    long, short = f"{start}-{base62(1234, 11)}-{base62(5, 4)}", f"{start}-{base62(99, 6)}-{base62(5, 2)}"
    assert ours("exim_msgdate", "-u", long, f"E{short}@x.example", start).stdout == f"{second}\n" * 3
    assert ours("exim_msgdate", "--utc", "--pid", long, short).stdout == (
        "2002-01-14 09:20:00Z 1234\n2002-01-14 09:20:00Z 99\n")
    env = {**os.environ, "TZ": "UTC0"}
    assert ours("exim_msgdate", short, env=env).stdout == "2002-01-14 09:20:00\n"
    assert ours("exim_msgdate", "nothing").returncode == 1


def test_waiting_for_a_lock_gives_up(tmp_path: Path) -> None:
    (tmp_path / "mb").write_text("")
    code = ("import fcntl, time; f = open('mb', 'a'); fcntl.lockf(f, fcntl.LOCK_EX); "
            "open('locked', 'w').close(); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as holder:
        try:
            wait_until((tmp_path / "locked").exists, "the lock")
            done = ours("exim_lock", "-fcntl", "-retries", "1", "mb", "true", cwd=tmp_path)
            assert done.returncode == 1 and "locking failed too many times" in done.stdout
            done = ours("exim_lock", "-fcntl", "-timeout", "1", "-retries", "1", "mb", "true", cwd=tmp_path)
            assert done.returncode == 1
        finally:
            holder.send_signal(signal.SIGKILL)
