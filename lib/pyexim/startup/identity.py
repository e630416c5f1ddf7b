"""Who calls, who we are, and what the caller may do.

Spec: section "Trusted and admin users" and the options -C and -D of "The Exim command line"; chapter
"Security considerations".
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import stat

from pyexim import privs, settings
from pyexim.base.pattern import lazy_pattern
from pyexim.base.record import dataclass


@dataclass(slots=True)
class Identity:
    """The real user behind a command, whether we have root's power, and the exim user."""

    uid: int
    gid: int
    groups: list[int]
    login: str
    name: str
    home: str
    privileged: bool
    """The process acts with root's power (effective uid 0)."""
    dropped: bool = False
    """It had that power and gave it up: it is not the exim user, although it can no longer become that."""
    exim_uid: int = -1
    exim_gid: int = -1
    trusted: bool = False
    admin: bool = False


def caller() -> Identity:
    """Find out who called: the real uid, whatever the effective one is."""
    uid, gid = os.getuid(), os.getgid()
    try:
        entry = pwd.getpwuid(uid)
        login, name, home = entry.pw_name, entry.pw_gecos.partition(",")[0], entry.pw_dir
    except KeyError:
        login, name, home = f"{uid}", "", "/"
    if "&" in name:
        name = name.replace("&", login[:1].upper() + login[1:])
    return Identity(uid, gid, os.getgroups(), login, name, home, os.geteuid() == 0)


def find_exim_user(me: Identity, user: str | None, group: str | None) -> str | None:
    """Settle the exim user and group from the configuration or the build; an error text, or None.

    Without privilege (trying out) the caller is the exim user, whatever was configured.
    """
    if not me.privileged and not me.dropped:
        me.exim_uid, me.exim_gid = os.geteuid(), os.getegid()
        return None
    name = user or settings.EXIM_USER
    found = privs.find_user(name)
    if found is None:
        if user is None and group is None and privs.find_user("Debian-exim"):
            found = privs.find_user("Debian-exim")
        else:
            return f"exim_user: \"{name}\" is not a known user" if user else f"unknown user \"{name}\""
    assert found is not None
    me.exim_uid, me.exim_gid = found[1], found[2]
    group_name = group or settings.EXIM_GROUP
    if group_name:
        gid = privs.find_group(group_name)
        if gid is None:
            return f"exim_group: \"{group_name}\" is not a known group"
        me.exim_gid = gid
    elif me.exim_gid < 0:
        return "exim_user is given by number without account: exim_group must be set too"
    return None


def settle_rights(me: Identity, trusted_users: list[str], trusted_groups: list[str],
                  admin_groups: list[str]) -> None:
    """Decide whether the caller is trusted and an admin user."""
    member_of = {me.gid, *me.groups}
    super_user = me.uid in (0, me.exim_uid)
    uids = {found[1] for text in trusted_users if (found := privs.find_user(text))}
    gids = {gid for text in trusted_groups if (gid := privs.find_group(text)) is not None}
    me.trusted = super_user or me.uid in uids or bool(member_of & gids)
    admins = {gid for text in admin_groups if (gid := privs.find_group(text)) is not None}
    me.admin = super_user or bool(member_of & (admins | {me.exim_gid}))
    if not me.admin:
        with contextlib.suppress(KeyError):
            me.admin = me.login in grp.getgrgid(me.exim_gid).gr_mem


def trusted_file(path: str) -> bool:
    """Tell whether a configuration is named in TRUSTED_CONFIG_LIST, and that list can be believed."""
    if not settings.TRUSTED_CONFIG_LIST:
        return False
    try:
        with open(settings.TRUSTED_CONFIG_LIST) as f:
            st = os.fstat(f.fileno())
            if st.st_uid != 0 or st.st_mode & stat.S_IWOTH or (st.st_mode & stat.S_IWGRP and st.st_gid != 0):
                return False
            listed = {line.strip() for line in f if line.startswith("/")}
    except OSError:
        return False
    return path in listed


_SAFE_VALUE = lazy_pattern(r"[A-Za-z0-9_/.-]*\Z", re.ASCII)


def must_drop(me: Identity, files: str | None, macros: dict[str, str]) -> bool:
    """Tell whether -C or -D costs this caller the privilege; root keeps it whatever it gives."""
    if me.uid == 0:
        return False
    believed = me.uid in _config_owners(me)
    drop = False
    if files is not None and files != settings.CONFIGURE_FILE:
        drop = not (believed and all(trusted_file(f) for f in files.split(":")))
    if macros:
        allowed = set(settings.WHITELIST_D_MACROS.split(":")) if settings.WHITELIST_D_MACROS else set()
        safe = all(name in allowed and _SAFE_VALUE.match(value) for name, value in macros.items())
        drop |= not (safe and believed)
    return drop


def _config_owners(me: Identity) -> set[int]:
    owners = {0, me.exim_uid}
    default = privs.find_user(settings.EXIM_USER)
    if default is not None:
        owners.add(default[1])
    if settings.CONFIGURE_OWNER and (found := privs.find_user(settings.CONFIGURE_OWNER)):
        owners.add(found[1])
    return owners
