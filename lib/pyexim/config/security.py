"""Whether a configuration file may be believed by a process with privilege.

Spec: introduction of the chapter "The Exim runtime configuration file".  What the file says is read by
``config.reader``; which users CONFIGURE_OWNER and CONFIGURE_GROUP name, the caller knows.
"""

from __future__ import annotations

import os
import stat

from pyexim.base.errors import ConfigError


def file_fault(path: str, *, owners: frozenset[int] = frozenset({0}),
               groups: frozenset[int] = frozenset({0})) -> ConfigError | None:
    """Return what is wrong with a configuration file's owner, group and mode; None if nothing is.

    It must belong to one of ``owners`` (root, and CONFIGURE_OWNER), be writable by nobody else, and by
    its group only if that is one of ``groups`` (root, and CONFIGURE_GROUP).  A file that cannot be
    looked at is left to the reader to complain about.
    """
    try:
        st = os.stat(path)
    except OSError:
        return None
    wrong = (st.st_uid not in owners or st.st_mode & stat.S_IWOTH
             or (st.st_mode & stat.S_IWGRP and st.st_gid not in groups))
    if not wrong:
        return None
    return ConfigError(f"Exim configuration file {path} has the wrong owner, group, or mode", bare=True)
