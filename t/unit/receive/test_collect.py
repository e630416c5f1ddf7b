"""Header and body out of the octets: line ends, limits, counts; as a real Exim stores them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.receive.collect import HEADER_TOO_LONG, LINE_TOO_LONG, NOT_CRLF, TOO_BIG, Collector

Result = tuple[list[str], bytes, str | None, int, int, int, int]


def collect(raw: bytes, cuts: list[int] | None = None, **options: object) -> Result:
    out: list[bytes] = []
    settings = {"header_maxsize": 1 << 20, "lf_is_space": True, **options}
    c = Collector(out.append, **settings)  # type: ignore[arg-type]
    places = sorted({x for x in cuts or [] if 0 < x < len(raw)})
    for a, b in zip([0, *places], [*places, len(raw)]):
        if raw[a:b]:
            c.feed(raw[a:b])
    c.finish()
    return c.fields, b"".join(out), c.problem, c.body_lines, c.body_size, c.longest, c.body_zeros


@pytest.mark.parametrize(("raw", "fields", "body"), [
    (b"Subject: a\r\nX: b\r\n\r\nbody\r\n", ["Subject: a\n", "X: b\n"], b"body\n"),
    (b"Subject: a\nX: b\n\nbody\n", ["Subject: a\n", "X: b\n"], b"body\n"),
    (b"Subject: a\r\nX: b\nY: c\r\n\r\nbody\r\n", ["Subject: a\n", "X: b\n Y: c\n"], b"body\n"),
    (b"Subject: a\rX: b\r\n\r\nbody\r\n", ["Subject: a\n X: b\n"], b"body\n"),
    (b"Subject: a\r\nnocolon\r\nTo: x\r\n\r\nbody\r\n", ["Subject: a\n"], b"nocolon\nTo: x\n\nbody\n"),
    (b"Subject: a\0b\r\n\r\nbody\r\n", ["Subject: a?b\n"], b"body\n"),
    (b" lead: x\r\nSubject: y\r\n\r\nbody\r\n", [], b" lead: x\nSubject: y\n\nbody\n"),
    (b"\r\nbody\r\n", [], b"body\n"), (b"Subject: xbody\r\n", ["Subject: xbody\n"], b""), (b"", [], b""),
    (b"Subject: \r\n \r\n\r\nbody\r\n", ["Subject: \n"], b"body\n"),
    (b"Subject: a\r\n \r\n b\r\n\r\n", ["Subject: a\n \n b\n"], b""),
    (b"Subject: a\r\n  \r\n\t\r\nX: y\r\n\r\n", ["Subject: a\n", "X: y\n"], b""),
    (b"Subject: t\r\nX: a\n\nFoo: x\r\n\r\nbody\r\n", ["Subject: t\n", "X: a\n \n Foo: x\n"], b"body\n"),
    (b"A: b\r\n\r\nx\ry\r\n", ["A: b\n"], b"x\ny\n"), (b"A: b\r\n\r\nx\n.\ny\r\n", ["A: b\n"], b"x . y\n"),
    (b"A: b\r\n\r\nx\r\r\ny\r\n", ["A: b\n"], b"x\n\ny\n"), (b"A: b\r\n\r\nx\n\ry\r\n", ["A: b\n"], b"x \ny\n"),
    (b"A: b\r\n\r\nno end", ["A: b\n"], b"no end\n"), (b"A: b\r\n\r\nx\r", ["A: b\n"], b"x\n")])
def test_as_observed(raw: bytes, fields: list[str], body: bytes) -> None:
    got = collect(raw)
    assert got[0] == fields
    assert got[1] == body
    assert got[3] == body.count(b"\n")
    assert got[4] == len(body)


PIECES = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"x: y", b" ", b"\0", b"A:", b"\r\n\r\n", b"z"]), max_size=14)


@given(PIECES, st.lists(st.integers(0, 40), max_size=6), st.booleans())
def test_cuts_do_not_matter(pieces: list[bytes], cuts: list[int], space: bool) -> None:
    raw = b"".join(pieces)
    assert collect(raw, cuts, lf_is_space=space) == collect(raw, lf_is_space=space)


@given(PIECES)
def test_nothing_looks_like_an_end(pieces: list[bytes]) -> None:
    fields, body, *_ = collect(b"A: b\r\n\r\n" + b"".join(pieces))
    assert b"\r" not in body
    assert all("\r" not in f and f.endswith("\n") for f in fields)


def test_limits() -> None:
    long_header = b"Subject: x\r\nX: " + b"x" * 200 + b"\r\n\r\nbody\r\n"
    assert collect(long_header, header_maxsize=100)[2] == HEADER_TOO_LONG
    assert collect(long_header, header_line_maxsize=100)[2] == LINE_TOO_LONG
    assert collect(b"A: b\r\n\r\n" + b"x" * 200, size_limit=100)[2] == TOO_BIG
    assert collect(b"A: b\n\nx\n", check_crlf=True)[2] == NOT_CRLF
    assert collect(b"A: b", check_crlf=True)[2] is None
    many = b"".join(b"X%d: y\r\n" % i for i in range(200_000)) + b"\r\nb\r\n"
    assert collect(many, list(range(0, len(many), 65536)))[2] == HEADER_TOO_LONG


def test_a_body_without_header_is_found_early() -> None:
    raw = (b"no header here\r\n" * 100_000)
    fields, body, problem, *_ = collect(raw, list(range(0, len(raw), 65536)))
    assert problem is None
    assert fields == []
    assert body == raw.replace(b"\r\n", b"\n")


def test_from_line() -> None:
    out: list[bytes] = []
    c = Collector(out.append, header_maxsize=1000, strip_from=lambda line: "1996" in line)
    c.feed(b"From fred@x Fri Jan  5 12:35 GMT 1996\nSubject: z\n\nb")
    c.finish()
    assert c.from_line == "From fred@x Fri Jan  5 12:35 GMT 1996"
    assert c.fields == ["Subject: z\n"]
