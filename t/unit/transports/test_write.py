"""What is written: header lines, line ends, dots, escapes; whole and in pieces."""

from __future__ import annotations

import re

import pytest
from delivery import Delivery
from hypothesis import given, settings
from hypothesis import strategies as st

from pyexim.model.address import Address
from pyexim.transports import write

LOOKS_LIKE_END = re.compile(rb"[\r\n]\0*\.\0?[\r\n]")
TEXT = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"\0", b"x", b" ", b"From ", b"\xff"]), max_size=40).map(
    b"".join)


@settings(deadline=None, max_examples=300)
@given(TEXT)
def test_nothing_sent_looks_like_an_end_of_data(text: bytes) -> None:
    sent = write.to_smtp(text)
    assert sent.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", sent)
    assert not LOOKS_LIKE_END.search(b"\r\n" + sent + b".")


@settings(deadline=None, max_examples=300)
@given(TEXT)
def test_a_server_gets_what_was_sent(text: bytes) -> None:
    lines = write.to_smtp(text).split(b"\r\n")[:-1]
    assert b"." not in lines
    got = b"\n".join(x[1:] if x.startswith(b".") else x for x in lines) + b"\n"
    plain = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert got == (plain if plain.endswith(b"\n") else plain + b"\n")


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXT, min_size=1, max_size=6), st.booleans())
def test_pieces_make_the_same(pieces: list[bytes], stuff: bool) -> None:
    whole = b"".join(pieces)
    convert = write.to_smtp if stuff else write.to_chunking
    if whole:
        assert b"".join(write.stream_smtp(iter([p for p in pieces if p]), stuff=stuff)) == convert(whole)


def test_a_line_longer_than_memory_goes_in_pieces() -> None:
    line = b".a" * (3 * write.CHUNK)
    pieces = [line[i:i + write.CHUNK] for i in range(0, len(line), write.CHUNK)]
    out = list(write.stream_smtp(iter([*pieces, b"\n.\n"])))
    assert b"".join(out) == b"." + line + b"\r\n..\r\n"
    assert max(map(len, out)) < 8 * write.CHUNK


@settings(deadline=None, max_examples=200)
@given(TEXT, st.integers(1, 9))
def test_escapes_in_pieces_as_in_one(text: bytes, size: int) -> None:
    pieces = [text[i:i + size] for i in range(0, len(text), size)]
    assert b"".join(write.stream_lines(iter(pieces), b"From ", b">From ", False)) == write.form(
        text, b"From ", b">From ", False)
    assert b"".join(write.stream_lines(iter(pieces), b".", b"..", True)) == write.form(text, b".", b"..", True)


def test_mmdf_separators_are_escaped() -> None:
    assert write.escape_lines(b"\1\1\n\1\1\n\1\1\n", b"\1\1\n", b"\1\1 \n") == b"\1\1 \n\1\1 \n\1\1 \n"


@pytest.mark.parametrize(("options", "wanted"), [
    ({}, "A: 1\nB: 2\nX-B: 3\n"),
    ({"headers_remove": "a : x-*"}, "B: 2\n"),
    ({"headers_remove": "${if eq{1}{2}{b}}:A"}, "B: 2\nX-B: 3\n"),
    ({"headers_add": "C: $transport_name\nD: 5"}, "A: 1\nB: 2\nX-B: 3\nC: t\nD: 5\n"),
    ({"headers_add": "${if eq{1}{2}{C: 1}fail}"}, "A: 1\nB: 2\nX-B: 3\n"),
    ({"return_path_add": True, "envelope_to_add": True},
     "Return-path: <s@test.example>\nEnvelope-to: a@r.example,\n b@r.example\nA: 1\nB: 2\nX-B: 3\n"),
    ({"headers_only": True}, "A: 1\nB: 2\nX-B: 3\n"),
])
def test_header_lines(options: dict[str, object], wanted: str, tmp_path: object) -> None:
    d = Delivery("appendfile", file=f"{tmp_path}/box", message_prefix="", message_suffix="", batch_max=5, **options)
    result, _ = d.run(d.message("A: 1\nB: 2\nX-B: 3\n"), to="a@r.example b@r.example")
    assert result.status == "ok", result.text
    text = open(f"{tmp_path}/box", encoding="latin-1").read()
    assert text == wanted + ("\n" if options.get("headers_only") else "\nbody\n")


def test_a_header_that_cannot_be_expanded_defers(tmp_path: object) -> None:
    d = Delivery("appendfile", file=f"{tmp_path}/box", headers_add="X: ${bad")
    result, = d.run()
    assert result.status == "defer" and result.text.startswith('failed to expand headers_add: "X: ${bad"')


def test_affixes() -> None:
    a = Address("Abc-xyz@d.example", "xyz", "d.example")
    a.prefix = "Abc-"
    assert write.envelope_recipient(a, affixes=False) == "xyz@d.example"
    assert write.envelope_recipient(a, affixes=True) == "Abc-xyz@d.example"


def test_a_filter(tmp_path: object) -> None:
    d = Delivery("appendfile", file=f"{tmp_path}/box", message_prefix="", message_suffix="",
                 transport_filter='/bin/sh -c "tr a-z A-Z"')
    assert d.run(d.message(body=b"x\n" * 300000))[0].status == "ok"
    assert open(f"{tmp_path}/box").read() == "SUBJECT: X\n\n" + "X\n" * 300000


@pytest.mark.parametrize(("command", "errno", "text"), [
    ('/bin/sh -c "cat; exit 3"', -24, "transport filter process failed (3) while writing to {}"),
    ("/nonexistent", -24, "transport filter process failed (127) while writing to {}: unable to execute command")])
def test_a_filter_that_fails(command: str, errno: int, text: str, tmp_path: object) -> None:
    d = Delivery("appendfile", file=f"{tmp_path}/box", transport_filter=command)
    result, = d.run()
    assert (result.status, result.errno, result.text) == ("defer", errno, text.format(f"{tmp_path}/box"))
