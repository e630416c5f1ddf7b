"""Whatever lies where a hints file should be: no operation raises, and a file that is none is set aside."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyexim.hints.api import Hints, open_hints
from pyexim.hints.memory import MemoryHints
from pyexim.hints.stored import find_object
from pyexim.retry.api import format_record, parse_record

NOW = 1e9


def fill(top: Path) -> None:
    """Make files with something in them, and close them."""
    hints = open_hints(str(top))
    hints.update("retry", {f"T:host{n}:[10.0.0.{n}]": f"{n} 2 3 0 111 77 text {'x' * 90}" for n in range(60)}, [], NOW)
    for n in range(40):
        hints.add_waiting("smtp", [f"host{n}", "other"], f"1xVP55-0000000{n:02d}n1-0001")
    hints.close()


def use(hints: Hints) -> None:
    """Do everything that can be done; what comes of it has the types that were promised."""
    key = "T:host1:[10.0.0.1]"
    found = hints.get_written("retry", key)
    assert found is None or (isinstance(found[0], str) and isinstance(found[1], float))
    hints.put("retry", "a", "b", NOW)
    hints.update("retry", {"c": "d"}, [key, "a"], NOW)
    hints.delete("retry", "c")
    hints.delete_prefix("retry", "T:host2")
    assert hints.count_in("retry", "n", 5, NOW, 100.0) in (True, False)
    hints.count_out("retry", "n", NOW)
    for key, value, written in hints.items("retry"):
        assert max(key + value) <= "\xff" and isinstance(written, float)
    hints.add_waiting("smtp", ["host1", "host99"], "1xVP55-000000099n1-0001")
    assert all(max(name) <= "\xff" for name in hints.next_waiting("smtp", "host1", set(), 10))
    hints.remove_waiting("smtp", "host1", ["1xVP55-000000099n1-0001", "x"])


def works(hints: Hints) -> bool:
    """Tell whether what is written can be read."""
    hints.put("retry", "again", "yes", NOW)
    hints.add_waiting("smtp", ["again"], "1xVP55-000000098n1-0001")
    return hints.get("retry", "again") == "yes" and bool(hints.next_waiting("smtp", "again", set(), 1))


@settings(max_examples=40)
@given(at=st.floats(0, 1), octets=st.binary(min_size=1, max_size=300), cut=st.booleans(), times=st.integers(1, 40))
def test_no_damage_raises(at: float, octets: bytes, cut: bool, times: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name))
        for path in Path(name, "db").glob("*.sqlite"):
            data = bytearray(path.read_bytes())
            where = int(at * len(data))
            if cut:
                del data[where:]
            data[where:where + len(octets) * times] = octets * times
            path.write_bytes(data)
        hints = open_hints(name)
        use(hints)
        use(hints)
        assert works(hints)
        hints.close()


def schema(statement: str) -> Callable[[Path], None]:
    """Return what makes both files with tables of another kind."""
    def make(db: Path) -> None:
        for file, table in (("retry", "hints"), ("wait-smtp", "waiting")):
            connection = sqlite3.connect(db / f"{file}.sqlite")
            connection.executescript(statement.replace("TABLE", f"TABLE {table}").replace("VIEW", f"VIEW {table}"))
            connection.close()
    return make


SCHEMAS = {
    "other columns": "CREATE TABLE (a, b, c, d)", "one column": "CREATE TABLE (key)",
    "a view": "CREATE VIEW AS SELECT 1 AS key, 2 AS value, 3 AS written, 4 AS host, 5 AS message_id",
    "a condition": "CREATE TABLE (key CHECK (key = 7), value, written, host CHECK (host = 7), message_id)",
    "blobs": "CREATE TABLE (key, value, written, host, message_id);",
    "more columns": "CREATE TABLE (key, value, written, host, message_id, more NOT NULL)",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_another_schema(name: str, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    schema(SCHEMAS[name])(tmp_path / "db")
    hints = open_hints(str(tmp_path))
    use(hints)
    use(hints)
    assert works(hints)
    hints.close()


@pytest.mark.parametrize("value", [None, 5, 1.5, b"\xff\xfe", "\u20ac", b"\xe2\x82\xac"], ids=repr)
def test_values_of_other_types(tmp_path: Path, value: object) -> None:
    fill(tmp_path)
    with sqlite3.connect(tmp_path / "db" / "retry.sqlite") as connection:
        connection.execute("UPDATE hints SET value = ?, written = ?", (value, value))
        connection.execute("UPDATE hints SET value = CAST(value AS TEXT) WHERE key LIKE '%1%'")
    hints = open_hints(str(tmp_path))
    assert hints.get("retry", "T:host1:[10.0.0.1]") in (None, str(value))  # (SQLite makes texts of numbers)
    use(hints)
    assert works(hints)
    hints.close()


def test_a_locked_file_gives_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyexim.hints.sqlite._BUSY_SECONDS", 0.01)
    said: list[str] = []
    fill(tmp_path)
    connections = [sqlite3.connect(p, isolation_level=None) for p in (tmp_path / "db").glob("*.sqlite")]
    for one in connections:
        one.execute("PRAGMA locking_mode=EXCLUSIVE")
        one.execute("BEGIN EXCLUSIVE")
    hints = open_hints(str(tmp_path), log=said.append)
    use(hints)
    assert hints.count_in("retry", "n", 1, NOW, 100.0)
    for one in connections:
        one.close()
    assert works(hints)
    assert said == []
    hints.close()


@pytest.mark.parametrize("what", ["directories", "no directory", "no files", "a wal", "a shm"])
def test_other_things_in_the_place_of_files(tmp_path: Path, what: str) -> None:
    db = tmp_path / "db"
    if what == "no directory":
        db.write_text("a file")
    else:
        db.mkdir()
        for file in ("retry", "wait-smtp"):
            path = db / f"{file}.sqlite"
            if what == "directories":
                path.mkdir()
            elif what == "no files":
                os.mkfifo(path)
            else:
                (db / f"{file}.sqlite-{what[2:]}").write_bytes(os.urandom(40000))
    said: list[str] = []
    hints = open_hints(str(tmp_path), log=said.append)
    if what == "no files":  # (one that never answers is nothing to open)
        for file in ("retry", "wait-smtp"):
            (db / f"{file}.sqlite").unlink()
            (db / f"{file}.sqlite").symlink_to("/dev/null")
    use(hints)
    assert said or what in ("a wal", "a shm")
    hints.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_files_that_may_only_be_read(tmp_path: Path) -> None:
    fill(tmp_path)
    for path in (tmp_path / "db").iterdir():
        path.chmod(0o400)
    (tmp_path / "db").chmod(0o500)
    hints = open_hints(str(tmp_path))
    use(hints)
    hints.close()
    (tmp_path / "db").chmod(0o700)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["time", "rate", "x"]), inner),
    max_leaves=8)


@given(JSON | st.text())
def test_stored_objects(value: object) -> None:
    hints = MemoryHints()
    hints.put("callout", "k", value if isinstance(value, str) else json.dumps(value), NOW)
    found = find_object(hints, "callout", "k", "time", "rate")
    assert found is None or abs(found["time"] - found["rate"]) >= 0
    hints.put("callout", "k", "[" * 100000, NOW)
    assert find_object(hints, "callout", "k") is None


@given(st.lists(st.sampled_from(["nan", "inf", "-inf", "1e400", "5", "-5", "1", "x", "", "\xb2", "9" * 40]),
                max_size=8).map(" ".join) | st.text(alphabet=st.characters(max_codepoint=255)))
def test_retry_records(text: str) -> None:
    record = parse_record(text)
    if record is not None:
        assert parse_record(format_record(record)) is not None
