"""The launcher (src/launcher.c) says to the daemon what daemon/client.py says, and starts the interpreter otherwise.

The program under test is built with the compiler's checks for faulty memory accesses, where it has them.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import PATIENCE, PROGRAM, ROOT, Live, wait_until

from pyexim.daemon import client

sys.path.insert(0, str(ROOT / "etc"))
import build_launcher

pytestmark = pytest.mark.skipif(build_launcher.compiler() is None, reason="no C compiler")

SWITCHES = ["-C", "-Crel/../x", "-C/a//b/./c", "-C//two/x:y", "-DA=1", "-D B = two ", "-DA", "-D", "-f", "-oX", "-q",
            "-q5m", "-qff", "30m", "1abcde-000001-Ab", "-qR", "-t", "-bd", "-bp", "-d", "-MC", "-bh", "-L", "--", "-",
            "-oMr", "x=y", "/etc/passwd"]
WORD = st.sampled_from([s.encode() for s in SWITCHES]) | st.binary(max_size=12).map(lambda b: b.replace(b"\0", b""))
WORDS = st.lists(WORD, max_size=6)


@dataclass
class Bench:
    """A launcher whose interpreter only says with what it was called, and the directory of a daemon that we are."""

    top: Path

    def argv(self, arguments: list[bytes], name: bytes = b"sendmail") -> list[bytes]:
        """Return the command: as if installed under that name."""
        return [name, *arguments]

    def start(self, arguments: list[bytes], **kw: object) -> subprocess.Popen[bytes]:
        """Start the launcher."""
        return subprocess.Popen(self.argv(arguments), executable=self.top / "launcher",  # type: ignore[call-overload,no-any-return]
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def directory(self) -> Path:
        """Return where a daemon of ours has its sockets."""
        return self.top / "run" if os.geteuid() == 0 else Path(f"/tmp/.pyexim-{os.geteuid()}")

    def answer(self, arguments: list[bytes], name: str, reply: bytes, **kw: object) -> tuple[bytes, int, bytes, bytes]:
        """Start the launcher with a daemon on the socket of that name: (request, exit code, output, errors)."""
        path = self.directory() / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            try:
                listener.listen(1)
                running = self.start(arguments, **kw)
                request = b""
                assert running.stdout is not None
                ready = select.select([listener, running.stdout], [], [], PATIENCE)[0]
                if listener in ready:
                    with listener.accept()[0] as sock:
                        request, fds = socket.recv_fds(sock, client.MAX_REQUEST + 1, 4)[:2]
                        assert len(fds) == 3
                        for fd in fds:
                            os.close(fd)
                        if reply:
                            sock.send(reply)
                output, errors = running.communicate(timeout=PATIENCE)
            finally:
                path.unlink()
        return request, running.returncode, output, errors


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pyexim-launcher-") as name:
        top = Path(name)
        (top / "main.py").touch()
        (top / "python").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\nexit 9\n")
        (top / "python").chmod(0o755)
        made = Bench(top)
        (top / "run").mkdir()
        with contextlib.suppress(FileExistsError):
            made.directory().mkdir(mode=0o700)
        checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-U_FORTIFY_SOURCE")
        for flags in (checks, ()):
            try:
                build_launcher.build(top / "launcher", str(top / "python"), str(top / "main.py"), flags=flags,
                                     COMMAND_DIRECTORY=str(top / "run"))
            except subprocess.CalledProcessError:
                continue
            break
        yield made


def started(bench: Bench, arguments: list[bytes], code: int, output: bytes, errors: bytes) -> bool:
    """Tell whether the interpreter was started with these arguments; else the launcher must have refused."""
    if code == 75 and os.geteuid() != 0:
        return b"try again later" in errors and not output
    expected = [b"-I", b"-S", b"-X", b"pyexim_asked", bytes(bench.top / "main.py"), *bench.argv(arguments)]
    return (code, output.split(b"\0")[:-1], errors) == (9, expected, b"")


@settings(max_examples=120, deadline=None)
@given(arguments=WORDS)
def test_it_asks_as_the_client_in_python_does(bench: Bench, arguments: list[bytes]) -> None:
    argv = [word.decode("latin-1") for word in arguments]
    wanted = client._wanted(argv)
    if wanted is None:
        running = bench.start(arguments)
        output, errors = running.communicate(timeout=PATIENCE)
        assert started(bench, arguments, running.returncode, output, errors)
        return
    request, code, output, errors = bench.answer(arguments, client.socket_name(*wanted), b'{"type":"exit","code":77}')
    assert request == client._request(["sendmail", *argv], wanted[0])
    assert (code, output, errors) == (77, b"", b"")


def test_environment_and_directory_that_are_no_text(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    where = os.fsencode(bench.top) + b"/d\xff\xc3\xa9\""
    os.mkdir(where)
    monkeypatch.chdir(os.fsdecode(where))
    monkeypatch.setitem(os.environb, b"HOME", b'/h\xff"\\\xf0\x9f\x90\x8d')
    monkeypatch.setenv("TZ", "")
    monkeypatch.delenv("LANG", raising=False)
    wanted = client._wanted(["-C", "rel"])
    assert wanted is not None and wanted[0].encode("latin-1") == where + b"/rel"
    request = bench.answer([b"-C", b"rel"], client.socket_name(*wanted), b"x")[0]
    assert request == client._request(["sendmail", "-C", "rel"], wanted[0])


@pytest.mark.parametrize("reply", [b'{"type":"decline"}', b"x", b'{"type":"exit","code":}', b'{"type":"exit","code":1'])
def test_what_is_no_exit_code_has_it_start_the_interpreter(bench: Bench, reply: bytes) -> None:
    _, code, output, errors = bench.answer([b"-bV"], client.socket_name("", {}), reply)
    assert started(bench, [b"-bV"], code, output, errors)


def test_no_answer_is_a_temporary_failure(bench: Bench) -> None:
    assert bench.answer([b"-t"], client.socket_name("", {}), b"")[1:] == \
        (75, b"", b"pyexim: the daemon gave no answer\n")


def test_a_command_that_is_too_long_for_a_request_is_not_sent(bench: Bench) -> None:
    long = [b"-bV", *[b"a" * 100] * (client.MAX_REQUEST // 90)]
    running = bench.start(long)
    output, errors = running.communicate(timeout=PATIENCE)
    assert started(bench, long, running.returncode, output, errors)


def test_a_directory_that_is_gone(bench: Bench) -> None:
    where = bench.top / "gone"
    where.mkdir()
    script = f'cd {where} && rmdir {where} && exec {bench.top}/launcher "$@"'
    for words in (["-bV"], ["-C", "relative", "-bV"]):
        done = subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, timeout=PATIENCE)
        where.mkdir(exist_ok=True)
        assert done.returncode == 9, done


def test_no_arguments_at_all_closed_descriptors_and_a_tiny_limit(bench: Bench) -> None:
    program = str(bench.top / "launcher")
    code = ("import ctypes, os, resource, sys\n"
            "for fd in (0, 2): os.close(fd)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
            "ctypes.CDLL(None).execve(os.fsencode(sys.argv[1]), (ctypes.c_char_p * 1)(None), None)")
    done = subprocess.run([sys.executable, "-c", code, program], stdout=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 9
    assert done.stdout.split(b"\0")[:-1][-1:] in ([b"pyexim"], [b""])  # newer kernels make an empty name of none


def test_that_of_the_source_tree_is_used_and_is_only_for_it() -> None:
    launcher = build_launcher.IN_TREE
    if not launcher.exists():
        pytest.skip("make has not built it")
    done = subprocess.run([launcher], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (78, "pyexim: the launcher of a source tree is started by bin/pyexim\n")
    with Live() as live:
        live.start()
        (live.top / "mailq").symlink_to(PROGRAM)
        live.run("-odq", "alice@test.example", stdin="Subject: x\n\nhello\n")
        wait_until(live.queue, "a message on the queue")
        strace = shutil.which("strace")
        command = [str(live.top / "mailq"), "-C", str(live.conf)]
        if strace:
            command = [strace, "-f", "-e", "trace=execve", "-o", f"{live.top}/trace", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and live.queue()[0] in done.stdout, done
        if strace:
            assert "python" not in (live.top / "trace").read_text()
