"""The topics of -d, what is written before lines, and dialogues as -v shows them."""

from __future__ import annotations

import pytest

from pyexim.log.debug import TOPICS, Debug, Dialogue, parse_topics
from pyexim.log.log import Log, LogSettings


def test_default_topics_leave_out_the_noisy_ones() -> None:
    topics = parse_topics("")
    assert {"acl", "route", "v", "lists"} <= topics
    assert not topics & {"expand", "memory", "pid", "timestamp", "resolver", "noutf8"}
    assert Debug(topics).number() == "f7715cfd"


@pytest.mark.parametrize(("text", "number"), [("-all+expand", "100"), ("-all", "0"), ("-all+acl+route+pid", "4080004"),
                                              ("+expand", "f7715dfd"), ("-all+timestamp+expand", "8000100")])
def test_numbers_as_observed(text: str, number: str) -> None:
    assert Debug(parse_topics(text)).number() == number


@pytest.mark.parametrize(("text", "error"), [
    ("+foo", "unknown debug_selector setting: +foo"), ("+all-foo", "unknown debug_selector setting: -foo"),
    ("+v", "unknown debug_selector setting: +v"),
    ("x", 'malformed debug_selector setting: + or - expected but found "x"')])
def test_wrong_selectors(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=r"^" + error.replace("+", r"\+")):
        parse_topics(text)


def test_all_has_no_memory_and_no_modifiers() -> None:
    assert parse_topics("-all+all") == set(TOPICS) - {"memory", "noutf8"}


def test_host_checking_has_its_mark(capfd: pytest.CaptureFixture[str]) -> None:
    debug = Debug((), host_checking=True)
    debug("acl", "one\ntwo")
    debug("route", "not this")
    debug.log("MAIN", "nor this")
    assert capfd.readouterr().err == ">>> one\n>>> two\n"


def test_topics_chosen_as_well_leave_the_mark_out(capfd: pytest.CaptureFixture[str]) -> None:
    debug = Debug({"v"}, host_checking=True)
    debug("acl", "one")
    assert capfd.readouterr().err == "one\n"


def test_parts_of_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    debug = Debug({"v"}, host_checking=True)
    debug.prefix = "# "
    debug.write("a ")
    debug.write("b\nc\n")
    assert capfd.readouterr().err == "# a b\n# c\n"


def test_drawing_in_ascii(capfd: pytest.CaptureFixture[str]) -> None:
    Debug({"expand", "noutf8"}).write(" ╭considering: \xe9\n")
    assert capfd.readouterr().err.startswith(" /considering: ")


def test_dialogue(capfd: pytest.CaptureFixture[str]) -> None:
    dialogue = Debug({"v"}).dialogue()
    assert isinstance(dialogue, Dialogue)
    dialogue.connecting("h", "10.0.0.1", 25)
    dialogue.connected()
    dialogue.received(b"220 hel")
    dialogue.received(b"lo\r\n250-a\r\n250 b\r\n")
    dialogue.sent(b"MAIL FROM:<>\r\nDATA\r\n")
    assert capfd.readouterr().err == (
        "Connecting to h [10.0.0.1]:25 ... connected\n  SMTP<< 220 hello\n  SMTP<< 250-a\n         250 b\n"
        "  SMTP|> MAIL FROM:<>\n  SMTP>> DATA\n")
    assert Debug({"expand"}).dialogue() is None


def test_log_lines_are_shown_whatever_is_selected(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(LogSettings(use_file=False, selectors=frozenset()))
    assert not log.wants("queue_run")
    log.debug = Debug({"v"})
    assert log.wants("queue_run")
    log.main("Start", selector="queue_run")
    log.reject("no")
    log.panic("bad")
    assert capfd.readouterr().err == "LOG: queue_run MAIN\n  Start\nLOG: MAIN REJECT\n  no\nLOG: MAIN PANIC\n  bad\n"
