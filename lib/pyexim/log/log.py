"""The logs: main, reject and panic log in files or syslog.  Spec: chapter "Log files".

Each line is one ``write`` to a descriptor opened O_APPEND, which is reopened when its file has been
moved away.  A log that cannot be written must not stop the mail: the line goes to the panic log, or else to
standard error, and the caller goes on.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Final

from pyexim.base.clock import Clock, SystemClock
from pyexim.base.directories import make_directories
from pyexim.base.record import dataclass

if TYPE_CHECKING:
    from pyexim.log.debug import Debug

DEFAULT_SELECTORS: Final = frozenset({
    "acl_warn_skipped", "connection_reject", "delay_delivery", "dkim", "dnslist_defer", "etrn",
    "host_lookup_failed", "lost_incoming_connection", "msg_id", "queue_run", "rejected_header",
    "retry_defer", "sender_verify_fail", "size_reject", "skip_delivery", "smtp_confirmation",
    "tls_certificate_verified", "tls_cipher"})

_SYSLOG_LENGTH: Final = 870
"""Characters of a piece for syslog."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the logs need to know of the configuration."""

    file_path: str = ""
    """With %s for the log's name, and %D or %M for a date; "" when files are not written."""
    use_file: bool = True
    use_syslog: bool = False
    selectors: frozenset[str] = DEFAULT_SELECTORS
    timezone: bool = False
    """log_timezone: the offset is added to the time stamp."""
    millisec: bool = False
    pid: bool = False
    write_rejectlog: bool = True
    syslog_processname: str = "exim"
    syslog_facility: str = "mail"
    syslog_pid: bool = True
    syslog_timestamp: bool = True
    syslog_duplication: bool = True
    uid: int = -1
    gid: int = -1
    directory_mode: int = 0o750
    file_mode: int = 0o640
    utc: bool = False
    complaint: str = ""
    """What is wrong with these settings: the first line written is preceded by it, in the panic log too."""


class Log:
    """The logs of one process.

    Text is one character per octet; new lines inside become spaces.  ``message_id`` stands after the
    time stamp.
    """

    def __init__(self, settings: LogSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._selectors = settings.selectors
        self._open: dict[str, tuple[int, str, int, int]] = {}
        self._complaint = settings.complaint
        self._second = -1
        self._stamp = ""
        self._syslog_opened = False
        self.stderr = False
        """Panics also go to standard error (a command, not the daemon)."""
        self.to_stderr = False
        """-bh: everything goes to standard error instead of the logs, as "LOG: ..."."""
        self.debug: Debug | None = None
        """-v, -d: every line is shown on standard error as well, those of selectors that are off among them."""

    def selected(self, selector: str) -> bool:
        """Tell whether a log selector is on."""
        return selector in self._selectors

    def wants(self, selector: str) -> bool:
        """Tell whether a line that depends on a selector is to be given to ``main``: for the log, or for -v to show."""
        return selector in self._selectors or self.debug is not None

    # -- lines

    def time_stamp(self) -> str:
        """Return the time stamp of a log line, with milliseconds and zone as configured."""
        now = self.clock.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        text = self._stamp
        if self.settings.millisec:
            text += f".{int(now * 1000) % 1000:03d}"
        if self.settings.timezone:
            text += time.strftime(" %z", time.localtime(second))
        return text

    def line(self, text: str, message_id: str | None = None, raw: bool = False, *, syslog: bool = False) -> str:
        """Return a whole line with time stamp, process id if selected, and message id; as it is for syslog."""
        s = self.settings
        if not syslog:
            head = self.time_stamp() + " "
            if s.pid:
                head += f"[{os.getpid()}] "
        else:
            head = self.time_stamp() + " " if s.syslog_timestamp else ""
            if s.pid and s.syslog_pid:
                head += f"[{os.getpid()}] "
        if message_id:
            head += message_id + " "
        if "\n" in text and not raw:
            text = text.replace("\n", " ")
        return f"{head}{text}\n"

    def main(self, text: str, *, message_id: str | None = None, raw: bool = False, selector: str = "") -> None:
        """Write to the main log; ``raw`` keeps new lines, for texts of our own that have them.

        ``selector`` is the log selector that the line depends on, if it does.
        """
        if self.debug is not None:
            self.debug.log("MAIN", text, selector)
        if selector and selector not in self._selectors:
            return
        self._write("main", text, message_id, raw=raw)

    def reject(self, text: str, *, message_id: str | None = None, headers: str = "",
               also_main: bool = True) -> None:
        """Write a rejection to the main log and to the reject log, there with the message's header."""
        if self.debug is not None:
            self.debug.log("MAIN REJECT" if also_main else "REJECT", text)
        if also_main:
            self._write("main", text, message_id, twin=self.settings.write_rejectlog)
        if self.settings.write_rejectlog:
            self._write("reject", text, message_id, headers, duplicate=also_main)

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True, raw: bool = False) -> None:
        """Write to the panic log and the main log: something is wrong with this program or its set-up.

        ``raw`` is as with ``main``, for a text that goes to the panic log alone.
        """
        if not also_main:
            self._write("panic", text, message_id, raw=raw)
            return
        if self.debug is not None:
            self.debug.log("MAIN PANIC", text)  # which is on standard error, too
            if self.debug.panic_triggers:
                self.debug.trigger()
        self._write("main", text, message_id, twin=True)
        self._write("panic", text, message_id, duplicate=True)
        if self.stderr and not self.to_stderr and self.debug is None:
            self._stderr(self.line(text, message_id))

    def crash(self, text: str) -> None:
        """Write a traceback to the panic log, on one line; the main log only learns that there is one."""
        line = text.rstrip("\n").replace("\n", " | ")
        self._write("main", "unexpected error in this program: see the panic log", None)
        self._write("panic", "unexpected error: " + line, None, duplicate=True)

    def close(self) -> None:
        """Close the files; the next line opens them anew."""
        for fd, _, _, _ in self._open.values():
            os.close(fd)
        self._open.clear()

    # -- where they go

    def _write(self, name: str, text: str, message_id: str | None, extra: str = "",
               duplicate: bool = False, raw: bool = False, twin: bool = False) -> None:
        """Write a line; it is a ``duplicate`` of one written before, or has a ``twin`` that follows."""
        line = self.line(text, message_id, raw)
        if self.to_stderr:
            if not duplicate and not (self.debug is not None and self.debug.chosen):  # (which has shown it)
                self._stderr(f"LOG: {message_id + ' ' if message_id else ''}{text}\n")
            return
        if self.settings.use_file:
            if self._complaint:
                complaint, self._complaint = self._complaint, ""
                self.panic(complaint, message_id=message_id)
            self._to_file(name, line + extra)
        if self.settings.use_syslog and not (twin and not self.settings.syslog_duplication):
            self._to_syslog(name, text, message_id, extra, raw)

    @staticmethod
    def _stderr(text: str) -> None:
        try:
            sys.stderr.flush()
            os.write(2, text.encode("latin-1", "replace"))
        except (OSError, ValueError):
            pass

    def _path(self, name: str) -> str:
        path = self.settings.file_path
        now = time.localtime(self.clock.time())
        if "%D" in path:
            path = path.replace("%D", "" if name == "panic" else time.strftime("%Y%m%d", now))
        if "%M" in path:
            path = path.replace("%M", "" if name == "panic" else time.strftime("%Y%m", now))
        return path.replace("%s", name)

    def _descriptor(self, name: str) -> int:
        """Return the descriptor of a log, opened anew when its file has been moved or removed."""
        path = self._path(name)
        have = self._open.get(name)
        if have is not None:
            fd, old_path, inode, device = have
            try:
                st = os.stat(path)
                if old_path == path and st.st_ino == inode and st.st_dev == device:
                    return fd
            except OSError:
                pass
            os.close(fd)
            del self._open[name]
        fd = self._create(path)
        st = os.fstat(fd)
        self._open[name] = fd, path, st.st_ino, st.st_dev
        return fd

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, self.settings.file_mode)
        except FileNotFoundError:
            directory = os.path.dirname(path)
            make_directories(directory, self.settings.directory_mode, self.settings.uid, self.settings.gid)
            fd = os.open(path, flags, self.settings.file_mode)
        if os.geteuid() == 0 and self.settings.uid >= 0:
            st = os.fstat(fd)
            if stat.S_ISREG(st.st_mode) and st.st_uid == 0:
                os.fchown(fd, self.settings.uid, self.settings.gid)
        return fd

    def open_debug_file(self, tag: str) -> tuple[int, str]:
        """Open the file that ``control = debug`` writes to; (descriptor, path).  OSError."""
        path = self._path("debug")
        if "/" not in path:
            raise FileNotFoundError(2, "no log files")
        path += tag
        return self._create(path), path

    def _to_file(self, name: str, text: str) -> None:
        data = text.encode("latin-1", "replace")
        try:
            fd = self._descriptor(name)
        except OSError as e:
            self._failed(name, f'Cannot open {name} log file "{self._path(name)}": {e.strerror}: '
                               f"euid={os.geteuid()} egid={os.getegid()}", text)
            return
        try:
            while data:
                data = data[os.write(fd, data):]
        except OSError as e:
            self._failed(name, f"failed to write to {name} log: length={len(data)} result=-1 errno={e.errno} "
                               f"({os.strerror(e.errno or errno.EIO)})", data.decode("latin-1"))

    def _failed(self, name: str, why: str, lost: str) -> None:
        """A log cannot be written: say so where that is still possible, with what is lost, and go on."""
        text = lost + self.line(why)
        if name != "panic":
            try:
                os.write(self._descriptor("panic"), text.encode("latin-1", "replace"))
                return
            except OSError:
                pass
        self._stderr(text)

    def _to_syslog(self, name: str, text: str, message_id: str | None, extra: str, raw: bool) -> None:
        import syslog  # only where it is configured

        s = self.settings
        if not self._syslog_opened:
            facility = getattr(syslog, "LOG_" + s.syslog_facility.upper().removeprefix("LOG_"), syslog.LOG_MAIL)
            syslog.openlog(s.syslog_processname, syslog.LOG_PID, facility)
            self._syslog_opened = True
        level = {"main": syslog.LOG_INFO, "reject": syslog.LOG_NOTICE}.get(name, syslog.LOG_ALERT)
        line = self.line(text, message_id, raw, syslog=True)
        pieces: list[tuple[str, str]] = []
        for one in (line + extra).rstrip("\n").split("\n"):
            parts = [one[i:i + _SYSLOG_LENGTH] for i in range(0, len(one), _SYSLOG_LENGTH)] or [""]
            pieces += [("/", part) for part in parts[:-1]] + [("\\", parts[-1])]
        for number, (end, piece) in enumerate(pieces, 1):
            # Where a piece ends with a line the next one begins a line; the last one has nothing after it.
            sign = "/" if number == len(pieces) else end
            syslog.syslog(level, piece if len(pieces) == 1 else f"[{number}{sign}{len(pieces)}] {piece}")
