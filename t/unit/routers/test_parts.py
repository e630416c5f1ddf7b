"""Affixes, host lists, routing rules, commands, files: the parts that routers are made of."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.clock import SystemClock
from pyexim.base.taint import Tainted
from pyexim.model.address import Address
from pyexim.routers.affixes import Affix, Affixes, find_prefix, find_suffix, transmitted_local_part
from pyexim.routers.command import CommandError, run_command, split_command
from pyexim.routers.files import may_read
from pyexim.routers.hostlist import parse_host_list, split_port
from pyexim.routers.manual_rules import Rule, parse_data, parse_route_list, take_word
from pyexim.routers.redirect_file import FileRules, Reader, Unusable, read_redirect_file

SCOPE: Any = SimpleNamespace(services=SimpleNamespace(privileged=None))


@pytest.mark.parametrize("local_part,patterns,want", [
    ("real-joe", ["real-"], Affix("real-", "")), ("REAL-joe", ["real-"], Affix("REAL-", "")), ("joe", ["real-"], None),
    ("a-b-joe", ["*-"], Affix("a-b-", "a-b")), ("joe", ["*-"], None), ("x+joe", ["y+", "x+"], Affix("x+", "")),
])
def test_prefixes(local_part: str, patterns: list[str], want: Affix | None) -> None:
    assert find_prefix(local_part, patterns) == want


@pytest.mark.parametrize("local_part,patterns,want", [
    ("joe-request", ["-request"], Affix("-request", "")), ("joe+a+b", ["+*"], Affix("+a+b", "a+b")),
    ("joe", ["+*"], None),
    ("joe-x", ["-y", "-X"], Affix("-x", "")), ("-request", ["-request"], Affix("-request", "")),
])
def test_suffixes(local_part: str, patterns: list[str], want: Affix | None) -> None:
    assert find_suffix(local_part, patterns) == want


def test_affixes_of_an_address() -> None:
    options = SimpleNamespace(local_part_prefix="real-", local_part_suffix="+*", local_part_prefix_optional=True,
                              local_part_suffix_optional=False)
    affixes = Affixes(SimpleNamespace(options=options))  # type: ignore[arg-type]
    address = Address(Tainted("Real-Joe+X@a.b"))
    address.local_part = Tainted("real-joe+x")
    assert affixes.apply(address)
    assert (address.prefix, address.local_part, address.suffix, address.suffix_v) == ("real-", "joe", "+x", "x")
    assert type(address.local_part) is Tainted
    assert transmitted_local_part(address) == "Joe"
    assert transmitted_local_part(address, include_affixes=True) == "Real-Joe+X"
    address = Address("joe@a.b")
    assert not affixes.apply(address)


@pytest.mark.parametrize("item,want", [
    ("a.b", ("a.b", None)), ("a.b:25", ("a.b", 25)), ("1.2.3.4", ("1.2.3.4", None)), ("1.2.3.4:5", ("1.2.3.4", 5)),
    ("[1.2.3.4]:5", ("1.2.3.4", 5)), ("[::1]:6", ("::1", 6)), ("[::1]", ("[::1]", None)), ("::1", ("::1", None)),
    ("a.b/mx:7", ("a.b/mx", 7)), ("a:b", ("a:b", None)), ("a:999999", ("a:999999", None)),
])
def test_ports(item: str, want: tuple[str, int | None]) -> None:
    assert split_port(item) == want


def test_host_lists() -> None:
    hosts = parse_host_list("10.1.1.1:h.x::2525:+:[10.1.1.3]::99:y.z/MX:<".removesuffix(":<"))
    assert [(h.name, h.address, h.port, h.mx) for h in hosts] == [
        ("10.1.1.1", "10.1.1.1", None, -1), ("h.x", None, 2525, -1), ("10.1.1.3", "10.1.1.3", 99, -2),
        ("y.z/mx", None, None, -2)]
    assert [h.port for h in parse_host_list("<; [::1]:25 ; a:26")] == [25, 26]


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_list_crashes(text: str) -> None:
    parse_host_list(text)
    parse_route_list(text)
    parse_data(text)
    split_command(text)


def test_route_lists() -> None:
    assert parse_route_list('*.a b:c randomize bydns; "^x;;y$" "<+ h+i" t; ;d') == [
        Rule("*.a", "b:c", ("randomize", "bydns")), Rule("^x;y$", "<+ h+i", ("t",)), Rule("d", "", ())]
    assert parse_data('"a b" x') == Rule("", "a b", ("x",))
    assert take_word(r'"a\"b\n" rest') == ('a"b\n', "rest")


@pytest.mark.parametrize("line,want", [
    ("/bin/x a b", ["/bin/x", "a", "b"]), (r'/x "a \"b\" c" \'d\' ', ["/x", 'a "b" c', r"\'d\'"]),
    ("/x 'a b\\n'", ["/x", "a b\\n"]),
    ("/x ${if eq{a}{b} {c d}{e}} f", ["/x", "${if eq{a}{b} {c d}{e}}", "f"]), ("", []),
])
def test_commands(line: str, want: list[str]) -> None:
    assert split_command(line) == want


def test_running_a_command() -> None:
    clock = SystemClock()
    done = run_command(["/bin/echo", "accept x"], uid=None, gid=None, directory="/", timeout=10, clock=clock)
    assert done.output == b"accept x\n" and done.status == 0
    done = run_command(["/bin/false"], uid=None, gid=None, directory="/", timeout=10, clock=clock)
    assert done.status not in (0, None)
    late = run_command(["/bin/sleep", "10"], uid=None, gid=None, directory="/", timeout=0.05, clock=clock)
    assert late.status is None


def test_relative_commands_are_refused() -> None:
    from pyexim.routers.command import expand_command
    scope: Any = SimpleNamespace(services=SimpleNamespace(debug=None))
    with pytest.raises(CommandError, match="not an absolute path"):
        expand_command("echo x", scope, "r router")


# -- files


def read(path: Path | str, **rules: Any) -> str | None:
    return read_redirect_file(str(path), FileRules(**rules), Reader(), SCOPE)


def test_redirect_files(tmp_path: Path) -> None:
    path = tmp_path / "forward"
    assert read(path) is None
    path.write_bytes(b"a@b\xff\n")
    path.chmod(0o644)
    assert read(path) == "a@b\xff\n"
    for text, wrong in (("not an absolute", lambda: read("x")), ("not a regular", lambda: read(tmp_path)),
                        ("bad owner", lambda: read(path, owners=frozenset())),
                        ("bad group", lambda: read(path, groups=frozenset())),
                        ("failed to stat", lambda: read(tmp_path / "no" / "x")),
                        ("Not a directory", lambda: read(path / "x")),
                        ("Tainted name", lambda: read_redirect_file(Tainted("/x"), FileRules(), Reader(), SCOPE))):
        with pytest.raises(Unusable, match=text):
            wrong()
    assert read(path / "x", ignore_enotdir=True) is None
    assert read(path, owners=frozenset({os.geteuid()})) == "a@b\xff\n"
    path.chmod(0o666)
    with pytest.raises(Unusable, match=r"bad mode \(0100666\) for .*: 022 bit\(s\) unexpected"):
        read(path)
    assert read(path, modemask=0) == "a@b\xff\n"


def test_rough_checks_of_access(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    path.chmod(0o600)
    tmp_path.chmod(0o755)
    st_ = path.stat()
    other = 54321
    assert not may_read(str(path), other, other)
    assert may_read("/etc/passwd", other, other) and may_read(str(path), 0, 0)
    assert st_.st_uid == os.geteuid()
