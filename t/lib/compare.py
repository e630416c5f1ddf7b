"""Run one scenario through pyexim and through a real Exim, and compare everything that can be seen.

A scenario is one text file (t/compare/cases/TOPIC/NAME.case) of sections, each begun by a line "=== ...":

    === conf                 the configuration (a prelude with names, spool and logs stands before it, without what
                             is set again)
    === file NAME            a file in the private directory, @TOP@/NAME
    === sink                 a recording SMTP server on @SINK@; lines "COMMAND-PREFIX -> REPLY" change
                             its answers (\\n in a reply separates lines), "banner -> ..." the greeting,
                             "close COMMAND-PREFIX" makes it hang up there, "silent COMMAND-PREFIX" say nothing
                             more for some seconds and then hang up; after a positive answer to STARTTLS it goes
                             on with TLS (@TOP@/cert.pem, key.pem), with "garble" it does not; "smtps": TLS at once
    === sink ADDRESS         one more, on that address of the loopback net, at the same port
    === zone                 what the whole DNS is for the sections "exim" (lines as in fakedns)
    === exim ARGUMENTS       run the command; the lines below are its standard input
    === as USER ARGUMENTS    the same for the set-uid program called by that user, conf being what is built in;
                             USER/NAME calls it by another name (see callers.py)
    === shell COMMANDS       run a shell command in @TOP@ ($EXIM is the command with -C)
    === client               talk to a daemon started for it; the lines are those of t/lib/compare_client.py
    === settle               wait until the queue is empty
    === ignore WHAT: WHY     leave something out of the comparison: stdout, stderr, mainlog, rejectlog,
                             paniclog, mail, spool, sink, exit
    === unordered WHAT: WHY  compare the lines (of sink: the sessions) sorted
    === mask /REGEX/ -> TEXT one more replacement before comparing

Lines in all of them may use @TOP@, @MAIL@, @SINK@, @PORT@ (the daemon's), @USER@.  What is compared: output, errors
and exit code of every step, the logs, the mailboxes, the queue's files, what the sink was told; after masking ids,
times, process ids, ports and version numbers.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import callers
from compare_client import Talk
from dns_world import in_world

ROOT = Path(__file__).resolve().parents[2]
PYEXIM = str(ROOT / "bin" / "pyexim")
TRUSTED = Path("/etc/exim4/trusted_configs")
PATIENCE = 30.0
SILENCE = 3.0

PRELUDE = """\
exim_path = {exim}
{user}
spool_directory = @TOP@/spool
log_file_path = @TOP@/log/%slog
pid_file_path = @TOP@/exim.pid
primary_hostname = test.example
qualify_domain = test.example
keep_environment =
disable_ipv6 = true
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
smtputf8_advertise_hosts =
check_spool_space = 0
check_spool_inodes = 0
local_interfaces = 127.0.0.1
{extra}
"""


def find_exim() -> str | None:
    """Return the path of a real Exim, if there is one."""
    for path in ("/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim"):
        if os.access(path, os.X_OK):
            return path
    return None


_TRUSTING = threading.Lock()


def trust(conf: str, *, wanted: bool) -> None:
    """Name a configuration in the list of those the real Exim keeps its privilege for, or take it out."""
    with _TRUSTING, TRUSTED.with_suffix(".lock").open("w", encoding="utf-8") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        left = [x for x in TRUSTED.read_text().splitlines() if x != conf] if TRUSTED.exists() else []
        new = TRUSTED.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        new.write_text("".join(x + "\n" for x in ([*left, conf] if wanted else left)))
        new.rename(TRUSTED)


@dataclass
class Section:
    """One section of a case: the word, the rest of its line, the lines below."""

    word: str
    rest: str
    body: str


@dataclass
class Case:
    """A case file, read."""

    path: Path
    sections: list[Section]
    ignore: dict[str, str] = field(default_factory=dict)
    masks: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    unordered: dict[str, str] = field(default_factory=dict)


def read_case(path: Path) -> Case:
    """Read a case file."""
    case = Case(path, [])
    for part in re.split(r"(?m)^=== ", path.read_text(encoding="latin-1"))[1:]:
        head, _, body = part.partition("\n")
        word, _, rest = head.strip().partition(" ")
        if word in ("ignore", "unordered"):
            what, _, why = rest.partition(":")
            assert why.strip(), f"{path}: say why {what} is left out"
            getattr(case, word)[what.strip()] = why.strip()
        elif word == "mask":
            m = re.fullmatch(r"/(.*)/ ->(?: (.*))?", rest)
            assert m, f"{path}: bad mask {rest}"
            case.masks.append((re.compile(m[1], re.M), m[2] or ""))
        else:
            assert word in ("conf", "file", "sink", "zone", "exim", "as", "shell", "client", "settle"), \
                f"{path}: {word}"
            case.sections.append(Section(word, rest, body))
    return case


class Sink(threading.Thread):
    """A recording SMTP server whose answers a case may change."""

    def __init__(self, rules: str = "", address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(daemon=True)
        self.server = socket.create_server((address, port), backlog=50)
        self.port: int = self.server.getsockname()[1]
        self.rules: list[tuple[str, str]] = []
        self.closing: list[str] = []
        self.silent: list[str] = []
        self.sessions: list[list[str]] = []
        self.threads: list[threading.Thread] = []
        self.top = Path()
        self.words: set[str] = set()
        for line in rules.splitlines():
            if line in ("garble", "smtps"):
                self.words.add(line)
            elif line.startswith("close "):
                self.closing.append(line[6:].upper())
            elif line.startswith("silent "):
                self.silent.append(line[7:].upper())
            elif " -> " in line:
                prefix, _, reply = line.partition(" -> ")
                self.rules.append((prefix.upper(), reply))
        self.start()

    def answer(self, command: str, default: str) -> str | None:
        """Return the reply to a command; None to hang up."""
        upper = command.upper()
        if any(upper.startswith(c) for c in self.closing + self.silent):
            return None
        return next((r for p, r in self.rules if upper.startswith(p)), default)

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self.sessions.append([])
            self.threads.append(threading.Thread(target=self._session, args=(peer, self.sessions[-1]), daemon=True))
            self.threads[-1].start()

    def record(self) -> list[str]:
        """Return what was said in each session, when all have ended; in the order of their beginnings."""
        for thread in list(self.threads):
            thread.join(5)
        return ["\n".join(lines) for lines in self.sessions]

    def _session(self, peer: socket.socket, lines: list[str]) -> None:
        try:
            if "smtps" in self.words:
                peer = self._encrypted(peer, lines)
            with peer, peer.makefile("rb") as f:
                self._converse(peer, f, lines)
        except OSError:
            if not lines or lines[-1] != "(no TLS)":
                lines.append("(broken)")

    def _encrypted(self, peer: socket.socket, lines: list[str]) -> socket.socket:
        """Go on with TLS; what is recorded of it is the name that the client asks for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.top / "cert.pem", self.top / "key.pem")
        names: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        lines.append("(no TLS)")
        encrypted = context.wrap_socket(peer, server_side=True)
        lines[-1] = f"(TLS for {names[0]})"
        return encrypted

    def _go(self, command: str) -> None:
        """Be silent for longer than the client waits, where the case says so; the caller hangs up."""
        if any(command.upper().startswith(c) for c in self.silent):
            time.sleep(SILENCE)  # a client that has closed its side for writing still waits for the answer

    def _converse(self, peer: socket.socket, f: object, lines: list[str], *, greet: bool = True) -> None:
        def say(reply: str | None) -> bool:
            if reply is None:
                return False
            parts = reply.split("\\n")
            code = parts[0][:3]
            text = [p if p[:3] == code else f"{code} {p}" for p in parts]
            out = [t[:3] + "-" + t[4:] for t in text[:-1]] + [text[-1]]
            peer.sendall("".join(f"{x}\r\n" for x in out).encode("latin-1"))
            return True

        if greet and not say(self.answer("banner", "220 sink ESMTP")):
            self._go("banner")
            return
        accepted = mailed = False
        while line := f.readline():  # type: ignore[attr-defined]
            if line[:1] == b"\x16":  # a client that begins with TLS
                lines.append("(TLS)")
                return
            text = line.decode("latin-1").rstrip("\r\n")
            lines.append(text)
            verb = text[:4].upper()
            default = {"EHLO": "250 sink\\nPIPELINING\\nSIZE\\n8BITMIME", "DATA": "354 go", "QUIT": "221 bye"}.get(
                verb, "250 ok")
            if verb == "DATA" and not accepted:
                default = "503 no recipients"
            if verb == "RCPT" and not mailed:
                default = "503 no sender"
            reply = self.answer(text, default)
            if not say(reply):
                self._go(text)
                return
            if verb == "STAR" and reply is not None and reply.startswith("2"):
                if "garble" in self.words:
                    f.read1(1)  # type: ignore[attr-defined]
                    peer.sendall(b"this is no record of TLS" * 9 + b"\r\n")
                    return
                with self._encrypted(peer, lines) as encrypted, encrypted.makefile("rb") as g:
                    self._converse(encrypted, g, lines, greet=False)
                return
            if verb == "MAIL":
                mailed = str(reply).startswith("2")
            if verb in ("RCPT", "MAIL"):
                accepted = verb == "RCPT" and (accepted or str(reply).startswith("2"))
            if verb == "DATA" and reply is not None and reply.startswith("3"):
                while (data := f.readline()) not in (b".\r\n", b""):  # type: ignore[attr-defined]
                    lines.append("| " + data.decode("latin-1").rstrip("\r\n"))
                if not say(self.answer("end-of-data", "250 taken")):
                    self._go("end-of-data")
                    return
            if verb == "QUIT":
                return


@dataclass
class Outcome:
    """What one program did with a case: named texts to be compared."""

    texts: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Runner:
    """Runs a case with one program in a private directory."""

    def __init__(self, program: str, top: Path, *, real: bool) -> None:
        self.program, self.top, self.real = program, top, real
        self.sink: Sink | None = None
        self.more_sinks: dict[str, Sink] = {}
        self.daemon: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.outcome = Outcome()
        self.root = os.geteuid() == 0
        self.world: list[str] = []

    def user(self) -> str:
        """Return the user that mail belongs to and the program runs as."""
        if not self.root:
            return pwd.getpwuid(os.geteuid()).pw_name
        for name in ("Debian-exim", "exim", "mail", "nobody"):
            try:
                return pwd.getpwnam(name).pw_name
            except KeyError:
                continue
        raise RuntimeError("no user to run as")

    def values(self, text: str) -> str:
        """Replace the @NAMES@."""
        for key, value in (("TOP", str(self.top)), ("MAIL", f"{self.top}/mail"), ("USER", self.user()),
                           ("PORT", str(self.port)),
                           ("SINK", str(self.sink.port if self.sink else 1))):
            text = text.replace(f"@{key}@", value)
        return text

    @property
    def conf(self) -> str:
        return f"{self.top}/conf"

    def run(self, case: Case) -> Outcome:
        """Run all sections; what was seen."""
        self._prepare(case)
        try:
            for number, section in enumerate(case.sections):
                method = getattr(self, "_do_" + section.word, None)
                if method is not None:
                    method(f"{number:02d} {section.word} {section.rest}".strip(), section)
            self._wait_quiet()
        finally:
            self._stop()
        self._collect()
        return self.outcome

    def _prepare(self, case: Case) -> None:
        for name in ("spool", "log", "mail"):
            (self.top / name).mkdir(parents=True)
            if self.root:
                shutil.chown(self.top / name, self.user())
        os.chmod(self.top, 0o755)
        for section in case.sections:
            if section.word == "sink" and not section.rest:
                self.sink = Sink(section.body)
                self.sink.top = self.top
        for section in case.sections:
            if section.word == "sink" and section.rest:
                assert self.sink is not None
                self.more_sinks[section.rest] = sink = Sink(section.body, section.rest, self.sink.port)
                sink.top = self.top
        conf = ""
        for section in case.sections:
            if section.word == "file":
                path = self.top / section.rest
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.values(section.body), encoding="latin-1")
                if self.root:
                    shutil.chown(path, self.user())
            elif section.word == "conf":
                conf = section.body
            elif section.word == "zone":
                (self.top / "zone").write_text(section.body, encoding="latin-1")
                self.world = in_world(self.top / "zone")
        prelude = PRELUDE.format(exim=self.program, user=f"exim_user = {self.user()}" if self.root else "",
                                 extra="#\n#" if self.real else "message_id_short = yes\nlimits_advertise_hosts =")
        for name in re.findall(r"(?m)^(\w+)(?: =|$)", conf.partition("\nbegin ")[0]):
            prelude = re.sub(rf"(?m)^{name} =.*\n", "", prelude)
        Path(self.conf).write_text(self.values(prelude + conf), encoding="latin-1")
        if self.real and self.root:
            trust(self.conf, wanted=True)

    def _stop(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(10)
        for sink in (self.sink, *self.more_sinks.values()):
            if sink is not None:
                sink.server.close()
        if self.real and self.root:
            trust(self.conf, wanted=False)

    # -- sections

    def _command(self, name: str, argv: list[str], stdin: str, **kw: object) -> None:
        done = subprocess.run(argv, input=stdin.encode("latin-1"), capture_output=True, timeout=PATIENCE,
                              cwd=self.top, **kw)  # type: ignore[call-overload]
        self.outcome.texts[f"{name} stdout"] = done.stdout.decode("latin-1")
        self.outcome.texts[f"{name} stderr"] = done.stderr.decode("latin-1")
        self.outcome.texts[f"{name} exit"] = str(done.returncode)

    def _do_exim(self, name: str, section: Section) -> None:
        self._command(name, [*self.world, self.program, "-C", self.conf, *shlex.split(self.values(section.rest))],
                      self.values(section.body))

    def _do_as(self, name: str, section: Section) -> None:
        who, _, arguments = self.values(section.rest).partition(" ")
        user, _, called = who.partition("/")
        program = self.program if self.real else callers.set_uid_pyexim(self.user())
        if called:
            link = self.top / called
            link.unlink(missing_ok=True)
            link.symlink_to(program)
            program = str(link)
        self._command(name, callers.words(user, self.conf, [program, *shlex.split(arguments)]),
                      self.values(section.body))

    def _do_shell(self, name: str, section: Section) -> None:
        script = self.values(section.rest + "\n" + section.body)
        self._command(name, ["sh", "-c", script], "",
                      env={"PATH": os.environ["PATH"], "EXIM": f"{self.program} -C {self.conf}"})

    def _do_settle(self, name: str, section: Section) -> None:
        end = time.monotonic() + PATIENCE
        while list((self.top / "spool").glob("input/**/*-H")) and time.monotonic() < end:
            time.sleep(0.02)

    def _start_daemon(self) -> None:
        self.daemon = subprocess.Popen(
            [self.program, "-C", self.conf, "-bdf", "-oX", f"127.0.0.1.{self.port}", "-oP", f"{self.top}/exim.pid"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            log = self.top / "log" / "mainlog"
            if log.exists() and "daemon started" in log.read_text(encoding="latin-1"):
                return
            time.sleep(0.02)
        raise RuntimeError("the daemon did not start")

    def _do_client(self, name: str, section: Section) -> None:
        if self.daemon is None:
            self._start_daemon()
        talk = Talk(self.port, PATIENCE, unescaped)
        talk.run(self.values(section.body).splitlines())
        self.outcome.texts[f"{name} stdout"] = "".join(talk.said)
        time.sleep(0.05)

    # -- what is left

    def _collect(self) -> None:
        self._wait_quiet()
        texts = self.outcome.texts
        for log in ("mainlog", "rejectlog", "paniclog"):
            path = self.top / "log" / log
            texts[log] = path.read_text(encoding="latin-1") if path.exists() else ""
        mail = []
        for path in sorted((self.top / "mail").rglob("*")):
            if path.is_file():
                name = str(path.relative_to(self.top / "mail"))
                name = re.sub(r"\d+\.[HMP]\w+\.[\w.]+(,S=\d+)?", "MAILDIRNAME", name)
                mail.append(f"--- {name}\n" + path.read_text(encoding="latin-1"))
        texts["mail"] = "".join(sorted(mail))
        spool = []
        for path in sorted((self.top / "spool").rglob("*-[HDJ]")):
            spool.append(f"--- {path.name}\n" + without_tree(path.read_text(encoding="latin-1")))
        texts["spool"] = "".join(spool)
        if self.sink is not None:
            texts["sink"] = "\n\n".join(self.sink.record())
        for address, sink in self.more_sinks.items():
            texts[f"{address} sink"] = "\n\n".join(sink.record())

    def _wait_quiet(self) -> None:
        """Wait until background deliveries have come to rest: no change of the log for a while."""
        log = self.top / "log" / "mainlog"
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 0.15:
            size = log.stat().st_size if log.exists() else 0
            if size != last:
                last, since = size, time.monotonic()
            time.sleep(0.02)


def unescaped(text: str) -> bytes:
    """Return the octets that a line with escapes stands for."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def without_tree(header: str) -> str:
    """Return a -H file with its tree of non-recipients as a sorted list: its shape tells of the insertions only."""
    lines = header.split("\n")
    tree = [i for i, line in enumerate(lines) if re.match(r"[YN][YN] \S", line)]
    for i, line in zip(tree, sorted(lines[i][3:] for i in tree), strict=True):
        lines[i] = "done " + line
    return "\n".join(lines)


ID = r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{11}-[0-9A-Za-z]{4}|[0-9A-Za-z]{6}-[0-9A-Za-z]{2})"
Mask = tuple[str, str | Callable[[re.Match[str]], str]]
MASKS: list[Mask] = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})?(?: [+-]\d{4})?", "TIME"),
    (r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), +\d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}(?: \(\w+\))?", "DATE"),
    (r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", "UNIXDATE"),
    (r"\b4\.9[69]\b", "VERSION"), (r"\bpid=\d+", "pid=N"), (r"\b(Q?[TD]T?)=\d+(?:\.\d+)?s", r"\1=Ns"),
    (r"(\[127\.0\.0\.1\]):\d{4,5}", r"\1:PORT"), (r"(?m)^(-host_address .*\]:)\d+", r"\1PORT"),
    (r"(?m)^(-interface_address .*[.:])\d+$", r"\1PORT"), (r"(127\.0\.0\.1\.)\d{4,5}", r"\1PORT"),
    (r"(?m)^\d{10} (\d)$", r"SECONDS \1"), (r"(?m)^-received_time_usec .\d+$", "-received_time_usec N"),
    (r"(?m)^-received_time_complete .*$", "-received_time_complete N"), (r"\b\d{10,}-(eximdsn)", r"N-\1"),
    (r"(?m)^ ?\d+[smhd] ", "AGE "), (r"SIZE=\d+", "SIZE=N"), (r"exim-\d+", "exim-N"),
    (r"eximdsn-\d+", "eximdsn-N"), (r"(?m)^\d{3}(  Content-Type: multipart/report)", r"NNN\1"),
    (r"(<= <> .*) S=\d+", r"\1 S=N"),
    (r"(?m)^-max_received_linelength (?:9[6-9]|10[0-3])$", "-max_received_linelength N"),
    (r"(?m)^(-?frozen )\d+", r"\1N"),
]


def mask(text: str, top: Path, case: Case, program: str, masks: Iterable[Mask] = MASKS) -> str:
    """Replace what differs from run to run: first what the case says, then ``masks``, then ids."""
    text = text.replace(str(top), "TOP").replace(program, "EXIM")
    for pattern, new in case.masks:
        text = pattern.sub(new, text)
    for old, replacement in masks:
        text = re.sub(old, replacement, text)
    seen: dict[str, str] = {}
    return re.sub(ID, lambda m: seen.setdefault(m[0], f"ID{len(seen) + 1}"), text)


def lines_of(text: str, kind: str, *, ordered: bool) -> list[str]:
    """Split what is compared into lines; sorted (a recorded server's by session) where the order is left open."""
    if ordered:
        return text.splitlines()
    return "\n\n".join(sorted(text.split("\n\n"))).splitlines() if kind == "sink" else sorted(text.splitlines())


def compare(case: Case, exim: str, top: Path) -> list[str]:
    """Run a case through both programs; the differences, as lines of a diff."""
    outcomes = {}
    for who, program in (("exim", exim), ("pyexim", PYEXIM)):
        where = top / who
        where.mkdir(parents=True)
        texts = Runner(program, where, real=who == "exim").run(case).texts
        if who == "exim" and any("lost privilege for using -C" in text for text in texts.values()):
            # Another run changed the list of trusted files at that moment.
            shutil.rmtree(where)
            where.mkdir()
            texts = Runner(program, where, real=True).run(case).texts
        outcomes[who] = {k: mask(v, where, case, program) for k, v in texts.items()}
    differences: list[str] = []
    for key in dict.fromkeys([*outcomes["exim"], *outcomes["pyexim"]]):
        if key in case.ignore or key.rpartition(" ")[2] in case.ignore:
            continue
        kind = key.rpartition(" ")[2]
        theirs = lines_of(outcomes["exim"].get(key, ""), kind, ordered=kind not in case.unordered)
        ours = lines_of(outcomes["pyexim"].get(key, ""), kind, ordered=kind not in case.unordered)
        if theirs != ours:
            differences.append(f"##### {key}")
            differences += difflib.unified_diff(theirs, ours, "exim", "pyexim", lineterm="", n=2)
    return differences


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except OSError:
        process.terminate()
