"""passwd: the account of a user, as a query.  Spec: section "Query-style lookup types"."""

from __future__ import annotations

import os
import pwd
from typing import Any

from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Found, Lookup, Outcome


class Passwd(Lookup):
    """The fields after the name: password placeholder, uid, gid, name, home directory, shell."""

    query_style = True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        try:
            entry = pwd.getpwnam(key)
        except (KeyError, ValueError, UnicodeError):
            return NOT_FOUND
        text = f"*:{entry.pw_uid}:{entry.pw_gid}:{entry.pw_gecos}:{entry.pw_dir}:{entry.pw_shell}"
        return Found(os.fsencode(text).decode("latin-1"))
