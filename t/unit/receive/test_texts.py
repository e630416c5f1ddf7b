"""Texts about clients, durations, folding of replies."""

from __future__ import annotations

import pytest

from pyexim.model.connection import Connection
from pyexim.receive.texts import connection_info, duration, fold_reply, full_host, host_and_ident, received_host, shown


class Log:
    def __init__(self, *selectors: str) -> None:
        self.selectors = selectors

    def selected(self, selector: str) -> bool:
        return selector in self.selectors


def conn(**fields: object) -> Connection:
    return Connection(kind="tcp", sender_host_address="10.0.0.1", sender_host_port=99, interface_address="10.0.0.2",
                      interface_port=25, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fields", "full", "received"), [
    ({}, "[10.0.0.1]", "[10.0.0.1]"),
    ({"sender_helo_name": "a.b"}, "(a.b) [10.0.0.1]", "[10.0.0.1] (helo=a.b)"),
    ({"sender_helo_name": "[10.0.0.1]"}, "([10.0.0.1]) [10.0.0.1]", "[10.0.0.1]"),
    ({"sender_host_name": "a.b", "sender_helo_name": "A.b"}, "a.b [10.0.0.1]", "a.b ([10.0.0.1])"),
    ({"sender_host_name": "a.b", "sender_helo_name": "x", "sender_ident": "u"}, "a.b (x) [10.0.0.1]",
     "a.b\n\t([10.0.0.1] helo=x ident=u)")])
def test_hosts(fields: dict[str, str], full: str, received: str) -> None:
    log = Log()
    assert full_host(conn(**fields), log) == full  # type: ignore[arg-type]
    assert received_host(conn(**fields), log) == received  # type: ignore[arg-type]


def test_selectors_and_local() -> None:
    log = Log("incoming_port", "incoming_interface")
    assert host_and_ident(conn(), log) == "H=[10.0.0.1]:99 I=[10.0.0.2]:25"  # type: ignore[arg-type]
    assert connection_info(conn(), Log(), inetd=True) == "SMTP connection from [10.0.0.1] (via inetd)"  # type: ignore[arg-type]
    local = Connection(kind="stdin", sender_ident="root")
    assert host_and_ident(local, log) == "U=root"  # type: ignore[arg-type]
    assert connection_info(local, log) == "SMTP connection from root"  # type: ignore[arg-type]
    assert received_host(local, log) is None  # type: ignore[arg-type]


def test_durations() -> None:
    assert duration(0.1824, millisec=True) == "0.182s"
    assert duration(0.1, millisec=False) == "0s"
    assert duration(225, millisec=False) == "3m45s"


def test_folding_as_observed() -> None:
    text = ("a@b b / MAIL FROM:<a@b> SIZE=99 / <a@b> SIZE=99 / 99 / 0 / 0 / a.b / esmtp / [127.0.0.1] (helo=a.b) / "
            "(a.b) [127.0.0.1] / 127.0.0.1")
    assert fold_reply(text).split("\n") == [
        "a@b b / MAIL FROM:<a@b> SIZE=99 / <a@b> SIZE=99 / 99 / 0 / 0 / a.b / esmtp",
        "/ [127.0.0.1] (helo=a.b) / (a.b) [127.0.0.1] / 127.0.0.1"]
    assert fold_reply("no way\n second") == "no way\nsecond"
    assert fold_reply("x" * 200) == "x" * 200


def test_shown() -> None:
    assert shown("a\tb\x01\n") == "a\tb\\001\\n"
