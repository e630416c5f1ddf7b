"""Lists as a real Exim answers them: the cases of t/cases/lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakedns import FakeDns
from list_families import CASES, FILES, ListCase, named_cases, options_of, read_family
from list_lab import make_scope

from pyexim.base.ipaddress import is_ip
from pyexim.config.reader import read_configuration
from pyexim.dns.resolver import make_resolver
from pyexim.expand.scope import Scope
from pyexim.match import lists
from pyexim.model.connection import Connection
from pyexim.net import interfaces


@contextmanager
def scope_for(path: Path, head: list[str]) -> Iterator[Scope]:
    """Provide the scope of a family: its options, its DNS."""
    scope = make_scope()
    text = "\n".join(["primary_hostname = myhost.example.com", *options_of(head), named_cases()])
    scope.config = read_configuration(["test"], data=text.encode())
    zone = path.with_suffix(".zone")
    with FakeDns(zone.read_text() if zone.exists() else "localhost A 127.0.0.1") as server:
        scope.services.resolver = make_resolver(scope.config, servers=[server.address])
        yield scope


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "system_addresses", lambda now=0.0: ["127.0.0.1", "::1"])
    interfaces.forget()


def answer(kind: str, case: ListCase, scope: Scope) -> str:
    """Return what we say of a case."""
    text = case.text.replace("$FILES", FILES)
    if kind == "ip" and case.subject and not is_ip(case.subject):
        return "error"  # the expansion condition refuses it
    if kind == "host":
        scope.conn = Connection(kind="tcp", sender_host_address=case.subject)
        match = lists.match_host(scope.conn, text, scope)
    else:
        function = {"domain": lists.match_domain, "localpart": lists.match_local_part, "address": lists.match_address,
                    "ip": lists.match_ip}[kind]
        match = function(case.subject, text, scope, expanded=True)
    if match.deferred:
        return "error"
    return f"yes {match.value or ''}".strip().replace("\n", "\\n") if match else "no"


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_family(path: Path) -> None:
    head, cases = read_family(path)
    wrong = []
    with scope_for(path, head) as scope:
        for case in cases:
            said = answer(path.stem.partition("-")[0], case, scope)
            if said != case.wanted:
                wrong.append(f"{case.source}\n  wanted {case.wanted}\n  said   {said}")
    assert not wrong, "\n".join(wrong)
