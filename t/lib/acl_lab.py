"""Runs ACL scenarios without a network: a configuration's ACLs, a few SMTP commands, the answers and log lines.

The same case files are made from what a real Exim answers under -bh, so the answers have its form.  A case
file holds cases separated by lines of "=": a name, then sections "-- acl", "-- main" (more main options),
"-- session" (commands, one a line: MAIL, RCPT, RSET, CONNECT, HELO) and "-- want".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyexim.acl.api import AclResult, run_acl
from pyexim.acl.controls import controls_of
from pyexim.acl.texts import host_and_ident
from pyexim.base.clock import FixedClock
from pyexim.base.taint import taint
from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope, Services
from pyexim.hints.memory import MemoryHints
from pyexim.model.connection import Connection
from pyexim.model.message import Message


@dataclass
class Case:
    """One case of a file."""

    name: str
    sections: dict[str, str] = field(default_factory=dict)


def read_cases(path: Path) -> list[Case]:
    """Read a case file."""
    cases: list[Case] = []
    section = ""
    for line in path.read_text(encoding="latin-1").split("\n"):
        if line.startswith("== "):
            cases.append(Case(line[3:]))
            section = ""
        elif line.startswith("-- ") and cases:
            section = line[3:]
            cases[-1].sections[section] = ""
        elif section:
            cases[-1].sections[section] += line + "\n"
    return cases


class RecordingLog:
    """Keeps log lines, as -bh shows them."""

    def __init__(self, selectors: frozenset[str] = frozenset({"acl_warn_skipped", "sender_verify_fail"})) -> None:
        self.lines: list[str] = []
        self.selectors = selectors

    def main(self, text: str, **_: Any) -> None:
        self.lines.append("LOG: " + text)

    def reject(self, text: str, *, also_main: bool = True, **_: Any) -> None:
        if also_main:
            self.main(text)

    def panic(self, text: str, **_: Any) -> None:
        self.main(text)

    def selected(self, selector: str) -> bool:
        return selector in self.selectors

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


class TickingClock(FixedClock):
    """A clock that moves a little whenever it is read."""

    def time(self) -> float:
        self.now += 0.01
        return self.now


class Lab:
    """One connection from 127.0.0.1 that has said EHLO x."""

    def __init__(self, config: Configuration) -> None:
        self.config = config
        self.log = RecordingLog()
        services = Services(self.log, clock=TickingClock(), hints=MemoryHints(), primary_hostname="h.example")
        conn = Connection(kind="tcp", sender_host_address="127.0.0.1", sender_helo_name=taint("x"),
                          host_checking=True, esmtp=True)
        self.scope = Scope(config, services, conn=conn, message=Message(conn=conn))
        self.replies: list[str] = []

    def command(self, line: str) -> None:
        """Do one command."""
        verb, _, argument = line.partition(" ")
        address = taint(argument.strip("<>"))
        scope = self.scope
        if verb in ("RSET", "MAIL"):
            scope.message = Message(conn=scope.conn or Connection())
            controls_of(scope).reset_message()
        if verb == "MAIL":
            assert scope.message is not None
            scope.message.sender_address = address
            result = run_acl("mail", self.config.main.acl_smtp_mail, scope)
            if result.status != "ok":
                self.answer(result, f"MAIL <{address}>", "")
        elif verb == "RCPT":
            result = run_acl("rcpt", self.config.main.acl_smtp_rcpt, scope, recipient=address)
            assert scope.message is not None
            self.answer(result, f"RCPT <{address}>", f"F=<{scope.message.sender_address}> ")

    def answer(self, result: AclResult, command: str, sender: str) -> None:
        """Write down what the client and the log are told."""
        if result.status in ("ok", "discard"):
            text, code = result.user_text or "Accepted", result.code or 250
            if result.status == "discard":
                why = result.log_text and ": " + result.log_text
                self.log.main(f"{host_and_ident(self.scope)}{sender}{command}: discarded by RCPT ACL{why}")
        else:
            temporary = result.status == "defer"
            code = result.code or (451 if temporary else 550)
            text = result.user_text or (
                "Temporary local problem - please try later" if temporary else "Administrative prohibition")
            if result.sender_verify_log:
                self.log.main(host_and_ident(self.scope) + result.sender_verify_log)
            if result.log_targets:
                why = result.log_text and ": " + result.log_text
                self.log.main(f"{host_and_ident(self.scope)}{sender}{'temporarily ' if temporary else ''}"
                              f"rejected {command}{why}")
            if result.sender_verify_failed:
                self.replies += [f"{code}-{line}" for line in result.sender_verify_failed.split("\n")]
        lines = [f"{result.extended} {line}" if result.extended else line for line in text.split("\n")]
        self.replies += [f"{code}-{line}" for line in lines[:-1]] + [f"{code} {lines[-1]}"]


def show(lab: Lab) -> str:
    """Return what is compared with a case's "want": replies, then log lines; times masked."""
    return re.sub(r"\d+ second", "N second", "\n".join([*lab.replies, *lab.log.lines]))
