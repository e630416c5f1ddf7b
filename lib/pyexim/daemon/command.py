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
from typing import Final

from pyexim import fdpass, settings
from pyexim.daemon import client

BACKLOG: Final = 128
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


def serve(sock: socket.socket, run_command: Callable[[list[str]], int], current: Callable[[list[str]], bool]) -> int:
    """Read one request, become the caller, run the command, send the exit code; in a child of the daemon.

    ``current(configuration files)`` tells whether the configuration in memory is still what a new
    process would read; if it is not, the client is told to run by itself.
    """
    _, uid, gid = peer_of(sock)
    sock.settimeout(10)
    try:
        got = fdpass.receive(sock)
    except (OSError, fdpass.PassError):
        return 1
    if got is None:
        return 0
    record, fds = got
    if record["type"] != "command" or len(fds) != 3 or not current(record.get("files", [])):
        fdpass.send(sock, {"type": "decline"})
        return 0
    sock.settimeout(None)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update({k: v for k, v in record.get("env", {}).items() if k in ENVIRONMENT})
    os.umask(int(record.get("umask", 0o022)) & 0o777)
    _become_caller(uid, gid)
    try:
        os.chdir(str(record.get("cwd", "/")))
    except OSError:
        os.chdir("/")
    code = run_command([str(a) for a in record["argv"]])
    try:
        fdpass.send(sock, {"type": "exit", "code": code})
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
