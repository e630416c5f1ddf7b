"""dsearch: the key is the name of an entry in a directory.  Spec: section "Single-key lookup types"."""

from __future__ import annotations

import os
import stat
from typing import Any

from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome


class Dsearch(Lookup):
    """An entry of a directory; ret=full gives its path, filter=dir, subdir or file what it must be."""

    keeps_handle = False

    def open(self, name: str, scope: Scope) -> str | Deferred:
        try:
            st = os.stat(name.encode("latin-1"))
        except OSError as e:
            return Deferred(f"failed to open {name} for directory search: {e.strerror}")
        if not stat.S_ISDIR(st.st_mode):
            return Deferred(f"failed to open {name} for directory search: Not a directory")
        return name

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        if "/" in key and options.get("key") != "path":
            return Deferred(f"key for dsearch lookup contains a slash: {key}")
        if options.get("key") == "path" and (key.startswith("/") or ".." in key.split("/")):
            return Deferred(f"key for dsearch lookup is not a path below the directory: {key}")
        if "\0" in key:
            return NOT_FOUND
        path = f"{name}/{key}"
        try:
            st = os.lstat(path.encode("latin-1"))
        except OSError as e:
            if isinstance(e, FileNotFoundError):
                return NOT_FOUND
            return Deferred(f"{path}: lstat: {e.strerror}")
        wanted = options.get("filter")
        if wanted == "file" and not stat.S_ISREG(st.st_mode):
            return NOT_FOUND
        if wanted in ("dir", "subdir") and not stat.S_ISDIR(st.st_mode):
            return NOT_FOUND
        if wanted == "subdir" and key in (".", ".."):
            return NOT_FOUND
        return Found(path if options.get("ret") == "full" else key)
