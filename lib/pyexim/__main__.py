"""The program's beginning: hand the command to the daemon if one serves it, else start the real thing.

``sendmail`` is called once per message by other programs, so this file imports nothing but built-in
modules until it knows that the daemon cannot do the work.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEVER = ("-bd", "-bdf", "-bi")
"""Modes that start something of their own rather than ask the daemon."""


def socket_name(configuration: str, macros: dict[str, str]) -> str:
    """Return the file name of the command socket for a configuration file list and -D macros."""
    import zlib

    text = configuration + "\0" + "\0".join(f"{k}={v}" for k, v in sorted(macros.items()))
    return f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}.sock"


def _wanted(arguments: list[str]) -> tuple[str, dict[str, str]] | None:
    """Look through the arguments: (configuration list, macros), or None where the daemon cannot serve."""
    configuration = ""
    macros = {}
    words = iter(arguments)
    for word in words:
        if not word.startswith("-") or word == "--":
            break
        if word in _NEVER or word.startswith(("-d", "-MC", "-bh", "-be", "-bw", "-oPX", "-X", "-L")):
            return None
        if word[:2] == "-q" and word[-1:] in "smhdw" and any(c.isdigit() for c in word):
            return None
        if word == "-C":
            configuration = next(words, "")
        elif word.startswith("-C"):
            configuration = word[2:]
        elif word.startswith("-D"):
            name, _, value = word[2:].partition("=")
            macros[name.strip()] = value.strip()
        elif word in ("-f", "-F", "-r", "-h", "-oX", "-oP", "-oA", "-O", "-or", "-os", "-L", "-oMa", "-oMaa", "-oMai",
                      "-oMas", "-oMi", "-oMm", "-oMr", "-oMs", "-oMt"):
            next(words, "")
    if configuration:
        from pyexim import settings

        if configuration == settings.CONFIGURE_FILE:
            configuration = ""
    return ":".join(os.path.abspath(f) for f in configuration.split(":") if f), macros


def _ask_daemon(name: str, arguments: list[str]) -> int | None:
    """Have the daemon do the work; the exit code, or None if no daemon took it."""
    wanted = _wanted(arguments)
    if wanted is None:
        return None
    file_name = socket_name(*wanted)
    for owner, directory in ((0, _directory()), (os.getuid(), f"/tmp/.pyexim-{os.getuid()}")):
        path = f"{directory}/{file_name}"
        try:
            st = os.stat(path)
        except OSError:
            continue
        if st.st_uid == owner:
            return _converse(path, owner, [name, *arguments], wanted[0])
    return None


def _directory() -> str:
    from pyexim import settings

    return settings.COMMAND_DIRECTORY


def _converse(path: str, owner: int, argv: list[str], files: str) -> int | None:
    """Send the request, wait for the exit code."""
    import _socket
    import json
    from array import array

    sock: Any = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
        credentials = array("i", sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if credentials[1] != owner:
            return None
        mask = os.umask(0)
        os.umask(mask)
        names = ("TZ", "HOME", "LOGNAME", "USER", "TERM", "LANG", "LC_ALL")
        try:
            cwd = os.getcwd()
        except OSError:
            cwd = "/"
        record = {"type": "command", "argv": argv, "umask": mask, "cwd": cwd,
                  "files": files.split(":") if files else [],
                  "env": {k: os.environ[k] for k in names if k in os.environ}}
        data = json.dumps(record).encode("ascii")
        if len(data) > 90_000:
            return None
        sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array("i", [0, 1, 2]))])
        answer = sock.recv(4096)
    except OSError:
        return None
    finally:
        sock.close()
    if not answer:
        # The daemon's child took the request and died: nobody knows what it had done.
        sys.stderr.write("pyexim: the daemon gave no answer\n")
        return 75
    got = json.loads(answer)
    return int(got["code"]) if got["type"] == "exit" else None


def start(arguments: list[str]) -> int:
    """Run the program; ``arguments[0]`` is the name it was called by."""
    name = arguments[0].rpartition("/")[2]
    if name.startswith("exi") and name != "exim":
        from pyexim.tools.table import TOOLS, run

        if name in TOOLS:
            return run(name, arguments[1:])
    code = _ask_daemon(arguments[0], arguments[1:])
    if code is not None:
        return code
    from pyexim.cli.main import main

    return main(arguments)


def _open_standard_streams() -> None:
    """See to it that descriptors 0, 1 and 2 are open: what is opened later must not come to lie there."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")


if __name__ == "__main__":
    _open_standard_streams()
    # bin/pyexim starts this file in isolated mode without site, so that start-up is short and no
    # caller's environment reaches the interpreter; the libraries' place is added here.
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[0] = here
    packages = os.path.join(os.path.dirname(os.path.dirname(sys.executable)), "lib",
                            f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    if packages not in sys.path:
        sys.path.append(packages)
    # Octets in and out: one character each, as everywhere inside (base/octets.py).
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="latin-1", errors="replace")  # type: ignore[union-attr]
    code = start([os.fsencode(argument).decode("latin-1") for argument in sys.argv[1:]])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass
    os._exit(code)
