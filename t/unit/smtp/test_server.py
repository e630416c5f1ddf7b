"""The core: that nothing crashes or hangs it, that cutting the input does not matter, limits, synchronisation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import cpu_limit

from pyexim.base.errors import LocalProtocolError
from pyexim.model.reply import Reply
from pyexim.smtp.server import (
    CLOSED,
    NEED_DATA,
    BodyData,
    BodyEnd,
    Command,
    EndOfInput,
    Limits,
    Refused,
    Server,
    SyncError,
    TooMany,
)

COMMANDS = st.sampled_from([
    b"EHLO a\r\n", b"HELO a\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"DATA\n", b"x\n.\n",
    b"BDAT 3\r\nabc", b"BDAT 2 LAST\r\nab",
    b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"\r\n", b".\r\n", b"x\r\n.\r\n", b"BDAT 99999999999999999999\r\n",
    b"\xff\0\r\n",
    b"VRFY\r\n", b"AUTH X\r\n", b"mail from: \r\n"])


def drive(core: Server, blocks: list[bytes]) -> tuple[bytes, list[str]]:
    out, seen = b"", []
    waiting = list(blocks)
    for _ in range(10_000):
        event = core.next_event()
        if event is CLOSED:
            return out + core.data_to_send(), seen
        if event is NEED_DATA:
            out += core.data_to_send()
            core.receive_data(waiting.pop(0) if waiting else b"")
        elif isinstance(event, Command):
            seen.append(event.verb)
            if event.verb == "EHLO":
                core.pipelining = core.chunking = True
            if event.verb == "BDAT":
                core.start_chunk(event)
            elif event.verb == "RSET":
                core.reset()
                core.reply(250, "OK")
            else:
                core.reply(354 if event.verb == "DATA" else 221 if event.verb == "QUIT" else 250, "OK")
        elif isinstance(event, BodyEnd):
            seen.append("END")
            core.reply(250, "OK")
        elif isinstance(event, BodyData):
            seen.append("+")
        else:
            seen.append(type(event).__name__)
    raise AssertionError("no end")


@given(st.lists(COMMANDS | st.binary(max_size=20), max_size=12), st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=300)
def test_cuts_do_not_matter(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = drive(Server(), [data] if data else [])
    places = sorted({c for c in cuts if 0 < c < len(data)})
    blocks = [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]
    got = drive(Server(), [b for b in blocks if b])
    assert got[0] == whole[0]
    assert [x for x in got[1] if x != "+"] == [x for x in whole[1] if x != "+"]


def test_long_lines_are_thrown_away() -> None:
    core = Server(Limits(max_command=100, max_unknown=5))
    blocks = [b"NOOP " + b"x" * 60000] * 200 + [b"\r\n", b"NOOP\r\n", b"QUIT\r\n"]
    with cpu_limit():
        out, seen = drive(core, blocks)
    assert out == b"500 unrecognized command\r\n250 OK\r\n221 OK\r\n"
    assert seen == ["Refused", "NOOP", "QUIT"]


def test_a_command_must_be_answered() -> None:
    core = Server()
    core.receive_data(b"NOOP\r\n")
    assert isinstance(core.next_event(), Command)
    with pytest.raises(LocalProtocolError):
        core.next_event()
    core.reply(250, "OK")
    with pytest.raises(LocalProtocolError):
        core.reply(250, "OK")


def test_synchronisation() -> None:
    core = Server()
    core.more_input = lambda: False
    core.receive_data(b"NOOP\r\nQUIT\r\n")
    event = core.next_event()
    assert isinstance(event, SyncError)
    assert event.input == b"QUIT\r\n"
    assert core.data_to_send() == b"554 SMTP synchronization error\r\n"
    assert core.next_event() is CLOSED
    core = Server()
    core.pipelining = True
    core.more_input = lambda: True
    core.receive_data(b"MAIL FROM:<a@b>\r\n")
    assert isinstance(core.next_event(), Command)


def test_ends() -> None:
    core = Server()
    core.receive_data(b"NO")
    assert core.next_event() is NEED_DATA
    core.receive_data(b"")
    event = core.next_event()
    assert isinstance(event, EndOfInput)
    assert event.phase == "command"
    assert core.next_event() is CLOSED


def test_counted_nonmail_hosts() -> None:
    core = Server(Limits(max_nonmail=1), lambda: False)
    out, seen = drive(core, [b"NOOP\r\n" * 20])
    assert out == b"250 OK\r\n" * 20
    core = Server(Limits(max_nonmail=1), lambda: True)
    _, seen = drive(core, [b"NOOP\r\n" * 20])
    assert seen == ["NOOP", "TooMany"]


def test_errors_of_the_session_count() -> None:
    core = Server(Limits(max_synprot=0))
    core.receive_data(b"HELO a\r\nMAIL FROM:<\r\n")
    assert isinstance(core.next_event(), Command)
    core.reply(250, "OK")
    assert isinstance(core.next_event(), Command)
    event = core.error("syntax", 501, "bad")
    assert isinstance(event, Refused)
    assert isinstance(core.next_event(), TooMany)
    assert core.data_to_send().endswith(b"501-bad\r\n501 Too many syntax or protocol errors\r\n")


def test_one_line_replies() -> None:
    core = Server()
    core.multiline = False
    core.send(Reply(220, "a\nb"))
    assert core.data_to_send() == b"220 b\r\n"
    core.send(Reply(421, "gone", True))
    assert core.next_event() is CLOSED
