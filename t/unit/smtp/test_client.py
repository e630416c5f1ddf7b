"""The client's protocol core, in memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyexim.base.errors import LocalProtocolError, RemoteProtocolError
from pyexim.smtp.client import (
    CLOSED,
    IDLE,
    NEED_DATA,
    SEND_BODY,
    Awaiting,
    Envelope,
    SmtpClient,
    parse_capabilities,
)

CAPABLE = {"PIPELINING": "", "SIZE": "100", "CHUNKING": "", "PRDR": ""}


def started(**capabilities: str) -> SmtpClient:
    return SmtpClient(capabilities=dict(capabilities))


def test_greeting_and_hello_with_fallback() -> None:
    c = SmtpClient()
    c.greet()
    assert c.next_event() is NEED_DATA
    c.receive_data(b"220-one\r\n220 tw")
    assert c.next_event() is NEED_DATA
    c.receive_data(b"o\n")
    assert c.greeting is not None and c.greeting.text == "220-one\n220 two"
    c.hello("me")
    assert c.data_to_send() == b"EHLO me\r\n"
    c.receive_data(b"500 what\r\n")
    assert c.data_to_send() == b"HELO me\r\n"
    c.receive_data(b"250 fine\r\n")
    assert c.next_event() is IDLE and c.capabilities == {} and c.ehlo_refused is not None


def test_capabilities() -> None:
    assert parse_capabilities("250-host greets\n250-size 1000\n250-AUTH PLAIN LOGIN\n250 8BITMIME") == {
        "SIZE": "1000", "AUTH": "PLAIN LOGIN", "8BITMIME": ""}


def test_step_by_step() -> None:
    c = started()
    tx = c.transaction(Envelope("s@x", ["a@y", "b@y"]))
    assert c.data_to_send() == b"MAIL FROM:<s@x>\r\n"
    c.receive_data(b"250 ok\r\n")
    assert c.data_to_send() == b"RCPT TO:<a@y>\r\n"
    c.receive_data(b"550 no\r\n")
    assert c.data_to_send() == b"RCPT TO:<b@y>\r\n"
    c.receive_data(b"250 ok\r\n")
    assert c.data_to_send() == b"DATA\r\n"
    c.receive_data(b"354 go\r\n")
    assert c.next_event() is SEND_BODY
    c.body_sent()
    c.receive_data(b"250 done\r\n")
    assert c.next_event() is IDLE
    assert tx.accepted() == [1] and tx.end is not None and tx.end.text == "250 done"


def test_pipelined_group() -> None:
    c = started(PIPELINING="")
    c.transaction(Envelope("", ["a@y", "b@y"], " SIZE=5", [" NOTIFY=NEVER", ""]))
    assert c.data_to_send() == (b"MAIL FROM:<> SIZE=5\r\nRCPT TO:<a@y> NOTIFY=NEVER\r\n"
                                b"RCPT TO:<b@y>\r\nDATA\r\n")
    c.receive_data(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert c.next_event() is SEND_BODY


def test_unwanted_354_is_ended_by_a_dot() -> None:
    c = started(PIPELINING="")
    tx = c.transaction(Envelope("s@x", ["a@y"]))
    c.data_to_send()
    c.receive_data(b"250 ok\r\n550 no\r\n354 go\r\n")
    assert c.data_to_send() == b".\r\n" and c.next_event() is NEED_DATA
    c.receive_data(b"554 none\r\n")
    assert c.next_event() is IDLE and tx.accepted() == [] and tx.end is None


def test_many_recipients_go_in_slices() -> None:
    c = started(PIPELINING="")
    tx = c.transaction(Envelope("s@x", [f"u{i}@y" for i in range(250)]))
    rounds = 0
    while c.next_event() is NEED_DATA:
        sent = c.data_to_send()
        count = sent.count(b"\n")
        assert count <= 102
        rounds += 1
        c.receive_data(b"".join(b"354 go\r\n" if x == b"DATA" else b"250 ok\r\n" for x in sent.split(b"\r\n")[:-1]))
    assert rounds == 3 and c.next_event() is SEND_BODY and len(tx.accepted()) == 250


def test_chunking_goes_with_the_group() -> None:
    c = started(**CAPABLE)
    tx = c.transaction(Envelope("s@x", ["a@y"], chunking=True, bdat=12))
    assert c.next_event() is SEND_BODY
    assert c.data_to_send().endswith(b"BDAT 12 LAST\r\n")
    c.body_sent()
    c.receive_data(b"250 ok\r\n250 ok\r\n250 stored\r\n")
    assert c.next_event() is IDLE and tx.end is not None and tx.end.positive


def test_large_chunks_wait_for_the_recipients() -> None:
    c = started(**CAPABLE)
    tx = c.transaction(Envelope("s@x", ["a@y"], chunking=True))
    assert c.data_to_send() == b"MAIL FROM:<s@x>\r\nRCPT TO:<a@y>\r\n"
    c.receive_data(b"250 ok\r\n250 ok\r\n")
    assert c.next_event() is SEND_BODY
    assert c.chunk(5, False) == b"BDAT 5\r\n" and c.chunk(3, True) == b"BDAT 3 LAST\r\n"
    c.body_sent()
    c.receive_data(b"250 5\r\n250 done\r\n")
    assert c.next_event() is IDLE and tx.end is not None and tx.data is None


def test_lmtp_answers_each_recipient() -> None:
    c = SmtpClient(lmtp=True, capabilities={"PIPELINING": ""})
    tx = c.transaction(Envelope("s@x", ["a@y", "b@y", "c@y"]))
    c.data_to_send()
    c.receive_data(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    c.body_sent()
    c.receive_data(b"250 one\r\n452 three\r\n")
    assert c.next_event() is IDLE and {i: a.code for i, a in tx.each.items()} == {0: 250, 2: 452}


def test_prdr() -> None:
    c = started(**CAPABLE)
    tx = c.transaction(Envelope("s@x", ["a@y", "b@y"], " PRDR", prdr=True))
    c.data_to_send()
    c.receive_data(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    c.body_sent()
    c.receive_data(b"353 each\r\n250 a\r\n550 b\r\n250 all\r\n")
    assert {i: a.code for i, a in tx.each.items()} == {0: 250, 1: 550}
    assert tx.end is not None and tx.end.text == "250 all"


def test_end_of_stream_tells_what_was_awaited() -> None:
    c = started(PIPELINING="")
    c.transaction(Envelope("s@x", ["a@y"]))
    c.data_to_send()
    c.receive_data(b"250 ok\r\n")
    c.receive_data(b"")
    assert c.next_event() is CLOSED
    awaited = c.awaited()
    assert awaited is not None and awaited.kind is Awaiting.RCPT and awaited.pipelined


@pytest.mark.parametrize("junk", [b"hello\r\n", b"25 \r\n", b"2500\r\n", b"\r\n", b"250ok\r\n", b"x" * 20000])
def test_what_is_no_reply(junk: bytes) -> None:
    c = SmtpClient()
    c.greet()
    with pytest.raises(RemoteProtocolError):
        c.receive_data(junk)


def test_replies_without_end_are_refused() -> None:
    c = SmtpClient()
    c.greet()
    with pytest.raises(RemoteProtocolError):
        for _ in range(1000):
            c.receive_data(b"220-" + b"x" * 100 + b"\r\n")


def test_line_ends_in_addresses_are_our_bug() -> None:
    with pytest.raises(LocalProtocolError):
        started().transaction(Envelope("a\nRCPT TO:<x>", ["b@y"]))
    c = started(PIPELINING="")
    with pytest.raises(LocalProtocolError):
        c.transaction(Envelope("a@x", ["b\r\nDATA"]))


REPLIES = st.lists(st.one_of(
    st.sampled_from([b"250 ok\r\n", b"250-a\n250 b\r\n", b"354 go\r\n", b"353 each\r\n", b"421 bye\r\n", b"450 x\r\n",
                     b"550 no\r\n", b"junk\r\n", b"\xff\xfe\n", b""]), st.binary(max_size=40)), max_size=30)


@settings(deadline=None, max_examples=300)
@given(REPLIES, st.booleans(), st.booleans(), st.booleans(), st.integers(1, 4))
def test_no_server_crashes_or_hangs_it(replies: list[bytes], lmtp: bool, pipelining: bool, chunking: bool,
                                       count: int) -> None:
    c = SmtpClient(lmtp=lmtp)
    c.greet()
    c.hello("me")
    if pipelining:
        c.capabilities["PIPELINING"] = ""
    begun = False
    for data in replies:
        try:
            c.receive_data(data)
        except RemoteProtocolError:
            return
        for _ in range(5):
            event = c.next_event()
            if event is SEND_BODY:
                c.data_to_send()
                if chunking and c.tx is not None and c.tx.envelope.bdat < 0:
                    c.chunk(1, True)
                c.body_sent()
            elif event is IDLE and not begun and not c.closed:
                begun = True
                if pipelining:
                    c.capabilities["PIPELINING"] = ""
                c.transaction(Envelope("s@x", ["r@y"] * count, chunking=chunking, bdat=-1, prdr=True))
            else:
                break
        c.data_to_send()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 6), max_size=30))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    data = b"220 hi\r\n250-me\r\n250-SIZE 5\n250 PIPELINING\r\n"
    c = SmtpClient()
    c.greet()
    c.hello("me")
    for cut in cuts:
        if data[:cut]:
            c.receive_data(data[:cut])
        data = data[cut:]
    if data:
        c.receive_data(data)
    assert c.next_event() is IDLE and c.capabilities == {"SIZE": "5", "PIPELINING": ""}


def test_nothing_said_in_clear_holds_after_starttls() -> None:
    """What somebody puts behind the answer to STARTTLS must not be taken for an answer of the encrypted session."""
    client = SmtpClient()
    client.hello("me")
    client.data_to_send()
    client.receive_data(b"250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    client.start_tls()
    assert client.data_to_send() == b"STARTTLS\r\n"
    client.receive_data(b"220 go\r\n")
    client.tls_started()
    assert client.capabilities == {}
    for extra in (b"250-evil", b"250-evil\r\n", b"250 evil\r\n"):
        client = SmtpClient()
        client.start_tls()
        client.receive_data(b"220 go\r\n" + extra)
        with pytest.raises(RemoteProtocolError):
            client.tls_started()
