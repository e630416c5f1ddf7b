"""A whole pyexim for tests: a private spool, a leased port, real processes; nothing is patched or masked.

    with Live(main="smtp_accept_max = 2") as live:
        live.start()                         # -bdf in the background; start("-bd") detaches
        with live.client() as c:             # an SMTP client that checks nothing by itself
            c.say("EHLO x")
        live.wait_log("Completed")

Every wait is for a condition, with one patience for all.  At the end every process that the daemon made is
gone, or the test fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(ROOT / "bin" / "pyexim")
PATIENCE = 20.0
PORTS = range(21000, 31000)
"""Below the ports that the system gives to outgoing connections."""

T = TypeVar("T")

CONF = """\
exim_path = {program}
{user}
spool_directory = {top}/spool
log_file_path = {top}/log/%slog
pid_file_path = {top}/exim.pid
primary_hostname = test.example
keep_environment =
disable_ipv6
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
check_spool_space = 0
check_spool_inodes = 0
never_users =
acl_smtp_rcpt = rcpt
{main}

begin acl
rcpt:
  {acl}

begin routers
local:
  driver = accept
  domains = test.example
  local_parts = alice : bob : carol
  transport = file
{routers}
relay:
  driver = manualroute
  domains = ! test.example
  route_list = * 127.0.0.1
  self = send
  transport = out

begin transports
file:
  driver = appendfile
  file = {top}/mail/$local_part_data
  user = {owner}
out:
  driver = smtp
  hosts = 127.0.0.1
  port = {sink}
  {smtp}
{transports}

begin retry
* * F,1h,5m
"""


def wait_until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Wait until the callable returns something true, and return that; AssertionError when it takes too long."""
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.01)
    return found


def mail_user() -> str:
    """Return the user that a daemon of the tests works as: oneself, or a system user for root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("Debian-exim", "exim", "mail", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("no user to run as")


class Lease:
    """A port that no other test of this machine is given while we hold it."""

    def __init__(self) -> None:
        directory = Path(tempfile.gettempdir()) / f"pyexim-test-ports-{os.geteuid()}"
        directory.mkdir(mode=0o700, exist_ok=True)
        start = os.getpid() * 7 % len(PORTS)
        for offset in range(len(PORTS)):
            self.port = PORTS[(start + offset) % len(PORTS)]
            self._fd = os.open(directory / str(self.port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as s:
                    s.bind(("127.0.0.1", self.port))
                return
            os.close(self._fd)
        raise RuntimeError("no port is free")

    def end(self) -> None:
        """Give the port back."""
        os.close(self._fd)


class Client:
    """A plain SMTP client: says lines, returns replies."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(source, 0))
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.file.close()
        self.sock.close()

    def reply(self) -> str:
        """Return the next reply, all its lines; empty at the end of the connection."""
        lines: list[str] = []
        while line := self.file.readline():
            lines.append(line.decode("latin-1").rstrip("\r\n"))
            if line[3:4] != b"-":
                break
        return "\n".join(lines)

    def say(self, line: str) -> str:
        """Send a line, return the reply."""
        self.sock.sendall(line.encode("latin-1") + b"\r\n")
        return self.reply()

    def encrypt(self, context: ssl.SSLContext | None = None, **options: Any) -> ssl.SSLSocket:
        """Make a TLS handshake; by default without looking at the server's certificate."""
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.file.close()
        self.sock = secure = context.wrap_socket(self.sock, **options)
        self.file = self.sock.makefile("rb")
        return secure

    def starttls(self, context: ssl.SSLContext | None = None, **options: Any) -> ssl.SSLSocket:
        """Begin TLS; EHLO is the caller's."""
        assert self.say("STARTTLS").startswith("220")
        return self.encrypt(context, **options)

    def send(self, to: str, sender: str = "x@far.example", text: str = "hello") -> str:
        """Send a message; the last reply."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>"):
            answer = self.say(line)
            if not answer.startswith("250"):
                return answer
        assert self.say("DATA").startswith("354")
        return self.say(f"Subject: a test\r\n\r\n{text}\r\n.")


class Live:
    """One installation: directory, configuration, perhaps a daemon."""

    def __init__(self, *, main: str = "", acl: str = "accept", routers: str = "", transports: str = "",
                 smtp: str = "", sink: int = 1, program: str = PROGRAM) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="pyexim-live-"))
        os.chmod(self.top, 0o755)
        self.user = mail_user()
        self.program = program
        self._lease = Lease()
        self.port = self._lease.port
        self.parts = {"main": main, "acl": acl, "routers": routers, "transports": transports, "smtp": smtp}
        self.sink = sink
        self.conf = self.top / "conf"
        self.master: psutil.Process | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        for name in ("spool", "log", "mail"):
            (self.top / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(self.top / name, self.user)
        self.configure()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            left = self.stop()
            if kind is not None:
                for name in ("mainlog", "paniclog"):
                    print(f"--- {name}\n{self.log(name)}")
            assert not left or kind is not None, f"processes remained: {left}"
            if kind is None:
                assert "Traceback" not in self.log("paniclog"), self.log("paniclog")
        finally:
            self._lease.end()
            shutil.rmtree(self.top, ignore_errors=True)

    def configure(self, **parts: str) -> None:
        """Write the configuration, with some of its parts changed."""
        self.parts.update(parts)
        user = f"exim_user = {self.user}" if os.geteuid() == 0 else ""
        values = {"program": self.program, "user": user, "top": str(self.top), "port": str(self.port),
                  "owner": self.user, "sink": str(self.sink), **self.parts}
        conf = CONF.replace("tls_advertise_hosts =\n", "") if "tls_advertise_hosts" in self.parts["main"] else CONF
        text = re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), conf)
        self.conf.write_text(re.sub(r"@TOP@", str(self.top), text))

    # -- the daemon

    def start(self, *arguments: str, wait: bool = True) -> psutil.Process:
        """Start the daemon: with -bd (detached, the pid file names it) or else with -bdf; the master process."""
        detached = "-bd" in arguments
        words = list(arguments) if detached else ["-bdf", *arguments]
        command = [self.program, "-C", str(self.conf), *words]
        if detached:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
            assert done.returncode == 0, done.stderr
            wait_until(lambda: self.pid() is not None, "pid file")
            self.master = psutil.Process(self.pid() or 0)
        else:
            self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=open(self.top / "stderr", "wb"))
            self.master = psutil.Process(self._popen.pid)
        if wait:
            self.wait_log("daemon started")
        return self.master

    def pid(self) -> int | None:
        """Return what the pid file says."""
        try:
            return int((self.top / "exim.pid").read_text())
        except (OSError, ValueError):
            return None

    def processes(self, title: str = "") -> list[psutil.Process]:
        """Return the daemon's processes whose title holds ``title``."""
        assert self.master is not None
        found = []
        for one in self.master.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if title in " ".join(one.cmdline()) and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def hang_up(self) -> None:
        """SIGHUP, and wait until the daemon has done what it does then."""
        count = self.log().count("SIGHUP received")
        assert self.master is not None
        self.master.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count("SIGHUP received") > count
                   and ("daemon started" in self.log().rpartition("SIGHUP received")[2]
                        or "not used" in self.log("paniclog")), "the new configuration")

    def stop(self) -> list[str]:
        """SIGTERM; what is left after a while (and is ended then)."""
        if self.master is None:
            return []
        with contextlib.suppress(psutil.Error):
            family = [self.master, *self.master.children(recursive=True)]
            self.master.terminate()
            if self._popen is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._popen.wait(PATIENCE)
            _, alive = psutil.wait_procs(family, PATIENCE / 2)
            names = []
            for one in alive:
                with contextlib.suppress(psutil.Error):
                    names.append(" ".join(one.cmdline()))
                    one.kill()
            self.master = None
            return names
        self.master = None
        return []

    def kill(self) -> None:
        """End the daemon's first process at once, as a crash does."""
        if self.master is not None:
            with contextlib.suppress(psutil.Error):
                self.master.kill()
            if self._popen is not None:
                self._popen.wait(PATIENCE)
            self.master = None

    def client(self, source: str = "127.0.0.1") -> Client:
        """Return a new connection."""
        return Client(self.port, source)

    @contextlib.contextmanager
    def session(self, source: str = "127.0.0.1") -> Iterator[Client]:
        """Return a connection that has said EHLO."""
        with self.client(source) as c:
            assert c.reply().startswith("220"), "greeting"
            assert c.say("EHLO client.example").startswith("250"), "EHLO"
            yield c

    # -- commands and files

    def run(self, *arguments: str, stdin: str = "", name: str | None = None,
            **kw: object) -> subprocess.CompletedProcess[str]:
        """Run a command with our configuration; called as ``name`` (a path) where given."""
        return subprocess.run([name or self.program, "-C", str(self.conf), *arguments], input=stdin, text=True,
                              capture_output=True, timeout=PATIENCE * 2, **kw)  # type: ignore[call-overload,no-any-return]

    def log(self, name: str = "mainlog") -> str:
        """Return a log."""
        path = self.top / "log" / name
        return path.read_text(encoding="latin-1") if path.exists() else ""

    def wait_log(self, text: str, count: int = 1, name: str = "mainlog") -> str:
        """Wait until a log holds a text so many times; the log."""
        try:
            wait_until(lambda: self.log(name).count(text) >= count, f"{text} in {name}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log(name)}\n{self.log('paniclog')}") from None
        return self.log(name)

    def mail(self, person: str) -> str:
        """Return a mailbox."""
        path = self.top / "mail" / person
        return path.read_text(encoding="latin-1") if path.exists() else ""

    def queue(self) -> list[str]:
        """Return the ids of the messages on the queue."""
        return sorted(p.name[:-2] for p in (self.top / "spool" / "input").glob("**/*-H"))
