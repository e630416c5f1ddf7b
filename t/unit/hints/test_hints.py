"""The hints stores: the same promises in memory and in files, and what happens to damaged files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyexim.hints.api import Hints, open_hints
from pyexim.hints.memory import MemoryHints


@pytest.fixture(params=["memory", "sqlite"])
def hints(request: pytest.FixtureRequest, tmp_path: Path) -> Hints:
    return MemoryHints() if request.param == "memory" else open_hints(str(tmp_path))


def test_values(hints: Hints) -> None:
    assert hints.get("retry", "k") is None
    hints.put("retry", "k", "v", 5.0)
    hints.put("retry", "k", "\xff\x00w", 6.0)
    assert hints.get("retry", "k") == "\xff\x00w" and hints.get_written("retry", "k") == ("\xff\x00w", 6.0)
    assert hints.get("misc", "k") is None
    hints.update("retry", {"a": "1", "b%_": "2", "b%x": "3"}, ["k"], 7.0)
    assert hints.items("retry") == [("a", "1", 7.0), ("b%_", "2", 7.0), ("b%x", "3", 7.0)]
    hints.delete_prefix("retry", "b%")
    hints.delete("retry", "nothing")
    assert hints.items("retry") == [("a", "1", 7.0)]
    hints.close()


def test_waiting(hints: Hints) -> None:
    assert hints.next_waiting("smtp", "h", set(), 5) == []
    for mid in ("c", "a", "b"):
        hints.add_waiting("smtp", ["h", "i"], mid)
    hints.add_waiting("smtp", ["h"], "a")
    assert hints.next_waiting("smtp", "h", set(), 5) == ["a", "b", "c"]
    assert hints.next_waiting("smtp", "h", {"a"}, 1) == ["b"]
    hints.remove_waiting("smtp", "h", ["a", "b"])
    assert hints.next_waiting("smtp", "h", set(), 5) == ["c"]
    assert hints.next_waiting("smtp", "i", set(), 5) == ["a", "b", "c"]
    assert hints.next_waiting("lmtp", "i", set(), 5) == []


def test_reading_makes_no_file(tmp_path: Path) -> None:
    hints = open_hints(str(tmp_path / "spool"))
    assert hints.get("retry", "x") is None
    hints.delete("retry", "x")
    hints.remove_waiting("smtp", "h", ["a"])
    assert not (tmp_path / "spool").exists()


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    said: list[str] = []
    hints = open_hints(str(tmp_path), log=said.append)
    hints.put("retry", "a", "b", 1.0)
    hints.close()
    path = tmp_path / "db" / "retry.sqlite"
    path.write_bytes(b"nonsense" * 1000)
    for suffix in ("-wal", "-shm"):
        (tmp_path / "db" / f"retry.sqlite{suffix}").unlink(missing_ok=True)
    assert hints.get("retry", "a") is None
    assert len(said) == 1 and "set aside" in said[0]
    hints.put("retry", "a", "c", 2.0)
    assert hints.get("retry", "a") == "c"
    assert [p for p in (tmp_path / "db").iterdir() if "damaged" in p.name]


def test_another_process_sees_it_and_a_child_opens_anew(tmp_path: Path) -> None:
    one, two = open_hints(str(tmp_path)), open_hints(str(tmp_path))
    one.put("retry", "a", "1", 1.0)
    assert two.get("retry", "a") == "1"
    pid = os.fork()
    if pid == 0:
        one.put("retry", "a", "2", 1.0)
        os._exit(0 if one.get("retry", "a") == "2" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert one.get("retry", "a") == two.get("retry", "a") == "2"


def test_a_removed_file_is_made_anew(tmp_path: Path) -> None:
    hints = open_hints(str(tmp_path))
    hints.put("retry", "a", "1", 1.0)
    for p in (tmp_path / "db").iterdir():
        p.unlink()
    assert hints.get("retry", "a") is None
    hints.put("retry", "a", "2", 1.0)
    assert hints.get("retry", "a") == "2"


def test_names_of_databases_are_no_paths(tmp_path: Path) -> None:
    hints = open_hints(str(tmp_path))
    hints.put("../x/y", "a", "1", 1.0)
    assert hints.get("../x/y", "a") == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["db"]


def test_counts(hints: Hints) -> None:
    assert [hints.count_in("misc", "k", 2, now, 60.0) for now in (1.0, 2.0, 3.0)] == [True, True, False]
    hints.count_out("misc", "k", 4.0)
    assert hints.get("misc", "k") == "1" and hints.count_in("misc", "k", 2, 5.0, 60.0)
    assert hints.count_in("misc", "k", 1, 100.0, 60.0), "a crash has left the two"
    hints.count_out("misc", "k", 101.0)
    hints.count_out("misc", "k", 102.0)
    assert hints.get("misc", "k") is None


def test_counts_of_several_processes(tmp_path: Path) -> None:
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            hints = open_hints(str(tmp_path))
            os._exit(sum(hints.count_in("misc", "k", 10, 1.0, 60.0) for _ in range(10)))
        pids.append(pid)
    assert sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids) == 10
