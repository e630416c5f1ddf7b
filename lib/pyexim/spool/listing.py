"""Read what a queue listing shows of a message, and nothing else, fast.

For 10,000 messages on the queue every microsecond counts (mailq): the envelope is cut out of the file
with a few searches; only a file with ACL variables or with deliveries done goes through the real parser.
"""

from __future__ import annotations

import os
import re

from pyexim.base.errors import SpoolError
from pyexim.base.messageid import is_message_id
from pyexim.base.record import dataclass
from pyexim.spool.header_read import parse_header_file
from pyexim.spool.locked import read_file, read_journal
from pyexim.spool.names import SpoolSettings, directory_for
from pyexim.spool.scan import subdirectories

_skip_header = re.compile(rb"([0-9]+)([^0-9]) ", re.DOTALL).match


@dataclass(slots=True)
class Listed:
    """One message as a listing shows it; ``error`` says what is wrong with its files, "" if nothing is.

    ``recipients`` are the addresses of the envelope, ``delivered`` those that are done, also generated
    ones.  ``size`` is header and body as $message_size counts them.
    """

    message_id: str
    queue_name: str
    sender: str = ""
    recipients: list[str] | None = None
    delivered: set[str] | frozenset[str] = frozenset()
    frozen: bool = False
    received_time: float = 0.0
    size: int = 0
    originator_login: str = ""
    sender_set_untrusted: bool = False
    warning_count: int = 0
    error: str = ""
    errno: int = 0


def message_ids(settings: SpoolSettings) -> list[tuple[str, str]]:
    """Return (id, subdirectory) of the queue's messages, in no particular order."""
    return [(name[:-2], subdirectory) for subdirectory, names in subdirectories(settings) for name in names
            if name.endswith("-H") and is_message_id(name[:-2])]


def list_queue(settings: SpoolSettings, *, ordered: bool = True) -> list[Listed]:
    """Read the queue for a listing, in the order of arrival or as it comes; a vanished message is left out."""
    found: list[Listed] = []
    for subdirectory, names in subdirectories(settings):
        directory = directory_for(settings, subdirectory)
        journals = {name[:-2] for name in names if name.endswith("-J")}
        for name in names:
            if name.endswith("-H") and is_message_id(name[:-2]):
                item = read_listed(settings, directory, name[:-2], journal=name[:-2] in journals)
                if item is not None:
                    found.append(item)
    if ordered:
        found.sort(key=lambda m: m.message_id)
    return found


def read_listed(settings: SpoolSettings, directory: str, message_id: str, *, journal: bool = True) -> Listed | None:
    """Read one message for a listing; None when it has gone."""
    try:
        data = read_file(f"{directory}/{message_id}-H")
    except FileNotFoundError:
        return None
    except OSError as e:
        return Listed(message_id, settings.queue_name, error=e.strerror or "cannot be read", errno=e.errno or 0)
    try:
        listed = _fast(data, message_id, settings.queue_name) or _slow(data, settings.queue_name)
    except SpoolError as e:
        return Listed(message_id, settings.queue_name, error=e.text, errno=e.errno or 0)
    try:
        listed.size += os.stat(f"{directory}/{message_id}-D").st_size - len(message_id) - 3
        if journal:
            listed.delivered = listed.delivered | read_journal(directory, message_id)
    except OSError as e:
        listed.error, listed.errno = e.strerror or "cannot be read", e.errno or 0
    except SpoolError as e:
        listed.error, listed.errno = e.text, e.errno or 0
    return listed


def _fast(data: bytes, message_id: str, queue_name: str) -> Listed | None:
    """Cut the envelope out of an ordinary file; None where the real parser must look."""
    end = data.find(b"\n\n")
    tree = data.find(b"\nXX\n", 0, end)
    if tree < 0 or data.find(b"-acl", 0, tree) >= 0:
        return None
    head = data[:tree].decode("latin-1")
    lines = head.split("\n", 4)
    if len(lines) < 5 or lines[0] != message_id + "-H":
        return None
    sender, times = lines[2], lines[3].split(" ")
    recipients = data[tree + 4:end].decode("latin-1").split("\n")
    count = recipients[0]
    if len(times) != 2 or not (times[0].isdigit() and times[1].isdigit() and count.isdigit()):
        return None
    if len(recipients) - 1 != int(count) or sender[:1] != "<" or sender[-1:] != ">" or not head.isascii():
        return None
    del recipients[0]
    if b"#" in data[tree:end]:
        return None
    login = lines[1]
    return Listed(message_id, queue_name, sender[1:-1], recipients, frozenset(), "\n-frozen " in head,
                  float(times[0]), _header_size(data, end + 2) + 1, login[:login.find(" ")],
                  "\n-sender_set_untrusted" in head, int(times[1]))


def _header_size(data: bytes, position: int) -> int:
    size = 0
    total = len(data)
    while position < total:
        match = _skip_header(data, position)
        if match is None:
            raise SpoolError("malformed spool header file: header line", 22)
        length, kind = match.groups()
        octets = int(length)
        position = match.end() + octets
        if kind != b"*":
            size += octets
    return size


def _slow(data: bytes, queue_name: str) -> Listed:
    message = parse_header_file(data)
    return Listed(message.message_id, queue_name, message.sender_address, [r.address for r in message.recipients],
                  message.nonrecipients, message.frozen_since is not None, message.received_time,
                  message.message_size + 1, message.originator_login, message.sender_set_untrusted,
                  message.warning_count)
