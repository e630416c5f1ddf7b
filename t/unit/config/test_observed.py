"""What the real program was observed to say: error messages, values, whole -bP listings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyexim.base.errors import ConfigError
from pyexim.config import finish
from pyexim.config.main_options import MainOptions
from pyexim.config.option import declared
from pyexim.config.reader import read_configuration
from pyexim.config.show import show

from .read import CASES, DEBIAN, blocks

ERRORS = blocks("errors.txt")
VALUES = blocks("values.txt")
LISTINGS = sorted(CASES.glob("*/*.bP"))

DIFFERENT = {
    "exim_version": "the release",
    "openssl_options": "observed with GnuTLS",
    "queue_fast_ramp": "on since 4.97",
    "remote_max_parallel": "6 since 4.97",
}
"""Main options whose defaults differ, and why."""
ONLY_THERE = {"*expand_maildir_use_size_file": "an internal name that slipped out"}


@pytest.fixture(autouse=True)
def host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "primary_hostname", lambda: "vm")


@pytest.mark.parametrize("text,answer", ERRORS, ids=range(len(ERRORS)))
def test_errors(text: str, answer: list[str], tmp_path: Path) -> None:
    for name in ("inc1", "inc2", "inc3"):
        (tmp_path / name).write_bytes((CASES / name).read_bytes())
    line, message = "\n".join(answer).replace("@DIR@", str(tmp_path)).split(" ", 1)
    file = "conf"
    if message.startswith("inc1 "):
        file, message = message.split(" ", 1)
    with pytest.raises(ConfigError) as e:
        read_configuration([f"{tmp_path}/conf"], data=text.encode("latin-1"), settings=DEBIAN)
    assert e.value.text == message
    if line != "-":
        assert e.value.place is not None
        assert (e.value.place.file, e.value.place.line) == (f"{tmp_path}/{file}", int(line))


@pytest.mark.parametrize("text,answer", VALUES, ids=range(len(VALUES)))
def test_values(text: str, answer: list[str]) -> None:
    config = read_configuration([f"{CASES}/conf"], data=text.encode("latin-1"), settings=DEBIAN)
    lines, code = show(config, [], admin=True)
    assert code == 0
    for line in answer:
        assert line in lines


def sections(listing: Path) -> Iterator[tuple[list[str], list[str]]]:
    for part in listing.read_text("latin-1").split("### -bP ")[1:]:
        head, _, body = part.partition("\n")
        yield head.split(), body.split("\n")[:-1]


def option_name(line: str) -> str:
    name = line.partition(" =")[0]
    return name.removeprefix("no_") if name == line else name


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda p: p.stem)
def test_listings(listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(listing.parent)
    config = read_configuration([f"{listing.stem}.conf"], settings=DEBIAN)
    for args, theirs in sections(listing):
        ours, code = show(config, args, admin=True)
        assert code == 0
        if args == ["config"]:
            assert ours[1:] == theirs[1:]
            continue
        names = {option_name(line) for line in ours} & {option_name(line) for line in theirs} - DIFFERENT.keys()
        assert [x for x in ours if option_name(x) in names] == [x for x in theirs if option_name(x) in names]
        known = set(declared(MainOptions)) | set(map(option_name, ours)) | ONLY_THERE.keys()
        assert [x for x in theirs if option_name(x) not in known] == []
