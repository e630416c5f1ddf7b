"""The command socket: ``sendmail`` and its relatives without starting an interpreter from nothing.

The client passes its arguments, a part of its environment, its working directory and umask, and its
descriptors 0, 1 and 2; a child of the daemon does the work under the caller's real uid, as a set-uid
program would, and sends back the exit code.  Who the caller is, the kernel says (SO_PEERCRED), never
the client.  The client's half is ``daemon.client``, which must import as little as possible.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from pyexim import fdpass, settings
from pyexim.base.record import dataclass
from pyexim.daemon import client

BACKLOG: Final = 128
MAX_OF_A_USER: Final = 250
"""Commands of one user (root excepted) that are served at a time."""
ENVIRONMENT: Final = ("TZ", "HOME", "LOGNAME", "USER", "TERM", "LANG", "LC_ALL")
"""What of the caller's environment is passed on; keep_environment is applied to it."""


def socket_name(configuration: str, macros: dict[str, str]) -> str:
    """Return the file name of the socket for a configuration file list and -D macros.

    The client must come to the same.
    """
    return client.socket_name(configuration, macros)


def directory(uid: int) -> str:
    """Return the directory for sockets of daemons of this user."""
    return settings.COMMAND_DIRECTORY if uid == 0 else f"/tmp/.pyexim-{uid}"


def listen(path: str) -> socket.socket | None:
    """Return the listening socket, or None where it cannot be made (the commands then run by themselves)."""
    where = os.path.dirname(path)
    try:
        if os.geteuid() == 0:
            os.makedirs(where, 0o755, exist_ok=True)
        else:
            os.makedirs(where, 0o700, exist_ok=True)
        st = os.lstat(where)
        if st.st_uid != os.geteuid() or (st.st_mode & 0o022):
            return None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        old = os.umask(0 if os.geteuid() == 0 else 0o077)
        try:
            sock.bind(path)
        finally:
            os.umask(old)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        return None
    return sock


def peer_of(sock: socket.socket) -> tuple[int, int, int]:
    """Return (process id, uid, gid) of the caller, from the kernel."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, checked: anybody may have written it."""

    argv: list[str]
    files: list[str]
    env: dict[str, str]
    cwd: str
    umask: int


def parse_request(record: fdpass.Record) -> Request | None:
    """Return the request in a record; None where it is none."""
    argv, files = record.get("argv"), record.get("files", [])
    env, cwd, mask = record.get("env", {}), record.get("cwd", "/"), record.get("umask", 0o022)
    if record["type"] != "command" or not _is_words(argv) or not argv or not _is_words(files) \
            or not isinstance(env, dict) or not _is_words(list(env.values())) or not _is_words([cwd]) \
            or not isinstance(mask, int):
        return None
    return Request(argv, files, {k: v for k, v in env.items() if k in ENVIRONMENT}, cwd, mask & 0o777)


def _is_words(value: Any) -> bool:
    """Tell whether a value is a list of what the system takes for an argument or a name: octets without NUL."""
    if not isinstance(value, list):
        return False
    for word in value:
        if not isinstance(word, str) or "\0" in word:
            return False
        try:
            word.encode("latin-1")
        except UnicodeEncodeError:
            return False
    return True


class Callers:
    """The children that serve commands, and for whom: no user may have the daemon fork without end."""

    def __init__(self) -> None:
        self._uids: dict[int, int] = {}

    def may(self, uid: int) -> bool:
        """Tell whether another command of a user is taken."""
        return uid == 0 or sum(1 for u in self._uids.values() if u == uid) < MAX_OF_A_USER

    def add(self, pid: int, uid: int) -> None:
        """Note a child."""
        self._uids[pid] = uid

    def discard(self, pid: int) -> None:
        """Forget a child that has ended, if it was one."""
        self._uids.pop(pid, None)


def decline(sock: socket.socket) -> None:
    """Tell a client, without waiting, to do the work itself."""
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        fdpass.send(sock, {"type": "decline"})


def serve(sock: socket.socket, run_command: Callable[[list[str]], int], current: Callable[[list[str]], bool]) -> int:
    """Read one request, become the caller, run the command, send the exit code; in a child of the daemon.

    ``current(configuration files)`` tells whether the configuration in memory is still what a new
    process would read; if it is not, the client is told to run by itself.
    """
    _, uid, gid = peer_of(sock)
    sock.settimeout(10)
    try:
        got = fdpass.receive(sock, spilled=False)
    except (OSError, fdpass.PassError):
        return 1
    if got is None:
        return 0
    record, fds = got
    request = parse_request(record) if len(fds) == 3 else None
    if request is None or not current(request.files):
        with contextlib.suppress(OSError):
            fdpass.send(sock, {"type": "decline"})
        return 0
    sock.settimeout(None)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environb.update({k.encode("ascii"): v.encode("latin-1") for k, v in request.env.items()})
    # With root's power it writes files that others use (logs, hints): their modes are no affair of the caller's.
    os.umask(0o022 if os.geteuid() == 0 else request.umask)
    _become_caller(uid, gid)
    try:
        os.chdir(request.cwd.encode("latin-1"))
    except OSError:
        os.chdir("/")
    code = run_command(request.argv)
    try:
        fdpass.send(sock, {"type": "exit", "code": code & 0xFF})
    except OSError:
        return 0
    return 0


def _become_caller(uid: int, gid: int) -> None:
    """Take on the caller's real ids and groups and keep root as effective uid, as a set-uid program has them."""
    if os.geteuid() != 0 or uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, 0, 0)
