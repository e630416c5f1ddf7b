"""The -H file: what a real Exim writes is read and written back byte for byte; anything else never crashes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.errors import SpoolError
from pyexim.base.taint import Tainted, is_tainted
from pyexim.model.connection import Connection
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool.api import format_header_file, parse_header_file
from pyexim.spool.tree import format_tree, parse_tree

# As Exim 4.96 wrote them.
LOCAL = b"""\
1xVP55-00046n-1l-H
root 0 0
<>
1795421239 0
-received_time_usec .545501
-received_time_complete 1795421239.546393
-ident root
-received_protocol local
-body_linecount 1
-max_received_linelength 22
-allow_unqualified_recipient
-allow_unqualified_sender
-deliver_firsttime
-tls_resumption A
XX
2
b@def.example
bcc@obs.example

113P Received: from root by obs.example with local (Exim 4.96)
\tid 1xVP55-00046n-1l;
\tMon, 23 Nov 2026 08:07:19 +0000
020F From: a@obs.example
023* To: b@def.example, bcc
035T To: b@def.example, bcc@obs.example
011  Subject: x
044I Message-Id: <E1xVP55-00046n-1l@obs.example>
038  Date: Mon, 23 Nov 2026 08:07:19 +0000
"""
REMOTE = b"""\
1xVP55-00046v-1t-H
root 0 0
<s\xc3\xbc@x.example>
1795421239 0
-received_time_usec .587636
-received_time_complete 1795421239.588072
--helo_name client.example
--host_address [10.0.0.1]:4444
-host_auth plain
-host_auth_pubname PLAIN
--interface_address [10.9.9.9]:25
--ident idstring
-received_protocol utf8esmtpa
-aclc 1 3
a
b
-aclc 0 3
one
--aclc _foo 8
10.0.0.1
-aclc _empty 0

-aclm 0 10
plain text
--aclm _tainted 3
unq
-body_linecount 1
-max_received_linelength 9
--auth_id user
--auth_sender foo@bar
-allow_unqualified_recipient
-allow_unqualified_sender
-deliver_firsttime
-tls_resumption A
-smtputf8
-dsn_envid abc+2Bdef
-dsn_ret 2
XX
4
r@def.example rfc822;r+40def.example 22,20  0,-1#3
q@bh.example
never@one.example  0,2  0,-1#3
unq@obs.example

195P Received: from [10.0.0.1] (helo=client.example ident=idstring)
\tby obs.example with utf8esmtpa (Exim 4.96)
\t(envelope-from <s\xc3\xbc@x.example>)
\tid 1xVP55-00046v-1t;
\tMon, 23 Nov 2026 08:07:19 +0000
010F From: x@y
005  X: \xff
"""
EVERYTHING = b"""\
1xVP55-00099t-1t-H
root 0 0
<s@x.example>
1795421239 3
-received_time_usec .604734
-received_time_complete 1795421239.605339
--helo_name client.example
--host_address [10.0.0.1]:4444
--host_name rev.example
--host_auth plain
--host_auth_pubname PLAIN
--interface_address [10.9.9.9]:25
--active_hostname act.example
--ident idd
-received_protocol esmtps
--aclc 3 4
abcd
--aclc 5 3
a
b
--aclm 3 4
abce
--aclm _foo 0

-spool_file_wireformat
-max_received_linelength 99
-body_zerocount 3
--auth_id user
--auth_sender foo@bar
-allow_unqualified_recipient
-allow_unqualified_sender
-deliver_firsttime
-frozen 1795421288
-N
-host_lookup_deferred
-host_lookup_failed
-local
-localerror
--local_scan some data
--spam_bar ++
--spam_score 1.5
--spam_score_int 15
-manual_thaw
-sender_set_untrusted
-tls_certificate_verified
-tls_cipher TLS1.3:X:256
--tls_peerdn CN=x
--tls_sni sni.example
-tls_ocsp 1
-tls_resumption A
--tls_ver TLSv1.3
-smtputf8
-utf8_downcvt
-dsn_envid abc+2Bdef
-dsn_ret 1
YY darcy@austen.fict.example
NN alice@wonderland.fict.example
NN editor@thesaurus.ref.example
2
x@def.example
z@bh.exampl  0,0 err@obs.example 15,0#3

010F From: x@y
005* X: y
"""


@pytest.mark.parametrize("data", [LOCAL, REMOTE], ids=["local", "remote"])
def test_what_exim_writes_comes_back_byte_for_byte(data: bytes) -> None:
    assert format_header_file(parse_header_file(data)) == data


def test_every_known_line_comes_back() -> None:
    # the tree is another balanced one of the same addresses, as sorted insertion gives it
    want = EVERYTHING.replace(b"YY darcy@austen.fict.example\nNN alice@wonderland.fict.example\n",
                              b"YY darcy@austen.fict.example\nNN alice@wonderland.fict.example\n")
    assert format_header_file(parse_header_file(EVERYTHING)) == want


def test_fields() -> None:
    m = parse_header_file(REMOTE)
    assert m.sender_address == "s\xc3\xbc@x.example" and is_tainted(m.sender_address)
    assert (m.conn.sender_host_address, m.conn.sender_host_port) == ("10.0.0.1", 4444)
    assert is_tainted(m.conn.sender_host_address or "")
    assert m.conn.acl_c == {"c1": "a\nb", "c0": "one", "c_foo": "10.0.0.1", "c_empty": ""}
    assert is_tainted(m.acl_m["m_tainted"]) and not is_tainted(m.acl_m["m0"])
    r = m.recipients
    assert r[0] == Recipient("r@def.example", dsn_orcpt="rfc822;r+40def.example", dsn_flags=20)
    assert r[2].dsn_flags == 2 and r[3].address == "unq@obs.example"
    assert m.received_time == 1795421239.587636 and m.received_count == 1
    assert m.conn.kind == "tcp"


def test_old_forms() -> None:
    data = b"""1xVP55-00046v-1t-H
some user 5 6
<a@b>
5 0
-host_address 10.0.0.1.4444
-acl 3 4
abcd
-acl 13 4
abce
-something new
--(lsearch)auth_id x
XX
2
top@a.b
child@a.b err@a.b 7,0#1

003  A:
"""
    m = parse_header_file(data)
    assert m.originator_login == "some user"
    assert m.conn.sender_host_port == 4444 and m.conn.acl_c == {"c3": "abcd"} and m.acl_m == {"m3": "abce"}
    assert m.extra_spool_lines == ["-something new"] and is_tainted(m.conn.authenticated_id or "")
    assert m.recipients[1] == Recipient("child@a.b", errors_to="err@a.b", parent=0)
    assert b"\n-something new\nXX\n" in format_header_file(m)


@pytest.mark.parametrize("old,new", [
    (b"1xVP55-00046n-1l-H", b"x"), (b"root 0 0", b"root"), (b"root 0 0", b"root a 0"), (b"<>", b"x"),
    (b"1795421239 0", b"now 0"), (b"1795421239 0", b"\xb2 0"), (b"XX\n", b""), (b"XX\n", b"YN a\n"),
    (b"XX\n", b"YX a\n"),
    (b"\n2\n", b"\n3\n"), (b"\n2\n", b"\n1\n"), (b"\n2\n", b"\n-1\n"), (b"\n2\n", b"\n999999999999\n"),
    (b"bcc@obs.example\n", b"\n"), (b"020F", b"019F"), (b"020F", b"021F"), (b"038  ", b"999  "), (b"020F", b"FFFF"),
    (b"-body_linecount 1", b"-body_linecount x"), (b"-ident root", b"-aclm 0 9999"), (b"-ident root", b"-aclm 5"),
    (b"-ident root", b"-acl 77 0\n"), (b"-received_time_complete 1795421239.546393", b"-received_time_complete x"),
])
def test_malformed(old: bytes, new: bytes) -> None:
    assert old in LOCAL
    with pytest.raises(SpoolError):
        parse_header_file(LOCAL.replace(old, new, 1))


@given(st.binary(max_size=300))
def test_no_octets_crash_it(data: bytes) -> None:
    with contextlib.suppress(SpoolError):
        parse_header_file(data)


@given(st.integers(0, len(EVERYTHING) - 1), st.binary(max_size=6), st.integers(0, 8))
def test_no_damage_crashes_it(at: int, octets: bytes, cut: int) -> None:
    with contextlib.suppress(SpoolError):
        parse_header_file(EVERYTHING[:at] + octets + EVERYTHING[at + cut:])


def test_truncation_never_crashes() -> None:
    for end in range(len(REMOTE)):
        with contextlib.suppress(SpoolError):
            parse_header_file(REMOTE[:end])


octets = st.text(st.characters(max_codepoint=255), max_size=40)
line = st.text(st.characters(max_codepoint=255, blacklist_characters="\n"), min_size=1, max_size=40)
tainted = st.one_of(line, line.map(Tainted))


@given(sender=line, recipients=st.lists(line.filter(lambda a: "#" not in a), max_size=5),
       done=st.sets(line, max_size=9),
       acl=st.dictionaries(st.sampled_from(["m0", "m_x", "m9"]), octets), helo=tainted, body=octets, ident=tainted)
def test_round_trip_of_all_octets(sender: str, recipients: list[str], done: set[str], acl: dict[str, str], helo: str,
                                  body: str, ident: str) -> None:
    m = Message(message_id="1xVP55-00000004DYe-0lls", sender_address=sender, acl_m=acl, nonrecipients=done,
                recipients=[Recipient(r) for r in recipients], received_time=5.25, received_time_complete=6.5,
                originator_login="x", conn=Connection(sender_helo_name=helo, sender_ident=ident),
                headers=[Header("X: " + body.replace("\n", "\n ") + "\n", "*")])
    again = parse_header_file(format_header_file(m))
    assert (again.sender_address, again.acl_m, again.nonrecipients) == (sender, acl, done)
    assert [r.address for r in again.recipients] == recipients
    assert again.conn.sender_helo_name == helo
    assert is_tainted(again.conn.sender_helo_name or "") == is_tainted(helo)
    assert again.headers == m.headers and again.received_time == 5.25
    assert format_header_file(again) == format_header_file(m)


@given(address=line.filter(lambda a: not a.startswith(" ")), errors=st.one_of(st.none(), line),
       parent=st.integers(-1, 50), orcpt=st.one_of(st.none(), line), flags=st.integers(0, 31))
def test_round_trip_of_long_recipients(address: str, errors: str | None, parent: int, orcpt: str | None,
                                       flags: int) -> None:
    r = Recipient(address, errors, parent, orcpt, flags)
    if r == Recipient(address) and "#" in address:
        return
    m = Message(message_id="1xVP55-00046n-1l", recipients=[r])
    assert parse_header_file(format_header_file(m)).recipients == [r]


@given(st.sets(line, max_size=40))
def test_trees(addresses: set[str]) -> None:
    text = "\n".join(format_tree(addresses)) + "\nrest"
    assert parse_tree(text, 0) == (addresses, len(text) - 4)


def test_addresses_with_newlines_are_refused() -> None:
    for m in (Message(message_id="1xVP55-00046n-1l", sender_address="a\nb"),
              Message(message_id="1xVP55-00046n-1l", recipients=[Recipient("a\nb")]),
              Message(message_id="1xVP55-00046n-1l", recipients=[Recipient("a", errors_to="x\ny")])):
        with pytest.raises(SpoolError):
            format_header_file(m)


def test_active_hostname_only_when_another() -> None:
    m = Message(message_id="1xVP55-00046n-1l", conn=Connection(smtp_active_hostname="a.b"))
    assert b"-active_hostname a.b\n" in format_header_file(m)
    assert b"active_hostname" not in format_header_file(m, "a.b")
