"""Files that routers look at: required ones, and files opened as a user.

Spec: option require_files.  With a user given, access is judged from the mode bits along the path, a
rough check that knows no access control lists.
"""

from __future__ import annotations

import errno
import os
import stat

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import strip
from pyexim.base.taint import is_tainted, untaint
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.privs import effective, find_group, find_user

_OPEN = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK


def check_required_files(items: list[str], scope: Scope) -> bool | str:
    """Tell whether all required files are there (and those with "!" are not); a text when that is unknown."""
    user: tuple[int, int] | None = None
    for item in items:
        try:
            text = expand(item, scope)
        except ForcedFail:
            continue
        except ExpansionError as e:
            return f'failed to expand "{item}" for require_files: {e.text}'
        text = strip(text)
        if not text:
            continue
        if "/" not in text:
            found = _user_item(text)
            if isinstance(found, str):
                return found
            user = found
            continue
        result = _check_file(text, user, scope)
        if result is not True:
            return result
    return True


def _user_item(text: str) -> tuple[int, int] | str:
    """Read "user" or "user,group"."""
    user_text, comma, group_text = text.partition(",")
    user = find_user(untaint(strip(user_text)))
    if user is None:
        return f'user "{strip(user_text)}" for require_files not found'
    gid = user[2]
    if comma:
        group = find_group(untaint(strip(group_text)))
        if group is None:
            return f'group "{strip(group_text)}" for require_files not found'
        gid = group
    return user[1], gid


def _check_file(text: str, user: tuple[int, int] | None, scope: Scope) -> bool | str:
    path = text
    wanted = True
    eacces_means_absent = False
    if path[0] == "+":
        eacces_means_absent = True
        path = path[1:].lstrip(" \t")
    if path[:1] == "!":
        wanted = False
        path = path[1:].lstrip(" \t")
    if not path.startswith("/"):
        return f'require_files: "{path}" is not absolute'
    if "\0" in path:
        return not wanted
    number = 0
    try:
        if is_tainted(path):
            path = untaint(path)  # only looked at, never opened
        os.stat(path)
        if user is not None and not may_read(path, *user):
            number = errno.EACCES
    except OSError as e:
        number = e.errno or errno.EIO
        if number == errno.EACCES and scope.services.privileged is not None:
            # A home directory may be closed to this process; Exim routes as root when it delivers.
            fd, number = open_as(path, scope, *(user or (0, 0)), None)
            if fd >= 0:
                os.close(fd)
    if number == 0:
        return wanted
    if number == errno.ENOENT or (number == errno.EACCES and eacces_means_absent):
        return not wanted
    return f"require_files: error for {path}: {os.strerror(number)}"


def may_read(path: str, uid: int, gid: int) -> bool:
    """Judge by mode bits whether a user may search the directories of a path and read the file."""
    if uid == 0:
        return True
    parts = path.split("/")[1:]
    current = ""
    for i, part in enumerate(parts):
        if not part:
            continue
        current += "/" + part
        wanted = 4 if i == len(parts) - 1 else 1
        status = os.stat(current)
        if wanted == 4 and stat.S_ISDIR(status.st_mode):
            wanted = 1
        if status.st_uid == uid:
            wanted <<= 6
        elif status.st_gid == gid:
            wanted <<= 3
        if not status.st_mode & wanted:
            return False
    return True


def open_as(path: str, scope: Scope, uid: int | None, gid: int | None, user_name: str | None) -> tuple[int, int]:
    """Open a file for reading, as a user where this process is not one: (descriptor or -1, errno)."""
    privileged = scope.services.privileged
    if privileged is not None and uid is not None:
        fd, number = privileged.open_file(path, uid, gid if gid is not None else -1, user_name)
        return int(fd), int(number)
    try:
        if uid is not None and os.geteuid() == 0:
            # no starter at hand: act as the user while the path is walked
            with effective(uid, gid if gid is not None else uid):
                return os.open(path, _OPEN), 0
        return os.open(path, _OPEN), 0
    except OSError as e:
        return -1, e.errno or errno.EIO
    except ValueError:
        return -1, errno.ENOENT
