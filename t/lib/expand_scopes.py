"""Scopes for the tests of the expansion language."""

from __future__ import annotations

import os
from pathlib import Path

from pyexim.base.errors import Place
from pyexim.config.configuration import AclLine, Configuration, NamedList
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Scope, Services
from pyexim.model.message import Header, Message

ACLS = {"accepting": ["accept message = said $acl_narg:$acl_arg1:$acl_arg2"],
        "denying": ["deny message = no"], "deferring": ["defer"]}


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        self.lines.append(text)

    def reject(self, text: str, *, message_id: str | None = None) -> None:
        self.lines.append(text)

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.lines.append(text)

    def selected(self, selector: str) -> bool:
        return False

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


def make_scope() -> Scope:
    """Return a scope as -be has it, with the lists and ACLs of the comparisons' configuration."""
    place = Place("configure", 1)
    main = MainOptions()
    main.primary_hostname = "mx.example.com"
    config = Configuration(main=main, file="/configure")
    config.named_lists = {
        "domain": {"local_domains": NamedList("local_domains", "domain", "a.example : b.example : *.c.example", place)},
        "address": {"al": NamedList("al", "address", "a@b : c@d", place)},
        "localpart": {"lpl": NamedList("lpl", "localpart", "x : y", place)},
        "host": {"hl": NamedList("hl", "host", "10.0.0.0/8 : 192.168.1.1", place)}}
    config.acls = {name: [AclLine(line, place) for line in lines] for name, lines in ACLS.items()}
    services = Services(log=Log(), primary_hostname="mx.example.com", caller_uid=0, caller_gid=0,
                        initial_cwd=os.getcwd())
    return Scope(config=config, services=services)


def make_message(scope: Scope, path: Path) -> None:
    """Give the scope a message read from a file."""
    head, _, body = path.read_bytes().decode("latin-1").partition("\n\n")
    headers: list[str] = []
    for line in head.split("\n"):
        if line[:1] in " \t":
            headers[-1] += line + "\n"
        else:
            headers.append(line + "\n")
    scope.message = Message(message_id="1xVPhz-0003nJ-3D", sender_address="root@mx.example.com",
                            headers=[Header(h) for h in headers], data_path=str(path), data_start=len(head) + 2,
                            body_size=len(body), body_linecount=body.count("\n"), received_count=1)
