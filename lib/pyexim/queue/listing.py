"""What -bp and its relatives print.  Reading the files is the business of ``spool.listing``.

Spec: chapter "The Exim command line", -bp, -bpa, -bpc, -bpi, -bpr, -bpra, -bpri, -bpru, -bpu.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from pyexim.base.messageid import is_message_id
from pyexim.base.record import dataclass
from pyexim.queue import fastlist
from pyexim.spool.api import SpoolSettings, find
from pyexim.spool.listing import Listed, list_queue, message_ids, read_listed
from pyexim.spool.names import directory_for
from pyexim.spool.scan import subdirectories

_FLUSH = 65536


@dataclass(frozen=True, slots=True)
class Style:
    """Which variant: ``ordered`` by time of arrival; ``generated`` (-bpa) shows delivered addresses that
    came from others; ``undelivered`` (-bpu) hides what is delivered; ``ids_only`` (-bpi)."""

    ordered: bool = True
    generated: bool = False
    undelivered: bool = False
    ids_only: bool = False


def style_of(flags: str) -> Style:
    """Return the style that the letters after -bp ask for ("" , "a", "r", "ra", "u", "ru", "i", "ri")."""
    return Style("r" not in flags, "a" in flags, "u" in flags, "i" in flags)


def count(settings: SpoolSettings) -> int:
    """Return the number of messages on the queue (-bpc)."""
    return len(message_ids(settings))


def write_listing(settings: SpoolSettings, style: Style, ids: list[str], now: float,
                  write: Callable[[str], object]) -> None:
    """Write the listing of the queue, or of the messages with these ids only."""
    if ids:
        messages = [_one(settings, message_id) for message_id in ids]
    elif style.ids_only:
        found = [message_id for message_id, _ in message_ids(settings)]
        write("".join(f"{i}\n" for i in (sorted(found) if style.ordered else found)))
        return
    elif not style.generated and not style.undelivered and _write_fast(settings, style, now, write):
        return
    else:
        messages = list_queue(settings, ordered=style.ordered)
    pieces: list[str] = []
    size = 0
    for message in messages:
        text = f"{message.message_id}\n" if style.ids_only else format_message(message, style, now, settings)
        pieces.append(text)
        size += len(text)
        if size > _FLUSH:
            write("".join(pieces))
            pieces, size = [], 0
    write("".join(pieces))


def _write_fast(settings: SpoolSettings, style: Style, now: float, write: Callable[[str], object]) -> bool:
    """Write the listing of a queue without subdirectories; False where the other way must do it."""
    found = subdirectories(settings)
    if sum(1 for _, names in found if any(n.endswith("-H") for n in names)) > 1:
        return False
    for subdirectory, names in found:
        ids = [n[:-2] for n in names if n.endswith("-H") and is_message_id(n[:-2])]
        if not ids:
            continue
        if style.ordered:
            ids.sort()
        journals = {n[:-2] for n in names if n.endswith("-J")}
        directory = directory_for(settings, subdirectory)

        def slow(message_id: str, where: str = directory) -> str:
            listed = read_listed(settings, where, message_id)
            return "" if listed is None else format_message(listed, style, now, settings)

        parts = [partial(fastlist.format_ids, directory, share, now, journals, slow, format_age, format_size)
                 for share in fastlist.shares(ids)]
        fastlist.write_shared(parts, lambda data: write(data.decode("latin-1")))
    return True


def _one(settings: SpoolSettings, message_id: str) -> Listed:
    place = find(settings, message_id) if is_message_id(message_id) else None
    if place is not None:
        listed = read_listed(settings, directory_for(settings, place.subdirectory), message_id)
        if listed is not None:
            return listed
    return Listed(message_id, settings.queue_name, error=os.strerror(2), errno=2)


def format_message(message: Listed, style: Style, now: float, settings: SpoolSettings) -> str:
    """Return the lines of one message, with the empty line after them."""
    if message.error:
        if message.errno == 22:
            size = _header_size(message, settings)
            return f"      {message.message_id}\n    *** spool format error: size={size} ***\n\n"
        return f"      {message.message_id}\n    *** spool read error: {message.error} ***\n\n"
    who = f"({message.originator_login}) " if message.sender_set_untrusted else ""
    frozen = " *** frozen ***" if message.frozen else ""
    out = [f"{format_age(now - message.received_time)} {format_size(message.size)} {message.message_id} "
           f"{who}<{message.sender}>{frozen}\n"]
    delivered = message.delivered
    recipients = message.recipients or []
    if not delivered:
        out += [f"          {r}\n" for r in recipients]
    else:
        for recipient in recipients:
            if recipient not in delivered:
                out.append(f"          {recipient}\n")
            elif not style.undelivered:
                out.append(f"        D {recipient}\n")
        if style.generated:
            known = set(recipients)
            out += [f"       +D {address}\n" for address in sorted(delivered) if address not in known]
    out.append("\n")
    return "".join(out)


def _header_size(message: Listed, settings: SpoolSettings) -> int:
    place = find(settings, message.message_id)
    if place is None:
        return 0
    try:
        return os.stat(f"{directory_for(settings, place.subdirectory)}/{message.message_id}-H").st_size
    except OSError:
        return 0


def format_age(seconds: float) -> str:
    """Return how long a message has been here: minutes to 90, hours to 72, then days."""
    number, unit = int(seconds) // 60, "m"
    if number > 90:
        number, unit = (number + 30) // 60, "h"
        if number > 72:
            number, unit = (number + 12) // 24, "d"
    return f"{number:2d}{unit}"


def format_size(size: int) -> str:
    """Return a size in five columns as -bp shows it."""
    if size < 1024:
        return f"{size:5d}"
    if size < 10 * 1024:
        return f"{size / 1024:4.1f}K"
    if size < 1024 * 1024:
        return f"{(size + 512) // 1024:4d}K"
    if size < 10 * 1024 * 1024:
        return f"{size / (1024 * 1024):4.1f}M"
    return f"{(size + 512 * 1024) // (1024 * 1024):4d}M"
