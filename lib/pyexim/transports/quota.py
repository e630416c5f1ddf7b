"""Quotas of mailboxes: reading the options, summing directories, maildirsize files.

Spec: chapter "The appendfile transport": quota, quota_filecount, quota_warn_threshold, mailbox_size,
quota_size_regex, and the section "Using a maildirsize file".
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.transports.paths import Refused

ERRNO_EXIMQUOTA: Final = -22
_NUMBER: Final = lazy_pattern(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([KkMmGg]?)\s*", re.ASCII)
_FACTOR: Final = {"": 1, "k": 1024, "m": 1024 ** 2, "g": 1024 ** 3}
MAX_SIZE_FILE: Final = 5120


@dataclass(slots=True)
class Quota:
    """What the options say for this delivery; 0 is no limit, -1 a size that has to be counted."""

    size: int = 0
    files: int = 0
    warn: int = 0
    warn_percent: bool = False
    no_check: bool = False
    files_no_check: bool = False
    mailbox_size: int = -1
    mailbox_files: int = -1

    def is_set(self) -> bool:
        """Tell whether the size of the mailbox matters at all."""
        return bool(self.size or self.files or self.warn)


def read_quota(options: Any, scope: Scope, name: str) -> Quota:
    """Expand the options; Refused where one yields no number."""
    quota = Quota()
    if options.quota is not None:
        quota.size, rest = _number(options.quota, scope, name)
        quota.no_check = "no_check" in rest
    if options.quota_filecount not in (None, "0"):
        quota.files, rest = _number(options.quota_filecount, scope, name)
        quota.files_no_check = "no_check" in rest
    if options.quota_warn_threshold not in (None, "0"):
        quota.warn, rest = _number(options.quota_warn_threshold, scope, name, percent=True)
        if rest.startswith("%"):
            quota.warn = quota.size * quota.warn // 100
    if options.mailbox_size is not None:
        quota.mailbox_size, _ = _number(options.mailbox_size, scope, name)
    if options.mailbox_filecount is not None:
        quota.mailbox_files, _ = _number(options.mailbox_filecount, scope, name)
    if quota.files and not quota.size:
        quota.files = 0
    return quota


def _number(source: str, scope: Scope, name: str, percent: bool = False) -> tuple[int, str]:
    try:
        text = expand(source, scope)
    except ExpansionError as e:
        raise Refused(f'Expansion of "{source}" in {name} transport failed: {e.text}', -1) from None
    match = _NUMBER.match(text)
    if match is None and not text.strip(" \t"):
        return 0, ""
    rest = text[match.end():] if match else text
    if match is None or (rest and not rest.startswith("/") and not (percent and rest.startswith("%"))):
        raise Refused(f'Malformed value "{text}" (expansion of "{source}") in {name} transport', -1)
    return int(float(match[1]) * _FACTOR[match[2].lower()]), rest


def check(quota: Quota, size: int, files: int, message_size: int, *, inclusive: bool, where: str) -> None:
    """Refuse a message that goes over a quota; ``where`` is the file named in the text."""
    extra = message_size if inclusive else 0
    if quota.size > 0 and not quota.no_check and size + extra > quota.size:
        raise Refused(f"mailbox is full (MTA-imposed quota exceeded while writing to {where})", ERRNO_EXIMQUOTA)
    if quota.files > 0 and not quota.files_no_check and files + (1 if inclusive else 0) > quota.files:
        raise Refused(f"mailbox is full (MTA-imposed filecount quota exceeded while writing to {where})",
                      ERRNO_EXIMQUOTA)


def crosses_threshold(quota: Quota, before: int, after: int) -> bool:
    """Tell whether this delivery takes the mailbox over the threshold for a warning."""
    return quota.warn > 0 and before <= quota.warn < after


def directory_usage(path: str, size_regex: re.Pattern[str] | None, *, top: bool = True,
                    wanted: re.Pattern[str] | None = None) -> tuple[int, int]:
    """Return (octets, files) below a directory; with ``wanted`` only its matching subdirectories count."""
    size = files = 0
    try:
        entries = list(os.scandir(path))
    except OSError:
        return 0, 0
    for entry in entries:
        name = os.fsencode(entry.name).decode("latin-1")
        try:
            if size_regex is not None and (found := size_regex.search(name)) and found.re.groups:
                digits = found[1] or ""
                if digits.isascii() and digits.isdigit():
                    size += int(digits)
                    files += 1
                    continue
            st = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(st.st_mode):
            if wanted is None or not top:
                size += st.st_size // max(st.st_nlink, 1)
                files += 1
        elif stat.S_ISDIR(st.st_mode) and (wanted is None or not top or wanted.search(name)):
            more = directory_usage(entry.path, size_regex, top=False)
            size += more[0]
            files += more[1]
    return size, files


class SizeFile:
    """The maildirsize file of a maildir++ mailbox: quota on its first line, then changes, a line each."""

    def __init__(self, top: str, quota: Quota, size_regex: re.Pattern[str] | None, wanted: re.Pattern[str],
                 mode: int, now: float) -> None:
        self.path = os.path.join(top, "maildirsize")
        self.first = f"{quota.size}S,{quota.files}C\n"
        self._top, self._size_regex, self._wanted, self._mode = top, size_regex, wanted, mode
        self.size, self.files = self._read(now)
        self._counted = False
        if self.size < 0:
            self.count_again()

    def count_again(self) -> tuple[int, int]:
        """Look at the mailbox itself, once, before a message is refused by what the file says: (size, files)."""
        if not self._counted:
            self.size, self.files = directory_usage(self._top, self._size_regex, wanted=self._wanted)
            self._write(self._mode)
            self._counted = True
        return self.size, self.files

    def _read(self, now: float) -> tuple[int, int]:
        """Return (size, files) as the file says, (-1, -1) where it has to be made anew."""
        try:
            with open(self.path, "rb") as f:
                data = f.read(MAX_SIZE_FILE + 1)
                changed = os.fstat(f.fileno()).st_mtime
        except OSError:
            return -1, -1
        lines = data.decode("latin-1").split("\n")
        if len(data) > MAX_SIZE_FILE or lines[0] + "\n" != self.first:
            return -1, -1
        size = files = 0
        count = 0
        for line in lines[1:]:
            fields = line.split(" ")
            fields = [x for x in fields if x]
            if not fields:
                continue
            if len(fields) != 2 or not all(re.fullmatch(r"-?[0-9]+", x, re.ASCII) for x in fields):
                return -1, -1
            size += int(fields[0])
            files += int(fields[1])
            count += 1
        limit = int(self.first.partition("S")[0])
        if size < 0 or files < 0:
            return -1, -1
        # Over quota, a file that others have changed or that is old is not believed (maildir++).
        if limit and size > limit and (count > 1 or now - changed > 900):
            return -1, -1
        return size, files

    def _write(self, mode: int) -> None:
        name = f"{self.path}.{os.getpid()}.tmp"
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            os.write(fd, f"{self.first}{self.size} {self.files}\n".encode("ascii"))
        finally:
            os.close(fd)
        os.rename(name, self.path)

    def add(self, size: int) -> None:
        """Record a new message."""
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(fd, f"{size} 1\n".encode("ascii"))
        finally:
            os.close(fd)
