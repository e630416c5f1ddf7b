"""The command line: Exim's switches into one record.

The switches of Exim are a table of its own rather than getopt's: some take their value attached or
apart, some only apart, names overlap (``-M``, ``-Mrm``, ``-MC``), and the error texts are what scripts
know.  Spec: chapter "The Exim command line".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.ipaddress import split_host_port
from pyexim.base.messageid import is_message_id
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass, field
from pyexim.config.values import parse_time
from pyexim.log.debug import parse_topics
from pyexim.startup.modes import WITHOUT_T, choose


class UsageError(Exception):
    """The command line is wrong; the text goes to standard error, and the exit code is 1."""


def _abandoned(option: str) -> UsageError:
    return UsageError(f"exim abandoned: unknown, malformed, or incomplete option {option}")


def _incompatible() -> UsageError:
    return UsageError("exim: incompatible command-line options or arguments")


class NotThere(UsageError):
    """A documented switch whose feature this version does not have."""

    def __init__(self, switch: str) -> None:
        super().__init__(f"exim: the option {switch} is not supported by this version of pyexim")


@dataclass(slots=True)
class QueueRunOptions:
    """What -q, -R and -S say about a queue run."""

    two_stage: bool = False
    first_only: bool = False
    force: bool = False
    force_frozen: bool = False
    local_only: bool = False
    queue_name: str | None = None
    interval: int | None = None
    """Seconds between runs; None for a single run."""
    start_id: str | None = None
    stop_id: str | None = None
    recipient: str | None = None
    recipient_regex: bool = False
    sender: str | None = None
    sender_regex: bool = False


@dataclass(slots=True)
class Command:
    """A command line, read.  ``mode`` is the action; the rest are its parameters."""

    mode: str = ""
    """receive, daemon, smtp, batch, bh, be, bt, bv, bvs, bV, bP, list, count, queue, M, MC, action,
    brt, brw, bi, info, log, pid_file, help, check_config; "" none given."""
    name: str = "exim"
    """How the program was called."""
    command_line: list[str] = field(default_factory=list, compare=False)
    """The words as they were given, the name among them, for the log."""
    arguments: list[str] = field(default_factory=list)
    config_files: str | None = None
    macros: dict[str, str] = field(default_factory=dict)
    foreground: bool = False
    listen: bool = False
    """-bd, -bdf, -bw."""
    inherit_socket: bool = False
    """-bw: descriptor 0 is the listening socket."""
    inherited_timeout: int | None = None
    """Seconds without a connection after which a daemon of -bw ends; None for never."""
    queue_run: QueueRunOptions | None = None
    more_runs: list[QueueRunOptions] = field(default_factory=list)
    host: str | None = None
    """The address of -bh."""
    callouts: bool = False
    """-bhc."""
    bem_file: str | None = None
    set_message: str | None = None
    """-Mset."""
    extract_recipients: bool = False
    dot_ends: bool = True
    sender: str | None = None
    sender_name: str | None = None
    error_mode: str = "m"
    error_cross_reference: str | None = None
    local_error: bool = False
    """-E."""
    delivery: str | None = None
    """b, f (or i), q, qs: -odX."""
    smtp_queue: bool = False
    verbose: bool = False
    debug: str | None = None
    debug_daemon_only: bool = False
    dont_deliver: bool = False
    no_qualify: bool = False
    suppress_fixups: bool = False
    syslog_tag: str | None = None
    connection_max: int | None = None
    alias_file: str | None = None
    pid_file: str | None = None
    receive_timeout: int | None = None
    smtp_receive_timeout: int | None = None
    tls_on_connect: bool = False
    """-tls-on-connect."""
    interfaces: list[str] = field(default_factory=list)
    """Values of -oX."""
    no_notifier: bool = False
    list_kind: str = ""
    """a, r, ra, ru, u, i, ...: the letters after -bp."""
    action: str = ""
    """The switch of an action on messages: Mf, Mt, Mrm, ..."""
    oma: dict[str, str] = field(default_factory=dict)
    """Values of -oMa, -oMaa, -oMai, -oMas, -oMi, -oMm, -oMr, -oMs, -oMt by the letters after -oM."""
    info: str = ""
    log_line: str = ""
    terse: bool = False
    """-n."""
    filter: str | None = None
    """The file of -bf."""
    system_filter: str | None = None
    """The file of -bF."""
    filter_domain: str = ""
    filter_local_part: str = ""
    filter_prefix: str = ""
    filter_suffix: str = ""
    continued: dict[str, str] = field(default_factory=dict)
    """The facts of -MC and its helpers."""


_IGNORED: Final = lazy_pattern(r"-(?:Ac|Am|B.+|dropcr|m|om|oo|U.*|x|pd|ps|odd|oA.+)\Z", re.DOTALL)
_ERROR_MODES: Final = {"e": "e", "m": "m", "p": "p", "q": "p", "w": "m"}
_NAMES: Final = {"mailq": ["-bp"], "rsmtp": ["-bS"], "rmail": ["-i", "-oee"], "runq": ["-q"], "newaliases": ["-bi"]}
_MODES: Final = {
    "-bm": "receive", "-bs": "smtp", "-bS": "batch", "-be": "be", "-bt": "bt", "-bv": "bv", "-bvs": "bvs",
    "-bV": "bV", "--version": "bV", "-bP": "bP", "-brt": "brt", "-brw": "brw", "-bi": "bi", "--help": "help",
    "-oPX": "pid_file", "--check-config": "check_config"}
_ABSENT: Final = lazy_pattern(r"-(?:bmalware|atrn|Tqt|MCq)\Z")
_FILTER_TESTS: Final = {
    "-bf": "filter", "-bF": "system_filter", "-bfd": "filter_domain", "-bfl": "filter_local_part",
    "-bfp": "filter_prefix", "-bfs": "filter_suffix"}
_TEST_MODES: Final = frozenset({"bh", "be", "bt", "bv", "bvs"})
_ON_MESSAGES: Final = frozenset({
    "M", "Mar", "Mc", "Mes", "Mf", "Mg", "MG", "Mmad", "Mmd", "Mrm", "Mset", "Mt", "Mvb", "Mvc", "Mvh", "Mvl"})


class Parser:
    """Reads one command line from left to right."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        base = name.rpartition("/")[2]
        self.command = Command(name=base, command_line=[name, *arguments])
        self.left = _NAMES.get(base, []) + arguments
        if base == "runq" and arguments and not arguments[0].startswith("-"):
            self.left.insert(1, "--")  # a time belongs to a switch that was given
        if base == "rmail":
            self.command.error_mode = "e"
        self.any = bool(self.left)
        self.asked: list[str] = []
        self.position = 0
        self._long: list[tuple[str, Callable[[str], None]]] = [
            ("-oM", self._om), ("-od", self._od), ("-oe", self._oe), ("-bp", self._bp), ("-bh", self._bh),
            ("-bI", self._bi_info), ("-M", self._m), ("-q", self._q), ("-R", self._select), ("-S", self._select),
            ("-D", self._macro), ("-d", self._debug), ("-p", self._p), ("-e", self._e), ("-E", self._error_report)]

    # -- helpers

    def _next(self, option: str, what: str | None = None) -> str:
        """Return the next word as the value of an option."""
        if self.position >= len(self.left):
            raise UsageError(f"exim: {what} expected after {option}") if what else _abandoned(option)
        self.position += 1
        return self.left[self.position - 1]

    def _value(self, word: str, letters: int, what: str | None = None) -> str:
        """Return a value that is attached to the option's letters or the next word."""
        return word[letters:] or self._next(word, what)

    def _mode(self, mode: str) -> None:
        """Ask for an action."""
        self.asked.append(mode)

    # -- the walk

    def parse(self) -> Command:
        """Read the whole line; raise UsageError."""
        c = self.command
        while self.position < len(self.left):
            word = self.left[self.position]
            if not word.startswith("-"):
                break
            self.position += 1
            if word == "--":
                break
            self._option(word)
            if not {"M", "MC", "action"}.isdisjoint(self.asked):
                break
        c.arguments += self.left[self.position:]
        self._finish()
        return c

    def _option(self, word: str) -> None:
        c = self.command
        if word in _MODES:
            if word == "-bS":
                c.error_mode = "b"
            self._mode(_MODES[word])
        elif word in ("-bd", "-bdf"):
            c.listen = True
            c.foreground |= word == "-bdf"
        elif word.startswith("-bw"):
            self._wait(word)
        elif word in _FILTER_TESTS:
            self._filter_test(word)
        elif _ABSENT.match(word):
            raise NotThere(word)
        elif word in _SIMPLE:
            _SIMPLE[word](c)
        elif word == "-B":
            self.position += 1  # what follows, if anything does, is of no interest
        elif word.startswith("-n"):
            c.terse = True
        elif _IGNORED.match(word):
            return
        elif word[:2] in _VALUES or _O_VALUES.match(word) or word == "-bem":
            self._valued(word)
        else:
            for prefix, method in self._long:
                if word.startswith(prefix):
                    method(word)
                    return
            raise _abandoned(word)

    def _wait(self, word: str) -> None:
        """-bw and -bw<time>: the daemon of one socket that inetd listens on."""
        c = self.command
        c.listen = c.foreground = c.inherit_socket = True
        if word[3:]:
            c.inherited_timeout = parse_time(word[3:])
            if not c.inherited_timeout:
                raise UsageError(f"exim: bad time value {word}: abandoned")

    def _filter_test(self, word: str) -> None:
        """-bf and -bF with their file, -bfd and the like with a part of the recipient."""
        name = _FILTER_TESTS[word]
        setattr(self.command, name, self._next(word, "file name" if word in ("-bf", "-bF") else "string"))
        if word in ("-bf", "-bF"):
            self._mode("bf")

    def _valued(self, word: str) -> None:
        """Options with one value, attached or apart."""
        c = self.command
        letter = word[1]
        if letter == "C":
            c.config_files = self._value(word, 2)
        elif letter in "fr":
            c.sender = self._value(word, 2) if word[2:] else self._sender(word)
        elif letter == "F":
            c.sender_name = self._value(word, 2)
        elif letter == "h":
            self._number(self._value(word, 2), word)
        elif letter == "L":
            c.syslog_tag = self._value(word, 2)
            if len(c.syslog_tag) > 32:
                raise UsageError("exim: the -L syslog name is too long: " + f'"{c.syslog_tag}"')
        elif letter in "OX":
            if not word[2:]:
                self._next(word, "string")
        elif letter == "z":
            c.log_line = self._next(word, "file name") if not word[2:] else _raise(_abandoned(word))
            self._mode("log")
        elif letter == "o":
            self._o(word)
        elif letter == "b":
            c.bem_file = self._next(word)
            self._mode("bem")

    def _sender(self, word: str) -> str:
        if self.position >= len(self.left):
            raise _abandoned(word)
        self.position += 1
        return self.left[self.position - 1]

    def _number(self, text: str, word: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise _abandoned(word) from None

    def _o(self, word: str) -> None:
        """The -o options with a value: -oA, -oB, -oP, -or, -os, -oX."""
        c = self.command
        name = word[2:3]
        if word.startswith("-oB"):
            text = word[3:]
            if not text and self.position < len(self.left) and self.left[self.position].isdigit():
                text = self._next(word)
            if not re.fullmatch(r"[0-9]*", text):
                raise UsageError("exim: number expected after -oB")
            c.connection_max = int(text or "1")
        elif name in ("r", "s"):
            apart = self.left[self.position:self.position + 1] if not word[3:] else []
            self.position += len(apart)
            seconds = parse_time(apart[0] if apart else word[3:])
            if seconds is None:
                raise UsageError(f"exim: bad time value {apart[0] if apart else word}: abandoned")
            if name == "r":
                c.receive_timeout = seconds
            else:
                c.smtp_receive_timeout = seconds
        elif word == "-oA":
            c.alias_file = self._next(word, "string")
        elif word == "-oP":
            c.pid_file = self._next(word, "string")
        elif word == "-oX":
            c.interfaces.append(self._next(word, "string"))
        else:
            raise _abandoned(word)

    def _om(self, word: str) -> None:
        name = word[3:]
        value = self._next(word, "data")
        if name not in ("a", "aa", "ai", "as", "i", "m", "r", "s", "t"):
            raise _abandoned(word)
        if name == "r" and "r" in self.command.oma:
            raise UsageError("received_protocol is set already")
        if name == "m" and not is_message_id(value):
            raise UsageError("-oMm must be a valid message ID")
        self.command.oma[name] = value

    def _od(self, word: str) -> None:
        c = self.command
        kind = word[3:]
        if kind == "qs":
            c.smtp_queue = True
        elif kind in ("b", "f", "i", "q"):
            c.delivery = "f" if kind == "i" else kind
        else:
            raise _abandoned(word)

    def _oe(self, word: str) -> None:
        mode = _ERROR_MODES.get(word[3:])
        if mode is None:
            raise _abandoned(word)
        self.command.error_mode = mode

    def _e(self, word: str) -> None:
        mode = _ERROR_MODES.get(word[2:])
        if mode is None:
            raise _abandoned(word)
        self.command.error_mode = mode

    def _error_report(self, word: str) -> None:
        self.command.local_error = True
        if is_message_id(word[2:]):
            self.command.error_cross_reference = word[2:]

    def _bp(self, word: str) -> None:
        kind = word[3:]
        if kind == "c":
            self._mode("count")
        elif kind in ("", "a", "i", "r", "ra", "ri", "ru", "u"):
            self._mode("list")
            self.command.list_kind = kind
        else:
            raise _abandoned(word)

    def _bh(self, word: str) -> None:
        c = self.command
        if word not in ("-bh", "-bhc"):
            raise _abandoned(word)
        c.callouts = word == "-bhc"
        text = self._next(word)
        if split_host_port(text) is None:
            raise UsageError(f'exim abandoned: "{text}" is not an IP address')
        c.host = text
        c.oma["a"] = text
        self._mode("bh")

    def _bi_info(self, word: str) -> None:
        if not word.startswith("-bI:"):
            raise _abandoned(word)
        self.command.info = word[4:]
        self._mode("info")

    def _p(self, word: str) -> None:
        protocol, colon, host = word[2:].partition(":")
        if not word[2:]:
            raise _abandoned(word)
        if "r" in self.command.oma:
            raise UsageError("received_protocol is set already")
        self.command.oma["r"] = protocol
        if colon:
            self.command.oma["s"] = host

    def _macro(self, word: str) -> None:
        m = re.match(r"-D\s*([A-Za-z0-9_]*)\s*(=?)\s*(.*)\Z", word, re.ASCII | re.DOTALL)
        assert m is not None
        if not m[1][:1].isupper():
            raise UsageError("exim: macro name set by -D must start with an upper case letter")
        if not m[2] and m[3]:
            raise _abandoned(word)
        if m[1] in self.command.macros:
            raise UsageError("exim: duplicated -D in command line")
        if len(self.command.macros) >= 10:
            raise UsageError("exim: too many -D options on command line")
        self.command.macros[m[1]] = m[3]

    def _debug(self, word: str) -> None:
        c = self.command
        text = word[2:]
        if text.startswith("d"):
            c.debug_daemon_only = True
            text = text[1:]
        try:
            parse_topics(text)
        except ValueError as e:
            raise UsageError(f"exim: {e}") from None
        c.debug = text
        c.verbose = True

    def _m(self, word: str) -> None:
        c = self.command
        name = word[1:]
        if name.startswith("MC"):
            self._continued(name)
            return
        if name not in _ON_MESSAGES:
            raise _abandoned(word)
        if name == "Mset":
            if self.position >= len(self.left):
                raise UsageError(f"exim: no message ids given after {word} option")
            c.set_message = self._next(word)
            if not is_message_id(c.set_message):
                raise UsageError(f"exim: malformed message id {c.set_message} after -Mset option")
            return
        self._mode("M" if name in ("M", "Mc") else "action")
        c.action = name
        rest = self.left[self.position:]
        self.position = len(self.left)
        ids = rest[1:] if name == "MG" else rest
        if not ids:
            raise UsageError(f"exim: no message ids given after {word} option")
        checked = ids[:1] if name in ("Mar", "Mes", "Mmd") or name.startswith("Mv") else ids
        for message_id in checked:
            if not is_message_id(message_id):
                raise UsageError(f"exim: malformed message id {message_id} after {word} option")
        c.arguments = rest

    def _continued(self, name: str) -> None:
        """-MC and the switches that tell more about the connection passed with it."""
        facts = self.command.continued
        if name in ("MCA", "MCD", "MCd", "MCK", "MCP", "MCS", "MCT"):
            facts[name[2:]] = self._next("-" + name) if name == "MCd" else "1"
        elif name == "MCG":
            facts["G"] = self._next("-MCG")
        elif name == "MCL":
            facts["L"] = " ".join(self._next("-MCL") for _ in range(3))
        elif name == "MCQ":
            facts["Q"] = f"{self._next('-MCQ')} {self._next('-MCQ')}"
        elif name == "MC":
            rest = self.left[self.position:]
            if len(rest) != 5:
                raise UsageError("exim: too many or too few arguments after -MC")
            facts["transport"], facts["host"], facts["address"], facts["sequence"], facts["id"] = rest
            if not is_message_id(rest[4]):
                raise UsageError("exim: malformed message id " + rest[4] + " after -MC option")
            self._number(rest[3], "-MC")
            self.position = len(self.left)
            self._mode("MC")
        else:
            raise _abandoned("-" + name)

    def _q(self, word: str) -> None:
        if word.startswith(("-qR", "-qS")):
            self._select("-" + word[2:])
            return
        m = re.match(r"-q(q?)(i?)(f{0,2})(l?)(?:G([^/]*))?(/?)(.*)\Z", word, re.ASCII)
        assert m is not None
        run = self._run_options()
        if run.interval is not None:  # a second -q with a time: several queues from one daemon
            run = QueueRunOptions()
            self.command.more_runs.append(run)
        run.two_stage |= bool(m[1])
        run.first_only |= bool(m[2])
        run.force |= bool(m[3])
        run.force_frozen |= m[3] == "ff"
        run.local_only |= bool(m[4])
        if m[5] is not None:
            run.queue_name = m[5]
        if m[7]:
            run.interval = parse_time(m[7])
            if not run.interval:
                raise UsageError(f"exim: bad time value {word}: abandoned")
        else:
            following = self.left[self.position:self.position + 1]
            if following and not following[0].startswith("-") and not is_message_id(following[0]):
                run.interval = parse_time(following[0])
                if not run.interval:
                    raise UsageError(f"exim: bad time value {following[0]}: abandoned")
                self.position += 1
                return
            for which in ("start_id", "stop_id"):
                if self.position < len(self.left) and is_message_id(self.left[self.position]):
                    setattr(run, which, self._next(word))

    def _run_options(self) -> QueueRunOptions:
        c = self.command
        if c.queue_run is None:
            c.queue_run = QueueRunOptions()
        return c.queue_run

    def _select(self, word: str) -> None:
        """-R and -S with their flags."""
        run = self._run_options()
        rest = word[2:]
        flags = ""
        m = re.match(r"(r?f{0,2})\Z", rest)
        if m is not None:
            flags, rest = m[1], ""
        text = rest or self._next(word[:2], "string")
        run.force |= "f" in flags
        run.force_frozen |= "ff" in flags
        if word[1] == "R":
            run.recipient, run.recipient_regex = text, "r" in flags
        else:
            run.sender, run.sender_regex = text, "r" in flags

    def _finish(self) -> None:
        """What can only be decided when everything has been read."""
        c = self.command
        runs = [] if c.queue_run is None else [c.queue_run, *c.more_runs]
        if c.listen or any(run.interval is not None for run in runs):
            self._mode("daemon")
            if c.inherit_socket and runs:
                raise _incompatible()
        elif c.queue_run is not None:
            self._queue_asked(c.queue_run)
        mode = choose(self.asked)
        if mode is None:
            raise _incompatible()
        if ("bi" in self.asked and c.arguments) or (mode in ("daemon", "queue", "bf") and c.arguments):
            raise _incompatible()
        if c.sender is not None and mode in ("daemon", "smtp", "batch"):
            raise _incompatible()
        if c.extract_recipients and not WITHOUT_T.isdisjoint(self.asked):
            raise _incompatible()
        if c.set_message is not None and mode not in ("be", "action", "M"):
            raise _incompatible()
        c.mode = mode or ("help" if not self.any else "receive")
        if c.mode == "bem":
            c.mode = "be"
        if c.name in ("rsmtp",):
            c.error_mode = "b"

    def _queue_asked(self, run: QueueRunOptions) -> None:
        """A single queue run; -qG alone beside another action only says which queue that is for."""
        only_names = run.queue_name is not None and run == QueueRunOptions(queue_name=run.queue_name)
        if not (only_names and self.asked) and not (only_names and self.command.arguments):
            self._mode("queue")


def _raise(error: Exception) -> str:
    raise error


def _set(name: str, value: object) -> Callable[[Command], None]:
    def setter(c: Command) -> None:
        setattr(c, name, value)
    return setter


def _ti(c: Command) -> None:
    c.extract_recipients, c.dot_ends = True, False


def _no_delivery(c: Command) -> None:
    c.dont_deliver = c.verbose = True


_SIMPLE: Final[dict[str, Callable[[Command], None]]] = {
    "-t": _set("extract_recipients", True), "-ti": _ti,
    "-i": _set("dot_ends", False), "-oi": _set("dot_ends", False), "-oitrue": _set("dot_ends", False),
    "-tls-on-connect": _set("tls_on_connect", True),
    "-v": _set("verbose", True), "-ov": _set("verbose", True),
    "-N": _no_delivery, "-G": _set("suppress_fixups", True),
    "-bnq": _set("no_qualify", True), "-oY": _set("no_notifier", True),
}
_VALUES: Final = frozenset({"-C", "-f", "-r", "-F", "-h", "-L", "-O", "-X", "-z"})
_O_VALUES: Final = lazy_pattern(r"-o[ABPXrs]")


def parse(name: str, arguments: list[str]) -> Command:
    """Read a command line; raise UsageError with Exim's text."""
    return Parser(name, arguments).parse()
