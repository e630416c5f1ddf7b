"""Retry rules compared with Exim's -brt; times, records, and what an attempt writes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.clock import FixedClock
from pyexim.base.errors import ConfigError, Place
from pyexim.config.configuration import Configuration, RuleLine
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Scope, Services
from pyexim.hints.memory import MemoryHints
from pyexim.model.message import Message
from pyexim.retry import errors as e
from pyexim.retry.api import RetryItem, compile_rules, find_record, format_record, outlived, parse_record, update
from pyexim.retry.rules import parse_rule
from pyexim.retry.schedule import next_interval, next_try
from pyexim.retry.testing import report

CASES = Path(__file__).resolve().parents[2] / "cases" / "retry"
NOW = 1_000_000.0
HOUR = 3600


class Log:
    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None: ...
    def reject(self, text: str, *, message_id: str | None = None) -> None: ...
    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None: ...
    def selected(self, selector: str) -> bool:
        return False

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


def scope_with(rules: str, sender: str | None = "s@x.y") -> Scope:
    config = Configuration(MainOptions(), "test")
    config.retry = [RuleLine(line, Place("test", n)) for n, line in enumerate(rules.split("\n"), 1) if line]
    compile_rules(config)
    scope = Scope(config, Services(Log(), FixedClock(NOW), hints=MemoryHints()))
    if sender is not None:
        scope.message = Message(sender_address=sender)
    return scope


def blocks(name: str) -> list[Any]:
    found = []
    for block in (CASES / name).read_text().split("$ ")[1:]:
        head, _, rest = block.partition("\n")
        found.append(pytest.param(head, rest.strip("\n"), id=head))
    return found


@pytest.mark.parametrize("arguments,want", blocks("rules.txt"))
def test_brt(arguments: str, want: str) -> None:
    words = arguments.split()
    sender = None
    if words[0].startswith("-f"):
        sender = words.pop(0)[2:]
    rules = (CASES / "rules.conf").read_text().partition("begin retry\n")[2]
    assert report(words, scope_with(rules, sender)).strip("\n") == want


@pytest.mark.parametrize("line,want", blocks("lines.txt"))
def test_lines(line: str, want: str) -> None:
    if want.startswith("! "):
        with pytest.raises(ConfigError) as problem:
            parse_rule(line, Place("f", 3))
        assert problem.value.text == want[2:]
    else:
        assert f"Retry rule: {parse_rule(line, Place('f', 3)).format()}" == want + ("" if want.endswith(" ") else " ") \
            or parse_rule(line, Place("f", 3)).format().strip() == want.removeprefix("Retry rule: ").strip()


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_line_crashes(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_rule(text, Place("f", 1))


RULE = parse_rule("* * F,2h,15m; G,16h,1h,1.5; F,4d,6h", Place("f", 1))
DAY = 86400.0


@pytest.mark.parametrize("failing,last,minutes", [
    (0, 0, 15), (HOUR, 900, 15), (2 * HOUR + 1, 900, 60), (4 * HOUR, 3600, 90), (6 * HOUR, 5400, 135),
    (17 * HOUR, 9000, 360), (5 * DAY, 21600, 360),
])
def test_next_try(failing: float, last: float, minutes: int) -> None:
    assert next_try(RULE, failing, last, NOW, DAY) == NOW + minutes * 60


def test_random_intervals_and_maximum() -> None:
    h = parse_rule("* * H,4d,1h,2", Place("f", 1)).parameters[0]
    seen: list[tuple[int, int]] = []

    def choose(low: int, high: int) -> int:
        seen.append((low, high))
        return high
    assert next_interval(h, 0, DAY, choose) == HOUR
    assert next_interval(h, 2 * HOUR, DAY, choose) == 4 * HOUR
    assert next_interval(h, 20 * HOUR, DAY, choose) == DAY
    assert seen == [(HOUR, 4 * HOUR), (HOUR, int(DAY))]
    g = parse_rule("* * G,4d,1h,1", Place("f", 1)).parameters[0]
    assert next_interval(g, 5 * HOUR, DAY) == HOUR


def item(**values: Any) -> RetryItem:
    return RetryItem("T:mx.y:1.2.3.4", errno=e.REFUSED, more_errno=e.host_detail(True), text="refused", **values)


def test_first_failure_and_the_next() -> None:
    scope = scope_with("* * F,2h,15m; F,4d,6h")
    hints, config = scope.services.hints, scope.config
    assert update([item()], scope, message_age=1) == {"T:mx.y:1.2.3.4": False}
    record = find_record(hints, "T:mx.y:1.2.3.4", config, NOW)
    assert record is not None
    assert (record.first_failed, record.last_try, record.next_try, record.expired) == (NOW, NOW, NOW + 900, False)
    assert (record.errno, record.more_errno, record.text) == (e.REFUSED, e.FROM_MX, "refused")
    clock = scope.services.clock
    assert isinstance(clock, FixedClock)
    clock.now = NOW + 3 * HOUR
    update([item()], scope, message_age=1)
    record = find_record(hints, "T:mx.y:1.2.3.4", config, clock.now)
    assert record is not None and (record.first_failed, record.next_try) == (NOW, NOW + 9 * HOUR)
    clock.now = NOW + 5 * DAY
    assert update([item()], scope, message_age=1) == {"T:mx.y:1.2.3.4": True}
    record = find_record(hints, "T:mx.y:1.2.3.4", config, clock.now)
    assert record is not None and record.expired and record.next_try == clock.now + 6 * HOUR
    clock.now += 8 * DAY
    assert find_record(hints, "T:mx.y:1.2.3.4", config, clock.now) is None  # retry_data_expire
    assert update([item()], scope, message_age=1) == {"T:mx.y:1.2.3.4": False}
    update([item(delete=True)], scope, message_age=1)
    assert hints.items("retry") == []


def test_no_rule_means_no_retry() -> None:
    assert update([item()], scope_with(""), message_age=0) == {"T:mx.y:1.2.3.4": True}
    assert update([item()], scope_with("mx.y refused"), message_age=0) == {"T:mx.y:1.2.3.4": True}


def test_an_old_message_is_given_up_without_a_new_time() -> None:
    scope = scope_with("* * F,1d,1h")
    assert update([item()], scope, message_age=2 * DAY) == {"T:mx.y:1.2.3.4": True}
    assert scope.services.hints.items("retry") == []


def test_errors_of_the_message_count_from_its_arrival() -> None:
    scope = scope_with("* * F,1h,5m; F,1d,30m")
    update([item(kind="message")], scope, message_age=2 * HOUR)
    record = find_record(scope.services.hints, "T:mx.y:1.2.3.4", scope.config, NOW)
    assert record is not None and record.next_try == NOW + 1800


def test_host_then_domain_of_the_address() -> None:
    scope = scope_with("dom.ain * F,1d,7m\nmx.y refused_A F,1d,1m\nother.host * F,1d,2m")
    update([item(domain="dom.ain")], scope, message_age=0)
    record = find_record(scope.services.hints, "T:mx.y:1.2.3.4", scope.config, NOW)
    assert record is not None and record.next_try == NOW + 420
    assert outlived(record, "mx.y", "dom.ain", scope, 2 * DAY) and not outlived(record, "mx.y", "dom.ain", scope, 5)


def test_subjects_of_other_keys() -> None:
    scope = scope_with("u@dom.ain * F,1d,7m\n*@dom.ain * F,1d,9m")
    update([RetryItem("R:u@dom.ain:<s@x.y>", errno=e.ERRNO_RCPT4XX, kind="address"),
            RetryItem("R:dom.ain", errno=-1, kind="routing"),
            RetryItem("T:u@dom.ain", errno=e.ERRNO_EXIMQUOTA, kind="address")], scope, message_age=0)
    times = {k: parse_record(v).next_try - NOW for k, v, _ in scope.services.hints.items("retry")}  # type: ignore[union-attr]
    assert times == {"R:u@dom.ain:<s@x.y>": 420, "R:dom.ain": 540, "T:u@dom.ain": 420}


@given(st.text(max_size=40))
def test_stored_records_never_crash(text: str) -> None:
    record = parse_record(text)
    assert record is None or parse_record(format_record(record)) is not None
