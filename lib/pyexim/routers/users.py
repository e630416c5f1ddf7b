"""Accounts of this host, as routers ask for them: with a short memory per process.

A delivery asks several times for the same account, and with a directory service behind getpwnam()
each answer may take milliseconds; an account that was made or changed is seen after some seconds.
"""

from __future__ import annotations

import pwd
from typing import Final

from pyexim.base.clock import Clock
from pyexim.base.record import dataclass
from pyexim.privs import find_group, find_owner, find_user

_LIFETIME: Final = 5.0
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class LocalUser:
    """An account."""

    name: str
    uid: int
    gid: int
    home: str


_cache: dict[str, tuple[float, LocalUser | None]] = {}


def local_user(name: str, clock: Clock) -> LocalUser | None:
    """Return the account of a local part; None where there is none."""
    now = clock.monotonic()
    found = _cache.get(name)
    if found is not None and 0 <= now - found[0] < _LIFETIME:
        return found[1]
    user: LocalUser | None = None
    if name and "\0" not in name:
        try:
            entry = pwd.getpwnam(name)
            user = LocalUser(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
        except (KeyError, ValueError, UnicodeError):
            user = None
    if len(_cache) >= _LIMIT:
        _cache.clear()
    _cache[str(name)] = (now, user)
    return user


def forget_users() -> None:
    """Forget all accounts (tests, SIGHUP)."""
    _cache.clear()


__all__ = ["LocalUser", "find_group", "find_owner", "find_user", "forget_users", "local_user"]
