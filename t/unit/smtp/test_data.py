"""The data phase: only CRLF . CRLF ends it, however it is cut into blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.smtp.data import Chunk, DotData, FileData

CR, LF, CRLF = b"\r", b"\n", b"\r\n"
FALSE_ENDS = [LF + b"." + LF, CR + b"." + CR, CR + b"." + LF, LF + b"." + CR, LF + b"." + CRLF, CRLF + b"." + LF,
              CR + b"." + CRLF, CRLF + b"." + CR, CRLF + b"\0." + CRLF, CRLF + b".\0" + CRLF, CRLF + b"." + CR + CRLF,
              CR + CRLF + b"." + CR + CRLF, CRLF + b". " + CRLF, LF + LF + b"." + LF + LF, CRLF + b".." + CRLF]
PIECES = st.lists(st.sampled_from([CRLF, LF, CR, b".", b"..", b"x", b"\0", CRLF + b".", CRLF + b"." + CRLF]),
                  max_size=14)
CUTS = st.lists(st.integers(0, 40), max_size=6)


def run(decoder: DotData | FileData, data: bytes, cuts: list[int]) -> tuple[bytes, bool, bytes]:
    places = sorted({c for c in cuts if c < len(data)})
    blocks = [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]
    out = b""
    rest = b""
    for number, block in enumerate(blocks):
        if decoder.finished:
            rest += block
        elif isinstance(decoder, FileData):
            out += decoder.feed(block, final=number == len(blocks) - 1)
        else:
            out += decoder.feed(block)
    return out, decoder.finished, decoder.rest + rest


@pytest.mark.parametrize("sequence", FALSE_ENDS)
@pytest.mark.parametrize("head", [b"Subject: t\r\n\r\nhello", b"Subject: t\n\nhello"])
def test_false_ends_are_data(sequence: bytes, head: bytes) -> None:
    data = head + sequence + b"MAIL FROM:<evil@x>\r\nmore\r\n.\r\nrest"
    out, finished, rest = run(DotData(), data, [])
    assert finished
    assert rest == b"rest"
    assert b"MAIL FROM" in out


@given(PIECES, CUTS)
def test_cuts_do_not_matter(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = run(DotData(), data, [])
    if whole[1]:
        assert run(DotData(), data, cuts) == whole
        assert run(DotData(), data, list(range(len(data)))) == whole


@given(PIECES, CUTS, st.booleans(), st.booleans(), st.booleans())
def test_files_cut_anywhere(pieces: list[bytes], cuts: list[int], dot: bool, stuffed: bool, aware: bool) -> None:
    data = b"".join(pieces)
    whole = run(FileData(dot, stuffed, aware), data, [])
    assert run(FileData(dot, stuffed, aware), data, cuts) == whole


@given(st.binary(max_size=300))
def test_stuffing_round_trip(body: bytes) -> None:
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    stuffed = (b"." if body.startswith(b".") else b"") + body.replace(b"\r\n.", b"\r\n..")
    out, finished, rest = run(DotData(), stuffed + b".\r\nQUIT\r\n", [3, 7])
    assert (out, finished, rest) == (body, True, b"QUIT\r\n")


def test_files() -> None:
    assert run(FileData(), b"a\n.\nb", []) == (b"a\n", True, b"b")
    assert run(FileData(), b"a\r\n.\nb\r\n.\r\nc", []) == (b"a\r\n\nb\r\n", True, b"c")
    assert run(FileData(stuffed=False, crlf_aware=False), b"a\r\n..b\n.\nc", []) == (b"a\r\n..b\n", True, b"c")
    assert run(FileData(dot_ends=False, stuffed=False), b"a\n.\nb", []) == (b"a\n.\nb", False, b"")


def test_chunk() -> None:
    chunk = Chunk(5)
    assert chunk.feed(b"abc") == b"abc"
    assert not chunk.finished
    assert chunk.feed(b"de\r\nBDAT") == b"de"
    assert chunk.finished
    assert chunk.rest == b"\r\nBDAT"
    assert Chunk(0).finished
