"""Transcripts of t/proto against the core in memory: whole, line by line, byte by byte.

``C:`` lines are sent with CRLF, ``S:`` lines are what is expected (``*`` stands for anything), ``=``
says what the core has taken for a message: a Python bytes literal.  ``%`` lines set limits.  Whatever
way the input is cut, the answers are the same.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyexim.smtp.server import CLOSED, NEED_DATA, BodyData, BodyEnd, Command, Limits, Server

FILES = sorted((Path(__file__).resolve().parents[2] / "proto").glob("*.smtp"))


@dataclass
class Script:
    """One transcript."""

    sent: bytes = b""
    lines: list[bytes] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)


def read(path: Path) -> Script:
    script = Script()
    for line in path.read_text(encoding="latin-1").split("\n"):
        mark, _, text = line.partition(" ")
        if mark == "C:":
            data = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text).encode("latin-1") + b"\r\n"
            script.lines.append(data)
        elif mark == "S:":
            script.expected.append(text)
        elif mark == "=":
            script.bodies.append(ast.literal_eval(text))
        elif mark == "%":
            name, _, value = text.partition("=")
            script.limits[name] = int(value)
    script.sent = b"".join(script.lines)
    return script


class Policy:
    """Accepts everything but addresses with "reject" in them."""

    def __init__(self, limits: Limits) -> None:
        self.core = Server(limits)
        self.body = b""
        self.bodies: list[bytes] = []
        self.out = b"220 server\r\n"

    def run(self, blocks: list[bytes]) -> None:
        core = self.core
        waiting = list(blocks)
        while (event := core.next_event()) is not CLOSED:
            if event is NEED_DATA:
                self.out += core.data_to_send()
                core.receive_data(waiting.pop(0) if waiting else b"")
            elif isinstance(event, BodyData):
                self.body += event.data
            elif isinstance(event, BodyEnd):
                if event.last:
                    self.bodies.append(self.body)
                    self.body = b""
                    core.reply(250, "OK id=x")
                else:
                    core.reply(250, f"{event.size} byte chunk received")
            elif isinstance(event, Command):
                self.command(event)
        self.out += core.data_to_send()

    def command(self, event: Command) -> None:
        core, verb = self.core, event.verb
        if "reject" in event.argument:
            core.reply(550, "rejected")
        elif verb == "EHLO":
            core.pipelining = core.chunking = True
            core.reply(250, f"server Hello {event.argument}\nPIPELINING\nCHUNKING\nHELP")
        elif verb == "HELO":
            core.reply(250, f"server Hello {event.argument}")
        elif verb == "DATA":
            core.reply(354, "go ahead")
        elif verb == "BDAT":
            core.start_chunk(event)
        elif verb == "RSET":
            core.reset()
            self.body = b""
            core.reply(250, "Reset OK")
        elif verb == "QUIT":
            core.reply(221, "closing connection")
        elif verb in ("AUTH", "STARTTLS"):
            core.error("protocol", 503, f"{verb} command used when not advertised")
        else:
            core.reply(250, "Accepted" if verb == "RCPT" else "OK")


def check(script: Script, blocks: list[bytes]) -> None:
    policy = Policy(Limits(**script.limits))
    policy.run(blocks)
    got = policy.out.decode("latin-1").split("\r\n")[:-1]
    assert len(got) == len(script.expected), got
    for line, pattern in zip(got, script.expected):
        assert re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), line), (line, pattern)
    assert policy.bodies == script.bodies


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("cut", ["whole", "lines", "bytes"])
def test_transcript(path: Path, cut: str) -> None:
    script = read(path)
    if cut == "whole":
        check(script, [script.sent])
    elif cut == "lines":
        check(script, script.lines)
    else:
        check(script, [script.sent[i:i + 1] for i in range(len(script.sent))])
