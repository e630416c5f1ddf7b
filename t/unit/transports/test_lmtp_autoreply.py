"""LMTP to this host, and replies made here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from delivery import Delivery
from scripted import ScriptedServer

from pyexim.base.errors import ConfigError
from pyexim.transports.autoreply import Once

LMTP = "S: 220 hi\nC: LHLO test.example\nS: 250-me\nS: 250-IGNOREQUOTA\nS: 250 PIPELINING\n" \
    "C: MAIL FROM:<s@test.example>\n"


def test_lmtp_over_a_socket(tmp_path: Path) -> None:
    script = LMTP + "C: RCPT TO:<a@r.example> IGNOREQUOTA\nC: .*\nC: DATA\nS: 250 ok\nS: 250 1\nS: 250 2\nS: 354 go\n" \
        "D:\nS: 250 one\nS: 550 two\nC: QUIT"
    with ScriptedServer(script, unix=f"{tmp_path}/sock") as server:
        d = Delivery("lmtp", socket=f"{tmp_path}/sock", batch_max=5, ignore_quota=True)
        results = d.run(to="a@r.example b@r.example")
    assert not server.errors
    assert [(r.status, r.text, r.confirmation) for r in results] == [
        ("ok", "", "250 one"), ("fail", "LMTP error after end of data: 550 two", None)]
    assert d.delivered == ["a@r.example"]


def test_lmtp_over_a_command() -> None:
    script = "echo 220 hi; read x; echo 250 me; read x; echo 250 ok; read x; echo 250 ok; read x; echo 354 go; " \
        "while read x; do case $x in .?) break;; esac; done; echo 250 stored; read x"
    d = Delivery("lmtp", command="/bin/sh -c '" + script.replace("$", "\\$") + "'", timeout=5)
    result, = d.run()
    assert (result.status, result.text, result.confirmation) == ("ok", "", "250 stored")


def test_lmtp_without_server(tmp_path: Path) -> None:
    result, = Delivery("lmtp", socket=f"{tmp_path}/none").run()
    assert (result.status, result.errno) == ("defer", -1) and "Failed to connect to socket" in result.text
    result, = Delivery("lmtp", command="/nonexistent").run()
    assert result.status == "defer"
    with pytest.raises(ConfigError):
        Delivery("lmtp")


def reply(**options: Any) -> tuple[Delivery, list[bytes]]:
    sent: list[bytes] = []
    d = Delivery("autoreply", **{"to": "$sender_address", "from_": "x@r.example", "subject": "Re: $h_subject:",
                                 "text": "Hello", **options})
    d.services.submit = lambda arguments, text: sent.append(text) or 0
    return d, sent


HEADERS = "Subject: orig\nMessage-ID: <abc@d>\nReferences: <r1@d>\n"


def test_a_reply() -> None:
    d, (*_, ) = reply(cc="c@x", bcc="b@x", reply_to="rt@x", headers="X-A: 1\nX-B: 2", return_message=True)
    sent: list[bytes] = []
    d.services.submit = lambda arguments, text: sent.append(text) or 0
    assert d.run(d.message(HEADERS))[0].status == "ok"
    assert sent == [b"From: x@r.example\nReply-To: rt@x\nTo: s@test.example\nCc: c@x\nBcc: b@x\nSubject: Re: orig\n"
                    b"In-Reply-To: <abc@d>\nReferences: <r1@d> <abc@d>\nAuto-Submitted: auto-replied\n"
                    b"X-A: 1\nX-B: 2\n\nHello\n"
                    b"\n------ This is a copy of the message, including all the headers.\n\n"
                    b"Subject: orig\nMessage-ID: <abc@d>\nReferences: <r1@d>\n\nbody\n"]


@pytest.mark.parametrize("size", [0, 100])
def test_once(size: int, tmp_path: Path) -> None:
    d, sent = reply(once=f"{tmp_path}/once", once_file_size=size, log=f"{tmp_path}/log")
    for _ in range(3):
        assert d.run()[0].status == "ok"
    assert len(sent) == 1
    assert (tmp_path / "log").read_text().count("previously sent to s@test.example") == 2


def test_a_full_once_file_drops_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "once"
    for i in range(5):
        Once(str(path), 40, 0, 0o600, "t").record(f"user{i}@x.example", 1000 + i)
    data = path.read_bytes()
    assert len(data) <= 40 and struct.unpack_from("=i", data)[0] == 1004 - (len(data) // 20 - 1)
    assert Once(str(path), 40, 100, 0o600, "t").sent_lately("user4@x.example", 1050)
    assert not Once(str(path), 40, 10, 0o600, "t").sent_lately("user4@x.example", 1050)


def test_files_and_those_who_are_never_written_to(tmp_path: Path) -> None:
    d, sent = reply(file=f"{tmp_path}/f", file_expand=True)
    result, = d.run()
    assert (result.status, result.errno) == ("defer", 2)
    assert result.text == (f"Failed to open file {tmp_path}/f when sending message from t transport: "
                           "No such file or directory")
    (tmp_path / "f").write_text("to $sender_address\n")
    assert d.run()[0].status == "ok" and sent[0].endswith(b"Hello\nto s@test.example\n")
    d, sent = reply(never_mail="*@test.example")
    assert d.run()[0].status == "ok" and sent == []


def test_what_cannot_be_submitted() -> None:
    d, _ = reply()
    d.services.submit = lambda arguments, text: 1
    result, = d.run()
    assert (result.status, result.text) == ("defer", "Failed to send message from t transport (1)")
    d.services.submit = lambda arguments, text: 2
    assert d.run()[0].status == "ok"
    d, _ = reply(subject="a\7b")
    result, = d.run()
    assert (result.status, result.text) == (
        "fail", 'Expansion of "a\\007b" in t transport contains non-printing character 7')


def test_a_reply_that_could_not_be_remembered_is_not_sent(tmp_path: Path) -> None:
    d, sent = reply(once=f"{tmp_path}/none/once", once_file_size=100)
    result, = d.run()
    assert (result.status, result.errno) == ("defer", 2) and sent == []
    assert result.text == (f'Failed to open "once" file {tmp_path}/none/once when sending message from t transport: '
                           "No such file or directory")


def test_it_is_remembered_when_it_has_been_submitted(tmp_path: Path) -> None:
    d, sent = reply(once=f"{tmp_path}/once", once_file_size=100, log=f"{tmp_path}/log")
    result, = d.run(submitted_later=True)
    assert result.once_more and len(sent) == 1
    assert (tmp_path / "once").read_bytes() == b"" and not (tmp_path / "log").exists()
    result, = d.run(submitted_later=True, reply_sent=True)
    assert not result.once_more and len(sent) == 1
    assert b"s@test.example\0" in (tmp_path / "once").read_bytes() and (tmp_path / "log").exists()
    result, = d.run(submitted_later=True)
    assert (result.status, result.once_more) == ("ok", False) and len(sent) == 1
