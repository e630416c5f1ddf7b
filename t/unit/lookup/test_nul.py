"""A NUL in the name of a file or in a key is no name and no key: found nowhere, and never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from list_lab import make_scope

from pyexim import privs
from pyexim.lookup.api import find


@pytest.mark.parametrize("kind", ["lsearch", "wildlsearch", "iplsearch", "dsearch", "cdb", "dbm", "json", "lmdb"])
def test_in_the_name_of_a_file(kind: str) -> None:
    assert find(kind, "key", "/etc/pass\0wd", make_scope()).deferred


@pytest.mark.parametrize("kind", ["lsearch", "wildlsearch", "nwildlsearch", "iplsearch"])
def test_in_the_key_of_a_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("key: value\n")
    result = find(kind, "k\0ey", str(tmp_path / "f"), make_scope())
    assert not result.found


def test_in_the_key_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    result = find("dsearch", "f\0", str(tmp_path), make_scope())
    assert not result.found and not result.deferred


def test_in_the_name_of_a_user() -> None:
    assert privs.find_user("ro\0ot") is None
    assert privs.find_group("ro\0ot") is None
