"""Who a process is: the only place that calls the ``set*id`` family.

Groups first, then gid, then uid, then proof that there is no way back.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager


class PrivilegeError(Exception):
    """An identity could not be taken on, or not be given up for good."""


def become(uid: int, gid: int, *, user_name: str | None = None) -> None:
    """Become a user for good: real, effective and saved ids; supplementary groups of ``user_name``, or none.

    Where the process already is that user and has no privilege, nothing is done.  Raises
    PrivilegeError when the result is not what was asked for.
    """
    if os.geteuid() != 0:
        if (os.geteuid(), os.getegid()) == (uid, gid) and os.getuid() == uid:
            return
        raise PrivilegeError(f"unable to become uid={uid} gid={gid}: not root (euid={os.geteuid()})")
    try:
        if user_name is not None:
            os.initgroups(user_name, gid)
        else:
            os.setgroups([gid] if gid != 0 else [])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as e:
        raise PrivilegeError(f"unable to set uid={uid} gid={gid}: {e.strerror}") from None
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PrivilegeError(f"uid={uid} gid={gid} did not take effect")
    if uid != 0:
        try:
            os.setuid(0)
        except OSError:
            return
        raise PrivilegeError("privilege could be regained")


@contextmanager
def effective(uid: int, gid: int) -> Iterator[None]:
    """Act as a user for a while: effective ids only; nothing happens in a process without privilege."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    old_gid = os.getegid()
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(old_gid)
        os.setgroups(groups)


def real_becomes_effective() -> None:
    """Make a set-uid process root throughout, once its caller has been noted."""
    if os.geteuid() == 0 and os.getuid() != 0:
        os.setresuid(0, 0, 0)
        os.setresgid(os.getegid(), os.getegid(), os.getegid())


def drop_to_caller(uid: int, gid: int) -> None:
    """Give up set-uid privilege and go on as the caller (a command with -C, -D or -be, say)."""
    if os.geteuid() == 0 and uid != 0:
        try:
            become(uid, gid, user_name=pwd.getpwuid(uid).pw_name)
        except KeyError:
            become(uid, gid)


def find_user(text: str) -> tuple[str | None, int, int] | None:
    """Return (name, uid, gid) of a user given by name or number; gid -1 for a number without account."""
    try:
        entry = pwd.getpwuid(int(text)) if text.isascii() and text.isdigit() else pwd.getpwnam(text)
    except (KeyError, ValueError, OverflowError):  # no such account; a NUL, or no octets, in the name
        return (None, int(text), -1) if text.isascii() and text.isdigit() else None
    return entry.pw_name, entry.pw_uid, entry.pw_gid


def find_owner(text: str) -> tuple[str | None, int, int] | None:
    """Return (name, uid, gid) of who is to own a delivery; gid -1 for a number: the group has to be said then."""
    found = find_user(text)
    return (found[0], found[1], -1) if found is not None and text.isdigit() else found


def find_group(text: str) -> int | None:
    """Return the gid of a group given by name or number."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        return None
