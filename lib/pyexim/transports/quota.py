"""Quotas of mailboxes: reading the options, summing directories, maildirsize files.

Spec: chapter "The appendfile transport": quota, quota_filecount, quota_warn_threshold, mailbox_size,
quota_size_regex, and the section "Using a maildirsize file".
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Final

from pyexim.base import octets
from pyexim.base.errors import ExpansionError
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.transports.paths import Refused

ERRNO_EXIMQUOTA: Final = -22
_NUMBER: Final = lazy_pattern(
    r"(?:\s*([+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))?([KkMmGg]?)", re.ASCII)
_FACTOR: Final = {"": 1, "k": 1024, "m": 1024 ** 2, "g": 1024 ** 3}
_LARGEST_COUNT: Final = 2 ** 31 - 1
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
        quota.size, rest = _number(options.quota, scope, name, "/no_check")
        quota.no_check = rest != ""
    if options.quota_filecount not in (None, "0"):
        quota.files, rest = _number(options.quota_filecount, scope, name, "/no_check")
        quota.files_no_check = rest != ""
        if quota.files > _LARGEST_COUNT:
            raise Refused(f"quota_filecount value {quota.files} is too large (overflow) in {name} transport", -1)
    if options.quota_warn_threshold not in (None, "0"):
        quota.warn, rest = _number(options.quota_warn_threshold, scope, name, "%")
        if rest:
            if not 0 <= quota.warn <= 100:
                raise Refused(f"Invalid quota_warn_threshold percentage ({quota.warn}) for {name} transport", -1)
            quota.warn = quota.size * quota.warn // 100
    if options.mailbox_size is not None:
        quota.mailbox_size, _ = _number(options.mailbox_size, scope, name)
    if options.mailbox_filecount is not None:
        quota.mailbox_files, _ = _number(options.mailbox_filecount, scope, name)
    return quota


def _number(source: str, scope: Scope, name: str, mark: str = "") -> tuple[int, str]:
    """Return the number an option expands to, and the mark where it stands right behind."""
    try:
        text = expand(source, scope)
    except ExpansionError as e:
        raise Refused(f'Expansion of "{source}" in {name} transport failed: {e.text}', -1) from None
    match = _NUMBER.match(text)
    assert match is not None  # what may be missing is all of it
    rest = text[match.end():]
    if rest != mark or not mark or (mark == "%" and match[2]):
        if rest.strip(" \t\n\r\v\f"):
            raise Refused(f'Malformed value "{text}" (expansion of "{source}") in {name} transport', -1)
        rest = ""
    digits = match[1] or "0"
    value = int(digits, 16) if "x" in octets.lower(digits) else float(digits)
    return int(value * _FACTOR[octets.lower(match[2])]), rest


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


class Names:
    """What names of files tell: the size of a message, and whether a directory of a maildir counts.

    Made of the options of a transport; ``check`` tells what is wrong with their regular expressions.
    """

    OPTIONS: Final = ("quota_size_regex", "maildirfolder_create_regex", "maildir_quota_directory_regex")

    def __init__(self, options: Any) -> None:
        self._options = options

    def check(self) -> tuple[str, str] | None:
        """Return (option, what is wrong), None where all can be compiled."""
        for name in self.OPTIONS:
            if (source := getattr(self._options, name)) is not None:
                from pyexim.expand.regex import fault  # rarely configured

                if (found := fault(source)) is not None:
                    return name, found
        return None

    def _search(self, option: str, text: str) -> list[str] | None:
        """Return what the expression of an option matches; a match that takes too much work is none."""
        from pyexim.expand.regex import RegexLimit, compile_or_error

        found = compile_or_error(getattr(self._options, option))
        if isinstance(found, str):
            raise Refused(f"{option}: {found}", -1)
        try:
            return found.search(text)
        except RegexLimit:
            return None

    def size(self, name: str) -> int | None:
        """Return the size that the name of a file tells."""
        if self._options.quota_size_regex is None:
            return None
        found = self._search("quota_size_regex", name)
        if found is None or len(found) < 2 or not (found[1].isascii() and found[1].isdigit()):
            return None
        return int(found[1])

    def is_folder(self, path: str) -> bool:
        """Tell whether a maildir is to be marked as a folder."""
        option = "maildirfolder_create_regex"
        return self._options.maildirfolder_create_regex is not None and self._search(option, path) is not None

    def counts(self, name: str) -> bool:
        """Tell whether a directory of a maildir counts for the quota: by default new, cur and the folders."""
        if self._options.maildir_quota_directory_regex is None:
            return name in ("cur", "new") or name.startswith(".")
        return self._search("maildir_quota_directory_regex", name) is not None


def directory_usage(path: str, names: Names) -> tuple[int, int]:
    """Return (octets, files) below a directory, each of its entries being one, directories too, as for inodes."""
    size = files = 0
    for entry, name in _entries(path):
        files += 1
        known = names.size(name)
        if known is not None:
            size += known
            continue
        try:
            st = entry.stat()
        except OSError:
            continue
        if stat.S_ISREG(st.st_mode):
            size += st.st_size // max(st.st_nlink, 1)
        elif stat.S_ISDIR(st.st_mode) and not entry.is_symlink():
            more = directory_usage(entry.path, names)
            size += more[0]
            files += more[1]
    return size, files


def maildir_usage(path: str, names: Names) -> tuple[int, int]:
    """Return (octets, files) of a maildir with its folders: what is in the directories that count."""
    size = files = 0
    for entry, name in _entries(path):
        if not names.counts(name) or not entry.is_dir(follow_symlinks=False):
            continue
        more = (maildir_usage if name.startswith(".") else directory_usage)(entry.path, names)
        size += more[0]
        files += more[1]
    return size, files


def _entries(path: str) -> list[tuple[os.DirEntry[str], str]]:
    try:
        with os.scandir(path) as found:
            return [(entry, os.fsencode(entry.name).decode("latin-1")) for entry in found]
    except OSError:
        return []


class SizeFile:
    """The maildirsize file of a maildir++ mailbox: quota on its first line, then changes, a line each."""

    def __init__(self, top: str, quota: Quota, names: Names, mode: int, now: float) -> None:
        self.path = os.path.join(top, "maildirsize")
        self.first = f"{quota.size}S,{quota.files}C\n"
        self._top, self._names, self._mode = top, names, mode
        self._doubtful = True
        self.size, self.files = self._read(now)
        if self.size < 0:
            self.count_again()

    def count_again(self) -> tuple[int, int]:
        """Look at the mailbox itself before a message is refused by what the file says: (size, files).

        A file of one entry that is not old comes from such a look, and is believed.
        """
        if self._doubtful:
            self.size, self.files = maildir_usage(self._top, self._names)
            self._write(self._mode)
            self._doubtful = False
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
        self._doubtful = count > 1 or now - changed > 900
        if 0 < limit < size and self._doubtful:
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
