"""json: an element of a JSON file, chosen by a list of names and indexes.  Spec: "Single-key lookup types"."""

from __future__ import annotations

import os
from typing import Any

from pyexim.base.lists import split_list
from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Identity, Lookup, Outcome, check_file, identity, unchanged


@dataclass(slots=True)
class JsonFile:
    """A file as read."""

    path: str
    identity: Identity
    value: Any


class Json(Lookup):
    """The key is a list of selectors; numbers choose from arrays, others from objects."""

    def open(self, name: str, scope: Scope) -> JsonFile | Deferred:
        import json  # only where it is used

        try:
            with open(name.encode("latin-1"), "rb") as f:
                st = os.fstat(f.fileno())
                complaint = check_file(st, name, "json")
                if complaint:
                    return Deferred(complaint)
                data = f.read()
        except OSError as e:
            return Deferred(f"failed to open {name} for json search: {e.strerror}")
        try:
            # octets stay octets: UTF-8 sequences are seen as the octets they are made of
            return JsonFile(name, identity(st), json.loads(data.decode("latin-1")))
        except (ValueError, RecursionError) as e:
            return Deferred(f"json error on open: {e}\n{name}")

    def current(self, handle: Any) -> bool:
        return unchanged(handle.path, handle.identity)

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        value = handle.value
        for selector in split_list(key):
            if selector.isascii() and selector.isdigit():
                if not isinstance(value, list) or int(selector) >= len(value):
                    return NOT_FOUND
                value = value[int(selector)]
            elif isinstance(value, dict) and selector in value:
                value = value[selector]
            else:
                return NOT_FOUND
        return Found(text_of(value))


def text_of(value: Any) -> str:
    """Return a JSON value as text: a string without its quotes, anything else as JSON."""
    import json  # only where it is used

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:  # \u escapes: those characters as UTF-8
        text = "".join(c if ord(c) < 256 else c.encode("utf-8", "replace").decode("latin-1") for c in text)
    return text
