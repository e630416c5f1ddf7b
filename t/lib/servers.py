"""Private database and directory servers for tests: each in a directory of its own, on a leased port and a socket.

    with Mysql(directory) as server:
        server.port, server.socket

A server's class says which programs it needs (``missing()``); a test that finds one missing is skipped and says so.
Nothing that the system runs is used or touched.  As root, a server that refuses to be root runs as the user that
its package made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

PATIENCE = 30.0
DATA = Path(__file__).resolve().parent.parent / "cases" / "lookup" / "servers"
"""What the servers serve."""
PLACES = (*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))


def find(program: str) -> str | None:
    """Return the path of a program, also where a user's PATH does not lead."""
    return shutil.which(program, path=os.pathsep.join(PLACES))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def make_certificate(top: Path) -> Path | None:
    """Make a certificate for 127.0.0.1, signed by itself: files cert and key; None without the program for it."""
    openssl = find("openssl")
    if openssl is None:
        return None
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2", "-keyout", str(top / "key"), "-out",
                    str(top / "cert")], check=True, capture_output=True)
    return top / "cert"


class Server:
    """A process that serves from a private directory until the end of the with statement."""

    programs: ClassVar[Sequence[str]] = ()
    user: ClassVar[str] = ""
    """Who it runs as where the tests run as root; "" for root."""

    def __init__(self, top: Path) -> None:
        self.top, self.port, self.process = top, free_port(), None
        self.process: subprocess.Popen[bytes] | None

    @property
    def socket(self) -> str:
        """The path of the socket on which it listens too."""
        raise NotImplementedError

    @classmethod
    def missing(cls) -> str:
        """Return which programs are not there, as a reason to skip; "" where all are."""
        absent = [p for p in cls.programs if find(p) is None]
        if os.geteuid() == 0 and cls.user:
            try:
                pwd.getpwnam(cls.user)
            except KeyError:
                absent.append(f"the user {cls.user}")
        return f"not on this machine: {', '.join(absent)}" if absent else ""

    def command(self) -> list[str]:
        """Return the command line of the server; its programs were found."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the server needs before it starts."""

    def fill(self) -> None:
        """Put the data in that the tests expect; called when the server answers."""

    def answers(self) -> bool:
        """Tell whether the server can be talked to."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a program as the server's user; its output."""
        done = subprocess.run([find(argv[0]) or argv[0], *argv[1:]], input=stdin.encode(), capture_output=True,
                              timeout=PATIENCE, check=False, user=self._uid(), group=self._gid(),
                              extra_groups=None if self._uid() is None else [], cwd=self.top)
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {(done.stderr + done.stdout).decode(errors='replace')}")
        return done.stdout.decode(errors="replace")

    def _uid(self) -> int | None:
        return pwd.getpwnam(self.user).pw_uid if self.user and os.geteuid() == 0 else None

    def _gid(self) -> int | None:
        return pwd.getpwnam(self.user).pw_gid if self.user and os.geteuid() == 0 else None

    def __enter__(self) -> Self:
        self.top.mkdir(parents=True, exist_ok=True)
        self.top.chmod(0o755)
        if self._uid() is not None:
            shutil.chown(self.top, self.user)
        try:
            self.prepare()
            self.start()
            self.fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = self.command()
        with (self.top / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [find(command[0]) or command[0], *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                user=self._uid(), group=self._gid(), extra_groups=None if self._uid() is None else [], cwd=self.top,
                start_new_session=True)
        end = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                text = (self.top / "output").read_text(errors="replace")
                raise RuntimeError(f"{command[0]} did not start:\n{text}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if isinstance(self, Postgres) else signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis(Server):
    """A Redis server with a password, on TCP and on a socket."""

    programs = ("redis-server",)
    password = "sesame"

    @property
    def socket(self) -> str:
        return str(self.top / "redis.sock")

    def command(self) -> list[str]:
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket,
                "--unixsocketperm", "777", "--save", "", "--dir", str(self.top), "--requirepass", self.password]


class Mysql(Server):
    """A MariaDB server with one user, on TCP and on a socket."""

    programs = ("mariadbd", "mariadb-install-db", "mariadb")

    @property
    def socket(self) -> str:
        return str(self.top / "mysql.sock")

    def _own(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def prepare(self) -> None:
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.top}/data", "--skip-test-db",
                 "--auth-root-authentication-method=normal", *self._own())

    def command(self) -> list[str]:
        return ["mariadbd", "--no-defaults", f"--datadir={self.top}/data", f"--socket={self.socket}",
                f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.top}/pid", "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M", *self._own()]

    def answers(self) -> bool:
        return Path(self.socket).exists() and super().answers()

    def fill(self) -> None:
        self.run("mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "--default-character-set=utf8mb4",
                 stdin=(DATA / "mysql.sql").read_text())


class Postgres(Server):
    """A PostgreSQL server with one user, on TCP and on a socket."""

    programs = ("postgres", "initdb", "psql")
    user = "postgres"

    @property
    def socket(self) -> str:
        return f"{self.top}/.s.PGSQL.{self.port}"

    def prepare(self) -> None:
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "admin", "-E", "UTF8", "--no-locale", "-D",
                 f"{self.top}/data")
        # the user of the tests must show a password
        (self.top / "data" / "pg_hba.conf").write_text(
            "local all admin trust\nlocal all all password\nhost all all 127.0.0.1/32 password\n")

    def command(self) -> list[str]:
        return ["postgres", "-D", f"{self.top}/data", "-k", str(self.top), "-p", str(self.port), "-c",
                "listen_addresses=127.0.0.1", "-c", "fsync=off"]

    def answers(self) -> bool:
        if not super().answers():
            return False
        try:
            self.run("psql", "-h", str(self.top), "-p", str(self.port), "-U", "admin", "-c", "select 1", "postgres")
        except RuntimeError:
            return False
        return True

    def fill(self) -> None:
        self.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.top), "-p", str(self.port), "-U", "admin",
                 "postgres", stdin=(DATA / "pgsql.sql").read_text())


class Ldap(Server):
    """An OpenLDAP server with a small directory, on TCP (with STARTTLS) and on a socket."""

    programs = ("slapd", "slapadd")

    @property
    def socket(self) -> str:
        return str(self.top / "ldap.sock")

    def prepare(self) -> None:
        (self.top / "data").mkdir()
        conf = (DATA / "ldap.conf").read_text().replace("@TOP@", str(self.top))
        self.certificate = make_certificate(self.top)
        if self.certificate is not None:
            conf = f"TLSCertificateFile {self.certificate}\nTLSCertificateKeyFile {self.top}/key\n{conf}"
        (self.top / "slapd.conf").write_text(conf)
        self.run("slapadd", "-q", "-f", f"{self.top}/slapd.conf", stdin=(DATA / "ldap.ldif").read_text())

    def command(self) -> list[str]:
        return ["slapd", "-d", "0", "-f", f"{self.top}/slapd.conf", "-h",
                f"ldap://127.0.0.1:{self.port}/ ldapi://{self.socket.replace('/', '%2F')}/"]

    def answers(self) -> bool:
        return Path(self.socket).exists() and super().answers()
