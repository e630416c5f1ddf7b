"""The entrance to the spool: queued messages as files, in Exim's own format.

Spec: chapters "Format of spool files" and "How Exim receives and delivers mail".  The directory is
``spool_directory[/queue]/input[/c]/ID-{D,H,J}``; ``c`` is the sixth character of the id when the spool
is split (files are looked for in both places).  The -D file is locked with fcntl while a process works
on the message; a message exists from the moment its -H file has its final name.

What is where: ``names`` settings and directories; ``incoming`` a message being received; ``locked`` a
message at work; ``scan`` the queue and orphans; ``listing`` the fast way for mailq; ``header_read``,
``header_write`` and ``tree`` the -H file; ``locks`` the lock.
"""

from __future__ import annotations

from pyexim.spool.header_read import parse_header_file
from pyexim.spool.header_write import format_header_file
from pyexim.spool.incoming import NewMessage, create
from pyexim.spool.locked import LockedMessage, journal_lines, lock, read, remove_malformed
from pyexim.spool.names import QueuedMessage, SpoolSettings, append_line
from pyexim.spool.scan import find, message_log, queue_names, remove_orphans, scan

__all__ = [
    "LockedMessage",
    "NewMessage",
    "QueuedMessage",
    "SpoolSettings",
    "append_line",
    "create",
    "find",
    "format_header_file",
    "journal_lines",
    "lock",
    "message_log",
    "parse_header_file",
    "queue_names",
    "read",
    "remove_malformed",
    "remove_orphans",
    "scan",
]
