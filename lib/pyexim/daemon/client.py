"""The client's half of the command socket: have the daemon do what a command is to do.

``sendmail`` is called once per message by other programs, and importing costs more time than anything else that
is done here: this file, and what it uses, imports nothing but ``os``, ``sys`` and modules that are part of the
interpreter.  So the record is written by hand; it is the JSON of ``fdpass``.  The other half is ``daemon.command``.

``src/launcher.c`` is the same once more in C, and spares the interpreter; this file serves where there is no C
compiler.  Change both: ``t/e2e/test_launcher.py`` compares them.  All text of a record is octets, one character each,
so that it does not depend on anybody's locale.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEVER = ("-bd", "-bdf", "-bi")
"""Modes that start something of their own rather than ask the daemon."""
_NEVER_BEGINNING = ("-d", "-MC", "-bh", "-be", "-bw", "-oPX", "-X", "-L")
"""And what the names of others begin with."""
_VALUED = ("-f", "-F", "-r", "-h", "-oX", "-oP", "-oA", "-O", "-or", "-os", "-oMa", "-oMaa", "-oMai", "-oMas", "-oMi",
           "-oMm", "-oMr", "-oMs", "-oMt")
"""Options with a value in the next word, as far as the daemon takes them."""
_SPACE = " \t\n\r\f\v"
_ENVIRONMENT = ("TZ", "HOME", "LOGNAME", "USER", "TERM", "LANG", "LC_ALL")
"""What of the environment is passed on."""
MAX_REQUEST = 90_000
"""Octets of a request; with more arguments than that a command runs by itself."""
MAX_MACROS = 10
"""As many -D as the program takes."""
_ANSWER = b'{"type":"exit","code":'
"""What an answer with an exit code begins with; any other means that the daemon has not done it."""


def socket_name(configuration: str, macros: dict[str, str]) -> str:
    """Return the file name of the command socket for a configuration file list and -D macros."""
    import zlib

    text = configuration + "\0" + "\0".join(f"{k}={v}" for k, v in sorted(macros.items()))
    return f"{zlib.crc32(text.encode('latin-1')):08x}.sock"


def absolute_files(configuration: str) -> str:
    """Return a colon-separated list of files with their absolute paths; raise OSError without a working directory."""
    return ":".join(os.path.abspath(f.encode("latin-1")).decode("latin-1") for f in configuration.split(":") if f)


def _wanted(arguments: list[str]) -> tuple[str, dict[str, str]] | None:
    """Look through the arguments: (configuration list, macros), or None where the daemon cannot serve."""
    configuration = ""
    macros: dict[str, str] = {}
    position = 0
    while position < len(arguments):
        word, following = arguments[position], arguments[position + 1:position + 2]
        position += 1
        if word == "--":
            break
        if not word.startswith("-"):
            # The first recipient, or a value that this table does not know of: then what follows still counts.
            if any(w.startswith(("-C", "-D")) for w in arguments[position:]):
                return None
            break
        if word in _NEVER or word.startswith(_NEVER_BEGINNING) or _is_periodic(word, following):
            return None
        if word == "-C":
            configuration = "".join(following)
            position += 1
        elif word.startswith("-C"):
            configuration = word[2:]
        elif word.startswith("-D"):
            name, _, value = word[2:].partition("=")
            name = name.strip(_SPACE)
            if name in macros or len(macros) == MAX_MACROS:
                return None
            macros[name] = value.lstrip(_SPACE)
        elif word in _VALUED:
            position += 1
    if configuration:
        from pyexim import settings

        if configuration == settings.CONFIGURE_FILE:
            configuration = ""
    try:
        return absolute_files(configuration), macros
    except OSError:
        return None


def _is_periodic(word: str, following: list[str]) -> bool:
    """Tell whether -q has a time, attached or in the next word, and so starts a daemon."""
    if word[:2] != "-q" or word[2:3] in ("R", "S"):
        return False
    if word[-1] in "smhdw" and any("0" <= c <= "9" for c in word):
        return True
    return bool(following and following[0] and "-" not in following[0])


def ask_daemon(name: str, arguments: list[str]) -> int | None:
    """Have the daemon do the work; the exit code, or None if no daemon took it (or it is none for a daemon)."""
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

    sock: Any = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
        credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if _ints(credentials)[1] != owner:
            return None
        data = _request(argv, files)
        if len(data) > MAX_REQUEST:
            return None
        three = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
        sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, three)])
        answer = sock.recv(4096)
    except OSError:
        return None
    finally:
        sock.close()
    if not answer:
        # The daemon's child took the request and died: nobody knows what it had done.
        sys.stderr.write("pyexim: the daemon gave no answer\n")
        return 75
    head, _, code = answer.partition(_ANSWER)
    return int(code[:-1]) if not head and code[-1:] == b"}" and code[:-1].isdigit() else None


def _ints(data: bytes) -> list[int]:
    return [int.from_bytes(data[i:i + 4], sys.byteorder) for i in range(0, len(data), 4)]


def _request(argv: list[str], files: str) -> bytes:
    """Return the record: arguments, umask, working directory, configuration files, a part of the environment."""
    mask = os.umask(0)
    os.umask(mask)
    try:
        cwd = os.getcwdb().decode("latin-1")
    except OSError:
        cwd = "/"
    values = {k: os.environb[k.encode()].decode("latin-1") for k in _ENVIRONMENT if k in os.environ}
    environment = ",".join(f"{_text(k)}:{_text(v)}" for k, v in values.items())
    return (f'{{"type":"command","argv":{_texts(argv)},"umask":{mask},"cwd":{_text(cwd)},'
            f'"files":{_texts(files.split(":") if files else [])},"env":{{{environment}}}}}').encode("ascii")


def _texts(values: list[str]) -> str:
    return f"[{','.join(map(_text, values))}]"


def _text(value: str) -> str:
    """Return a text as JSON, in ASCII."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    units = value.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)) + '"'
