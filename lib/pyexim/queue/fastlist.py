"""The queue listing for long queues: -H files cut up as octets, and the work shared between the processors.

What is not an ordinary file (deliveries done, ACL variables, something odd) is left to the caller's
slow way.  Nothing here decides how a line looks: ``listing`` does, this module agrees with it, and a
test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from pyexim import child

SHARE_FROM: Final = 1000
"""Messages from which on the work is shared."""

Slow = Callable[[str], str]
"""Format one message the careful way: id in, lines out ("" when it has gone)."""


def format_ids(directory: str, ids: list[str], now: float, journals: set[str], slow: Slow,
               age: Callable[[float], str], size: Callable[[int], str]) -> bytes:
    """Return the lines of messages in one directory, in the order given."""
    out: list[bytes] = []
    append = out.append
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    ages: dict[int, bytes] = {}
    sizes: dict[int, bytes] = {}
    minute = int(now)
    opens, reads, closes, stats = os.open, os.read, os.close, os.stat
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        for message_id in ids:
            try:
                file = opens(message_id + "-H", flags, dir_fd=fd)
                data = reads(file, 16384)
                closes(file)
                fields = None if message_id in journals or len(data) == 16384 else cut(data)
                if fields is None:
                    append(slow(message_id).encode("latin-1"))
                    continue
                body = stats(message_id + "-D", dir_fd=fd).st_size - len(message_id) - 3
            except OSError:
                append(slow(message_id).encode("latin-1"))
                continue
            login, sender, received, recipients, octets = fields
            total, since = octets + 1 + body, (minute - received) // 60
            text = ages.get(since)
            if text is None:
                text = ages[since] = age(float(minute - received)).encode()
            shown = sizes.get(total)
            if shown is None:
                shown = sizes[total] = size(total).encode()
            append(b"%b %b %b %b%b\n          %b\n\n" % (
                text, shown, message_id.encode(), login, sender,
                recipients if b"\n" not in recipients else recipients.replace(b"\n", b"\n          ")))
    finally:
        os.close(fd)
    return b"".join(out)


def cut(data: bytes) -> tuple[bytes, bytes, int, bytes, int] | None:
    """Return (login part, sender part, time of reception, recipients, octets of header) of an ordinary -H file."""
    end = data.find(b"\n\n")
    tree = data.find(b"\nXX\n", 0, end)
    if tree < 0:
        return None
    lines = data[:tree].split(b"\n", 4)
    if len(lines) < 5:
        return None
    _, who, sender, times, options = lines
    if b"-acl" in options or sender[:1] != b"<" or sender[-1:] != b">":
        return None
    count, _, recipients = data[tree + 4:end].partition(b"\n")
    if not count.isdigit() or b"#" in recipients or recipients.count(b"\n") + 1 != int(count) or not recipients:
        return None
    login = b""
    if b"-sender_set_untrusted" in options:
        login = b"(" + who.partition(b" ")[0] + b") "
    if b"-frozen " in options:
        sender += b" *** frozen ***"
    position, total, octets = end + 2, len(data), 0
    while position < total:
        length = data[position:position + 3]
        if data[position + 4:position + 5] != b" " or not length.isdigit():
            return None
        number = int(length)
        if data[position + 3] != 42:  # "*": deleted
            octets += number
        position += 5 + number
    received = times.partition(b" ")[0]
    if not received.isdigit():
        return None
    return login, sender, int(received), recipients, octets


def write_shared(parts: Sequence[Callable[[], bytes]], write: Callable[[bytes], object]) -> None:
    """Write the results of several pieces of work in their order, each but the first done by a child process."""
    running: list[tuple[int, int]] = []
    for part in parts[1:]:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        pid = child.fork(_job(part, write_end, read_end))
        os.close(write_end)
        running.append((pid, read_end))
    write(parts[0]())
    for pid, read_end in running:
        while chunk := os.read(read_end, 1 << 18):
            write(chunk)
        os.close(read_end)
        child.wait(pid)


def _job(part: Callable[[], bytes], write_end: int, read_end: int) -> Callable[[], int]:
    def job() -> int:
        os.close(read_end)
        data = memoryview(part())
        while data:
            data = data[os.write(write_end, data):]
        return 0

    return job


def shares(ids: list[str]) -> list[list[str]]:
    """Divide the work among the processors, in order; one share where it would not pay."""
    processors = min(os.cpu_count() or 1, 4)
    if len(ids) < SHARE_FROM or processors == 1:
        return [ids]
    step = -(-len(ids) // processors)
    return [ids[i:i + step] for i in range(0, len(ids), step)]
