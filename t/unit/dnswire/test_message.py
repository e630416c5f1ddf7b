"""DNS packets, with dnspython as the independent counterpart."""

from __future__ import annotations

from contextlib import suppress

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.dnswire.message import TYPES, decode, encode_name, encode_query


@pytest.mark.parametrize(("rtype", "text", "value"), [
    ("A", "1.2.3.4", "1.2.3.4"), ("AAAA", "1::2", "1::2"), ("MX", "10 mx.example.", (10, "mx.example")),
    ("TXT", '"a" "b c"', ("a", "b c")), ("SRV", "1 2 3 t.example.", (1, 2, 3, "t.example")), ("NS", "n.x.", "n.x"),
    ("CNAME", "c.example.", "c.example"), ("PTR", "p\\.q.example.", "p\\.q.example"),
    ("SOA", "n. m.x. 1 2 3 4 5", ("n", "m.x", 1, 2, 3, 4, 5)), ("TLSA", "3 1 1 " + "ab" * 32, (3, 1, 1, "ab" * 32))])
def test_records(rtype: str, text: str, value: object) -> None:
    message = dns.message.make_response(dns.message.make_query("x.example", rtype))
    message.answer.append(dns.rrset.from_text("x.example.", 300, "IN", rtype, text))
    packet = decode(message.to_wire())
    assert packet.question == ("x.example", TYPES[rtype])
    [record] = packet.answer
    assert (record.name, record.type, record.ttl, record.value) == ("x.example", rtype, 300, value)


def test_queries() -> None:
    query = dns.message.from_wire(encode_query(77, "x.example", TYPES["MX"], dnssec=True))
    assert query.id == 77 and query.flags & dns.flags.RD and query.flags & dns.flags.AD
    assert query.question[0].name.to_text() == "x.example."
    assert query.ednsflags & dns.flags.DO
    assert dns.message.from_wire(encode_query(1, "x", 1, edns_size=0)).edns == -1


@pytest.mark.parametrize("name", ["a..b", ".a", "x" * 64, ".".join(["abcdefgh"] * 40)])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        encode_name(name)


def test_pointers_that_lead_nowhere() -> None:
    head = b"\0\1\x81\x80\0\1\0\0\0\0\0\0"
    for name in (b"\xc0\x0c", b"\xc0\xff", b"\x01a\xc0\x0c", b"\x3fa", b"\x80"):
        with pytest.raises(ValueError, match="malformed"):
            decode(head + name + b"\0\1\0\1")


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    with suppress(ValueError):
        decode(data)


@given(st.integers(0, 400), st.integers(0, 255))
def test_damage(place: int, octet: int) -> None:
    message = dns.message.make_response(dns.message.make_query("x.example", "MX"))
    message.answer.append(dns.rrset.from_text("x.example.", 300, "IN", "MX", "10 a.x.example.", "20 b.other."))
    message.answer.append(dns.rrset.from_text("x.example.", 300, "IN", "TXT", '"a" "b"'))
    wire = bytearray(message.to_wire())
    wire[place % len(wire)] = octet
    with suppress(ValueError):
        decode(bytes(wire))
