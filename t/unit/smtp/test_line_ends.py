"""What ends a message is decided by how the DATA command itself ended; chunks belong together."""

from __future__ import annotations

import pytest

from pyexim.smtp.server import CLOSED, NEED_DATA, BodyData, BodyEnd, Command, Server

FALSE = [b"\n.\n", b"\n.\r\n", b"\r\n.\n"]


def converse(data: bytes) -> tuple[list[str], bytes]:
    """Return the commands and ends that a server sees, and the octets of its messages."""
    core, seen, body = Server(), [], b""
    core.receive_data(data)
    while (event := core.next_event()) is not CLOSED:
        if event is NEED_DATA:
            core.receive_data(b"")
        elif isinstance(event, Command):
            seen.append(event.verb)
            core.reply({"DATA": 354, "QUIT": 221}.get(event.verb, 250), "OK")
        elif isinstance(event, BodyData):
            body += event.data
        elif isinstance(event, BodyEnd):
            seen.append("END")
            core.reply(250, "OK")
        else:
            seen.append(type(event).__name__)
    return seen, body


def session(eol: bytes, message: bytes) -> bytes:
    return eol.join([b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"DATA"]) + eol + message


@pytest.mark.parametrize("end", FALSE)
@pytest.mark.parametrize("head", [b"Subject: t\r\n\r\nhello", b"Subject: t\n\nhello"])
def test_data_with_crlf_ends_with_crlf_only(head: bytes, end: bytes) -> None:
    seen, body = converse(session(b"\r\n", head + end + b"MAIL FROM:<evil@x>\r\n.\r\nQUIT\r\n"))
    assert seen == ["HELO", "MAIL", "RCPT", "DATA", "END", "QUIT"]
    assert b"evil" in body


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\r\n"])
def test_data_with_lf_ends_with_a_dot_alone_in_a_line(end: bytes) -> None:
    seen, body = converse(session(b"\n", b"Subject: t\n\n..dot\nhello" + end + b"QUIT\n"))
    assert seen == ["HELO", "MAIL", "RCPT", "DATA", "END", "QUIT"]
    assert body.replace(b"\r", b"") == b"Subject: t\n\n.dot\nhello\n"


def test_only_the_data_command_counts() -> None:
    start = b"HELO x\nMAIL FROM:<>\nRCPT TO:<a@b>\n"
    seen, _ = converse(start + b"DATA\r\nhello\n.\nRSET\r\n.\r\nQUIT\n")
    assert seen == ["HELO", "MAIL", "RCPT", "DATA", "END", "QUIT"]


def test_after_a_refused_chunk_the_next_one_is_no_message() -> None:
    core, seen = Server(), []
    core.chunking = True
    core.receive_data(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 4\r\nhalfBDAT 7 LAST\r\nanotherRSET\r\n")
    while (event := core.next_event()) is not NEED_DATA:
        seen.append(getattr(event, "verb", ""))
        if isinstance(event, Command):
            if event.verb == "BDAT":
                core.refuse_chunk(452, "no space")
            else:
                core.reply(250, "OK")
        else:
            assert not isinstance(event, (BodyData, BodyEnd))
    assert seen == ["EHLO", "MAIL", "RCPT", "BDAT", "BDAT", "RSET"]
    assert core.data_to_send().split(b"\r\n")[3:5] == [b"452 no space", b"503 only RSET accepted now"]


def test_an_empty_message() -> None:
    assert converse(session(b"\n", b".\nQUIT\n"))[0][-2:] == ["END", "QUIT"]
    assert converse(session(b"\r\n", b".\r\nQUIT\r\n"))[0][-2:] == ["END", "QUIT"]
