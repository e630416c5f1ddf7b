"""-d with single topics: what each of them tells of one message, and nothing of the others."""

from __future__ import annotations

import re

import pytest
from live import Live

MESSAGE = "From: old@test.example\nSubject: x\n\nbody\n"

ROUTER = """\
far:
  driver = manualroute
  domains = far.example
  route_list = * 127.0.0.2
  self = send
  transport = out
"""

SAID = {
    "receive": [r"Sender: old@test\.example\nRecipients:\n  alice@test\.example\n", r">>Headers received:\nFrom: old@",
                r">>Headers after rewriting and local additions:\n\* From: old@test\.example\nF From: new@"],
    "rewrite": [r'"old@test\.example" from env-from rewritten as "new@test\.example" by rule 1',
                r"rewritten sender = new@test\.example\n"],
    "retry": [r"Considering: R:far\.example\n  no retry record\n",
              r" Writing retry data for T:127\.0\.0\.2:127\.0\.0\.2:",
              r"   errno=111 more_errno=\w+ Connection refused"],
    "transport": [r"appendfile transport entered: file\n--------> alice@test\.example <--------\n  file=",
                  r"file transport yields ok for alice@test\.example", r"smtp transport entered: out\n",
                  r"Connecting to 127\.0\.0\.2 \[127\.0\.0\.2\]:\d+ \.\.\. failed: Connection refused"],
    "hints_lookup": [r"opened hints database .*/db/retry\.sqlite", r"retry: read key=R:far\.example: not found",
                     r"retry: write key=T:127\.0\.0\.2", r"wait-out: write key=127\.0\.0\.2 "],
}


@pytest.fixture(scope="module")
def outputs() -> dict[str, str]:
    said = {}
    for topic in SAID:
        with Live(routers=ROUTER) as live:
            live.conf.write_text(live.conf.read_text() + "\nbegin rewrite\nold@test.example new@test.example\n")
            done = live.run(f"-d-all+{topic}", "-odf", "-f", "old@test.example", "alice@test.example", "x@far.example",
                            stdin=MESSAGE)
            assert done.returncode == 0
            said[topic] = done.stderr
    return said


@pytest.mark.parametrize("topic", SAID)
def test_each_topic_tells_its_own(outputs: dict[str, str], topic: str) -> None:
    for expected in SAID[topic]:
        assert re.search(expected, outputs[topic]), expected
    for other, lines in SAID.items():
        if other not in (topic, "rewrite") and {topic, other} != {"retry", "hints_lookup"}:
            assert not re.search(lines[0], outputs[topic]), other


def test_topics_by_number(outputs: dict[str, str]) -> None:
    with Live() as live:
        first = live.run("-d-all+retry", "-bV").stderr.splitlines()[0]
        number = first.rpartition("D=")[2]
        again = live.run(f"-d=0x{number}", "-bV").stderr.splitlines()[0]
        assert again.endswith(f"D={number}")
        assert live.run("-d=x", "-bV").returncode == 1


def test_dns_questions_are_shown() -> None:
    router = "r:\n  driver = dnslookup\n  domains = nowhere.invalid\n  transport = out\n  no_more\n"
    with Live(routers=router) as live:
        said = live.run("-d-all+dns", "-bt", "x@nowhere.invalid").stderr
        assert re.search(r"DNS lookup of nowhere\.invalid \(MX\) gave (HOST_NOT_FOUND|TRY_AGAIN|NO_DATA)", said), said
