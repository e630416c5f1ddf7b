"""Lookups in files of all kinds: what they find, defaults, partial matching, changes, limits, taint."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_families import CASES
from list_lab import make_scope

from pyexim.base.taint import Quoted, Tainted, is_tainted
from pyexim.expand.scope import Scope
from pyexim.lookup import berkeley
from pyexim.lookup.api import check_type, find, is_query_style, keys_to_try, parse_spec, quote, tidy
from pyexim.lookup.cdb import hash_of
from pyexim.lookup.lsearch import SEARCHES, TextFile, _entries

KEYS = str(CASES / "files" / "keys")
NETWORKS = str(CASES / "files" / "networks")
DATABASES = CASES.parent / "lookup"


@pytest.fixture
def scope() -> Scope:
    return make_scope()


def value(spec: str, key: str, file: str | None, scope: Scope) -> str | None:
    result = find(spec, key, file, scope)
    assert not result.deferred, result.error
    return result.value if result.found else None


def error(spec: str, key: str, file: str | None, scope: Scope) -> str:
    result = find(spec, key, file, scope)
    assert result.deferred
    return result.error


@pytest.mark.parametrize("rounds", [1, SEARCHES + 2])
@pytest.mark.parametrize(("key", "data"), [
    ("a.b", "data a.b"), ("C.D", "data c.d"), ("quo ted", "data quoted"), ("upper", "upv"), ("colon", ":x"),
    ("key1", "value one cont1 cont2 cont3"), ("emp", ""), ("nokey", ""), ("dupe", "1"), ("zz", None), ("", None),
    ("x\\", "y: back"), ("a", None), ("*", "star")])
def test_lsearch(key: str, data: str | None, rounds: int, scope: Scope) -> None:
    for _ in range(rounds):
        assert value("lsearch", key, KEYS, scope) == data


@pytest.mark.parametrize(("spec", "key", "data", "wild", "fixed"), [
    ("lsearch*", "zz", "star", "zz", ""), ("lsearch*@", "zz@q.r", "starat", "zz", ""),
    ("lsearch*@", "zz@q.s", "star", "zz@q.s", ""), ("partial-lsearch", "1.p.q", "partial", "1", "p.q"),
    ("partial-lsearch", "2.1.p.q", "partial", "2.1", "p.q"), ("partial-lsearch", "p.q", "partial", "", "p.q"),
    ("partial-lsearch", "a.b", "data a.b", "", "a.b"), ("partial0-lsearch", "x.zz", "star", "x.zz", ""),
    ("partial0(.)lsearch*", "x.zz", "star", "x.zz", ""), ("lsearch", "a.b", "data a.b", None, "")])
def test_partial_and_defaults(spec: str, key: str, data: str, wild: str | None, fixed: str, scope: Scope) -> None:
    result = find(spec, key, KEYS, scope)
    assert (result.value, result.wild, result.fixed) == (data, wild, fixed)


def test_the_order_of_keys_is_that_of_the_specification() -> None:
    def keys(spec: str, key: str) -> list[str]:
        parsed = parse_spec(spec)
        assert not isinstance(parsed, str)
        return [k for k, _, _ in keys_to_try(key, parsed)]

    assert keys("partial-lsearch", "2250.dates.fict.example") == [
        "2250.dates.fict.example", "*.2250.dates.fict.example", "*.dates.fict.example", "*.fict.example"]
    assert keys("partial(.)lsearch", "a.b.c") == ["a.b.c", ".a.b.c", ".b.c"]
    assert keys("partial1()cdb", "a.b.c") == ["a.b.c", "b.c", "c"]
    assert keys("partial0(.)lsearch", "a.b") == ["a.b", ".a.b", ".b", "."]
    assert keys("partial0-lsearch", "a") == ["a", "*.a", "*"]
    assert keys("partial0()lsearch", "a.b") == ["a.b", "b"]
    assert keys("dbm*@", "jane@eyre.example") == ["jane@eyre.example", "*@eyre.example", "*"]


@pytest.mark.parametrize(("spec", "key", "data"), [
    ("lsearch,ret=key", "a.b", "a.b"), ("partial-lsearch,ret=key", "1.p.q", "1.p.q"),
    ("lsearch,ret=full", "a.b", "a.b: data a.b"), ("lsearch,ret=full", "quo ted", "quo ted: data quoted"),
    ("lsearch,cache=no_rd", "a.b", "data a.b"), ("lsearch,foo=bar", "a.b", "data a.b")])
def test_options(spec: str, key: str, data: str, scope: Scope) -> None:
    assert value(spec, key, KEYS, scope) == data


@pytest.mark.parametrize(("key", "data"), [
    ("1.2.3.4", "ip4"), ("192.168.3.4", "net"), ("abcd::cdab", "v6"), ("abcd:abcd::5", "v6net"),
    ("5.6.7.8", "data: with"), ("::ffff:1.2.3.4", "ip4"), ("9.9.9.9", None)])
def test_iplsearch(key: str, data: str | None, scope: Scope) -> None:
    assert value("iplsearch", key, NETWORKS, scope) == data


def test_iplsearch_wants_addresses(scope: Scope) -> None:
    assert "is not a valid iplsearch key" in error("iplsearch", "foo", NETWORKS, scope)
    assert value("iplsearch,ret=full", "abcd::cdab", NETWORKS, scope) == "abcd::cdab: v6"


def test_wildcards_in_keys(tmp_path: Path, scope: Scope) -> None:
    file = tmp_path / "wild"
    file.write_text('*.a.b: wild\n^[0-9]+x$: re\n"^q.*: q": quoted\nplain: p\n${if eq{1}{1}{made}}: m\n')
    for key, data in {"x.a.b": "wild", "12X": "re", "PLAIN": "p", "qzz: q": "quoted", "none": None}.items():
        assert value("nwildlsearch", key, str(file), scope) == data
    scope.vars["1"] = "kept"
    file.write_text("^a\\N(.)\\N: one\n${if\\ eq{1}{1}{made}}: m\n")
    assert value("wildlsearch", "ab", str(file), scope) == "one"
    assert scope.vars["1"] == "kept"


def test_a_changed_file_is_read_again(tmp_path: Path, scope: Scope) -> None:
    file = tmp_path / "f"
    file.write_text("a: 1\n")
    assert value("lsearch", "a", str(file), scope) == "1"
    file.write_text("a: 22\n")
    assert value("lsearch", "a", str(file), scope) == "22"
    file.unlink()
    assert "No such file" in error("lsearch", "a", str(file), scope)


def test_at_most_so_many_handles(tmp_path: Path) -> None:
    scope = make_scope(lookup_open_max=3)
    for i in range(8):
        (tmp_path / f"f{i}").write_text(f"a: {i}\n")
        assert value("lsearch", "a", str(tmp_path / f"f{i}"), scope) == str(i)
    assert len(scope.config.compiled["lookups"].handles) == 3
    tidy(scope)
    assert not scope.config.compiled["lookups"].handles


def test_a_second_lookup_opens_no_file(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    assert value("lsearch", "a.b", KEYS, scope) == "data a.b"
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("a file was opened"))
    assert value("lsearch", "c.d", KEYS, scope) == "data c.d"


def test_taint(scope: Scope) -> None:
    assert error("lsearch", "a.b", Tainted(KEYS), scope) == f"Tainted filename for search '{KEYS}'"
    assert not is_tainted(find("lsearch", Tainted("a.b"), KEYS, scope).value)
    assert not is_tainted(find("lsearch,ret=key", Tainted("a.b"), KEYS, scope).value)


def test_complaints(tmp_path: Path, scope: Scope) -> None:
    assert error("lsearch", "a", "/nonexistent/x", scope) == (
        "failed to open /nonexistent/x for linear search: No such file or directory")
    assert error("lsearch", "a", str(tmp_path), scope) == f"{tmp_path} is not a regular file (lsearch lookup)"
    assert error("cdb", "a", KEYS, scope).endswith("is too short for cdb lookup")
    assert check_type("nosuch", True) == 'unknown lookup type "nosuch"'
    assert check_type("partialx-lsearch", True) == 'format error in lookup type "partialx-lsearch"'
    assert check_type("partial-passwd", True) == '"partial" is not permitted for lookup type "passwd"'
    assert check_type("passwd*", False) == 'defaults using "*" or "*@" are not permitted for lookup type "passwd*"'
    assert check_type("passwd", True) == (
        'a single key was given for lookup type "passwd", which is not a single-key lookup type')
    assert check_type("lsearch", False) == 'missing {key} for single-key "lsearch" lookup'
    for absent in ("oracle", "nis", "nis0", "nisplus", "ibase", "whoson", "spf"):
        assert absent in (check_type(absent, True) or "")
    assert is_query_style("dnsdb") and not is_query_style("partial-lsearch*")


def test_dsearch(tmp_path: Path, scope: Scope) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dir").mkdir()
    where = str(tmp_path)
    assert value("dsearch", Tainted("file"), where, scope) == "file"
    assert value("dsearch,ret=full", "file", where, scope) == f"{where}/file"
    assert value("dsearch,filter=dir", "file", where, scope) is None
    assert value("dsearch,filter=subdir", "dir", where, scope) == "dir"
    assert value("dsearch,filter=subdir", ".", where, scope) is None
    assert value("dsearch,filter=file", "file", where, scope) == "file"
    assert value("dsearch", "none", where, scope) is None
    assert error("dsearch", "a/b", where, scope) == "key for dsearch lookup contains a slash: a/b"
    assert error("dsearch", "a", where + "/file", scope).endswith("for directory search: Not a directory")


def test_passwd_and_testdb(scope: Scope) -> None:
    root = value("passwd", "root", None, scope)
    assert root is not None and root.startswith("*:0:0:")
    assert value("passwd", "no-such-user-here", None, scope) is None
    assert value("testdb", "fail", None, scope) is None
    assert value("testdb", "abc", None, scope) == "abc"
    assert error("testdb", "defer", None, scope) == "testdb lookup forced DEFER"


def write_cdb(path: Path, records: list[tuple[bytes, bytes]]) -> None:
    """Write a constant database, as its format says."""
    data = bytearray(2048)
    tables: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    for key, val in records:
        h = hash_of(key)
        tables[h & 255].append((h, len(data)))
        data += pack("<II", len(key), len(val)) + key + val
    for i, table in enumerate(tables):
        slots: list[tuple[int, int]] = [(0, 0)] * (len(table) * 2)
        for h, place in table:
            at = (h >> 8) % len(slots)
            while slots[at][1]:
                at = (at + 1) % len(slots)
            slots[at] = (h, place)
        data[i * 8:i * 8 + 8] = pack("<II", len(data), len(slots))
        for h, place in slots:
            data += pack("<II", h, place)
    path.write_bytes(bytes(data))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(max_size=20), max_size=40))
def test_cdb(tmp_path_factory: pytest.TempPathFactory, records: dict[bytes, bytes]) -> None:
    file = tmp_path_factory.mktemp("cdb") / "x.cdb"
    write_cdb(file, list(records.items()))
    scope = make_scope()
    for key, val in records.items():
        assert value("cdb", key.decode("latin-1"), str(file), scope) == val.decode("latin-1")
    if b"never" not in records:
        assert value("cdb", "never", str(file), scope) is None


def test_dbm_as_exim_dbmbuild_writes_it(scope: Scope) -> None:
    file = str(DATABASES / "hash.db")
    assert value("dbm", "key1", file, scope) == "value one"
    assert value("dbm", "k77", file, scope) == "v77"
    assert value("dbm", "long", file, scope) == "x" * 5000
    assert value("dbm", "none", file, scope) is None
    assert value("dbmnz", "key1", file, scope) is None
    assert value("dbmnz", "key1", str(DATABASES / "hashnz.db"), scope) == "value one"
    assert value("dbmjz", "key1", str(DATABASES / "hashnz.db"), scope) == "value one"
    assert "as a db (v4.1+) file" in error("dbm", "a", KEYS, scope)


@settings(max_examples=60)
@given(st.data())
def test_damaged_berkeley_files_are_refused_or_read(data: st.DataObject) -> None:
    octets = bytearray((DATABASES / "hashnz.db").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(26, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with suppress(berkeley.NotBerkeley):
        berkeley.read(bytes(octets))


def test_json(tmp_path: Path, scope: Scope) -> None:
    file = tmp_path / "x.json"
    file.write_bytes('{"a": {"b": [10, "x\xe4", {"c": null}]}, "t": true}'.encode())
    assert value("json", "a:b:1", str(file), scope) == "x\xc3\xa4"
    assert value("json", "a:b:0", str(file), scope) == "10"
    assert value("json", "a:b:2", str(file), scope) == '{"c": null}'
    assert value("json", "a:x", str(file), scope) is None
    assert value("json", "<;t", str(file), scope) == "true"
    file.write_text("{")
    assert "json error" in error("json", "a", str(file), scope)


def test_sqlite(tmp_path: Path, scope: Scope) -> None:
    file = tmp_path / "x.db"
    with sqlite3.connect(file) as db:
        db.execute("create table t (name text, home text)")
        db.execute("insert into t values ('a', '/home/a'), ('b', 'x y'), ('c', '')")
    spec = f"sqlite,file={file}"
    assert value(spec, "select home from t where name='a'", None, scope) == "/home/a"
    assert value(spec, "select * from t where name='b'", None, scope) == 'name=b home="x y" '
    assert value(spec, "select name from t", None, scope) == "a\nb\nc"
    assert value(spec, "select null", None, scope) == "<NULL>"
    assert value(spec, "select name from t where name='z'", None, scope) is None
    assert value("sqlite", f"{file} select 1", None, scope) == "1"
    assert value(spec, "insert into t values ('d', '')", None, scope) is None
    assert value(spec, "select count(*) from t", None, scope) == "4"
    assert error("sqlite", "select 1", None, scope) == 'absolute file name expected for "sqlite" lookup'
    assert error(spec, Tainted("select 1"), None, scope).startswith("tainted search query is not properly quoted")
    quoted = quote("sqlite", Tainted("a'b"))
    assert isinstance(quoted, Quoted) and quoted == "a''b"
    assert value(spec, Quoted("select 'x'", "sqlite"), None, scope) == "x"
    assert "no such table" in error(spec, "select * from nope", None, scope)


def test_lmdb(tmp_path: Path, scope: Scope) -> None:
    lmdb = pytest.importorskip("lmdb")
    file = tmp_path / "x.lmdb"
    with lmdb.open(str(file), subdir=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"a", b"one")
    assert value("lmdb", "a", str(file), scope) == "one"
    assert value("lmdb", "b", str(file), scope) is None
    assert "Unable to open" in error("lmdb", "a", str(tmp_path / "none"), scope)


def test_public_suffixes(tmp_path: Path, scope: Scope) -> None:
    file = tmp_path / "list"
    file.write_text("// c\ncom\nuk\nco.uk\n*.ck\n!www.ck\n\xf6st.at\n", encoding="utf-8")
    for domain, suffix, registered in [
            ("a.b.com", "com", "b.com"), ("x.y.co.uk", "co.uk", "y.co.uk"), ("com", "com", None),
            ("a.b.c.ck", "c.ck", "b.c.ck"), ("www.ck", "ck", "www.ck"), ("a.www.ck", "ck", "www.ck"),
            ("a.unknown", "unknown", "a.unknown"), ("z.XN--ST-EKA.at", "xn--st-eka.at", "z.xn--st-eka.at")]:
        assert value(f"psl,file={file}", domain, None, scope) == suffix
        assert value(f"regdom,file={file}", domain, None, scope) == registered


@pytest.mark.parametrize(("name", "text", "quoted"), [
    ("lsearch", "a'b c", "a'b c"), ("sqlite", "a'b c", "a''b c"), ("mysql", "a'b\nc\"_%\\\t", "a\\'b\\nc\\\"_%\\\\\\t"),
    ("pgsql", "a'b\nc\"_%\\\t", "a''b\\nc\\\"_%\\\\\\t"), ("redis", "a b\\", "a\\ b\\\\"),
    ("ldap", " a(bc)*, a<yz>; ", "%20a%5C28bc%5C29%5C2A%2C%20a%3Cyz%3E%3B%20"),
    ("ldap_dn", " a(bc)*, a<yz>; ", "%5C%20a(bc)*%5C%2C%20a%5C%3Cyz%5C%3E%5C%3B%5C%20"),
    ("ldap_dn", "#a# ", "%5C%23a%23%5C%20"), ("nosuch", "a", None), ("passwd", "a'b", "a'b"), ("nis", "a'b", "a'b")])
def test_quoting(name: str, text: str, quoted: str | None) -> None:
    assert quote(name, text) == quoted


_LINES = st.lists(st.text('ab:# \t"\\', max_size=8), max_size=12).map("\n".join)


@settings(max_examples=300)
@given(_LINES)
def test_searching_and_index_agree_with_reading_all(text: str) -> None:
    data = text.encode()
    first: dict[str, str] = {}
    for key, found, _ in _entries(data, 0):
        first.setdefault(key, found)
    for key in [*first, "a", "b"]:
        if not key:
            continue
        file = TextFile("x", (0, 0, 0, 0), data)
        answers = set()
        for _ in range(SEARCHES + 2):
            offset = file.offset_of(key)
            answers.add(None if offset < 0 else file.entry_at(offset)[1])
        assert answers == {first.get(key)}
