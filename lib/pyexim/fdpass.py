"""Records between processes, with open descriptors (SCM_RIGHTS), over Unix sockets.

A record is a JSON object on a SOCK_SEQPACKET (or SOCK_DGRAM) socket: one packet, one record.  Every
record has "type"; the receiver checks type and fields.  Descriptors arrive close-on-exec.  Records
larger than a packet may be carried by a descriptor of a temporary file instead (``send_large``).
"""

from __future__ import annotations

import array
import json
import os
import socket
import stat
from typing import Any, Final

MAX_RECORD: Final = 96 * 1024
MAX_SPILLED: Final = 256 * 1024 * 1024
"""Octets of a record in a file: more than a header file can have, less than would hurt."""
MAX_FDS: Final = 16
_SPACE: Final = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)

Record = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class PassError(Exception):
    """What arrived is no record: cut off, malformed, or with descriptors lost on the way."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair of sockets for records."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, record: Record, fds: tuple[int, ...] | list[int] = ()) -> None:
    """Send a record and copies of descriptors; OSError, BlockingIOError on a full non-blocking socket."""
    data = _encode(record).encode("ascii")
    passed = list(fds)
    spill = -1
    try:
        if len(data) > MAX_RECORD:
            spill = _spill(data)
            data = b'{"type":"spilled"}'
            passed.insert(0, spill)
        if passed:
            sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))])
        else:
            sock.send(data)
    finally:
        if spill >= 0:
            os.close(spill)


def receive(sock: socket.socket, *, spilled: bool = True) -> tuple[Record, list[int]] | None:
    """Receive a record and its descriptors; None at the end of the stream.

    A peer that is not trusted must not have us read a file of its choice: ``spilled`` is False for it.

    Raises PassError (after closing what arrived) and OSError.
    """
    data, control, flags, _ = sock.recvmsg(MAX_RECORD + 4096, _SPACE, socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, payload in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(payload[:len(payload) - len(payload) % numbers.itemsize])
            fds.extend(numbers)
    if not data and not fds:
        return None
    try:
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise PassError("a record or its descriptors were cut off")
        record = _decode(data)
        if record.get("type") == "spilled" and fds and spilled:
            fd = fds.pop(0)
            try:
                record = _decode(_read_all(fd))
            finally:
                os.close(fd)
        return record, fds
    except (PassError, OSError):
        for fd in fds:
            os.close(fd)
        raise


def _decode(data: bytes) -> Record:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise PassError(f"not a record: {e}") from None
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise PassError("not a record: no type")
    return record


def _spill(data: bytes) -> int:
    """Put a large record into an unnamed file; its descriptor, positioned at the start."""
    import tempfile  # heavy, and most of them are small

    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.flush()
        f.seek(0)
        return os.dup(f.fileno())


def _read_all(fd: int) -> bytes:
    st = os.fstat(fd)
    if not stat.S_ISREG(st.st_mode) or st.st_size > MAX_SPILLED:
        raise PassError("the file of a record is not one, or too large")
    chunks = []
    offset = 0
    while offset <= MAX_SPILLED and (chunk := os.pread(fd, 1 << 20, offset)):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)
