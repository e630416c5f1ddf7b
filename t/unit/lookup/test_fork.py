"""A forked process uses nothing that its parent's lookups have open."""

from __future__ import annotations

import os
from pathlib import Path

from expand_scopes import make_scope

from pyexim import child
from pyexim.lookup import api
from pyexim.lookup.table import driver


def test_handles_and_drivers_are_left_to_the_parent(tmp_path: Path) -> None:
    file = tmp_path / "aliases"
    file.write_text("a: one\nb: two\n")
    scope = make_scope()
    assert api.find("lsearch", "a", str(file), scope).value == "one"
    store = scope.config.compiled["lookups"]
    handle, testdb = store.handles["lsearch", str(file)], driver("testdb")
    read, write = os.pipe()

    def job() -> int:
        seen = [not store.handles, driver("testdb") is not testdb,
                api.find("lsearch", "b", str(file), scope).value == "two",
                store.handles["lsearch", str(file)] is not handle]
        os.write(write, repr(seen).encode())
        return 0

    assert child.exit_code(child.wait(child.fork(job))) == 0
    assert os.read(read, 100) == b"[True, True, True, True]"
    os.close(read)
    os.close(write)
    assert store.handles["lsearch", str(file)] is handle
    assert driver("testdb") is testdb
