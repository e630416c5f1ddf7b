"""Lists as a real Exim answers them: the cases of t/cases/lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakedns import FakeDns
from list_lab import make_scope, named_cases, recorded

from pyexim.base.ipaddress import is_ip
from pyexim.dns.resolver import make_resolver
from pyexim.expand.scope import Scope
from pyexim.match import lists
from pyexim.model.connection import Connection
from pyexim.net import interfaces


@pytest.fixture(scope="module")
def scope() -> Iterator[Scope]:
    made = make_scope(named_cases())
    with FakeDns("localhost A 127.0.0.1") as server:
        made.services.resolver = make_resolver(made.config, servers=[server.address])
        yield made


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "system_addresses", lambda now=0.0: ["127.0.0.1", "::1"])
    interfaces.forget()


def answer(match: lists.Match) -> str:
    if match.deferred:
        return "error"
    return f"yes {match.value or ''}".strip() if match else "no"


@pytest.mark.parametrize(("subject", "text", "expected"), recorded("domain"))
def test_domain(subject: str, text: str, expected: str, scope: Scope) -> None:
    assert answer(lists.match_domain(subject, text, scope, expanded=True)) == expected


@pytest.mark.parametrize(("subject", "text", "expected"), recorded("localpart"))
def test_local_part(subject: str, text: str, expected: str, scope: Scope) -> None:
    assert answer(lists.match_local_part(subject, text, scope, expanded=True)) == expected


@pytest.mark.parametrize(("subject", "text", "expected"), recorded("address"))
def test_address(subject: str, text: str, expected: str, scope: Scope) -> None:
    assert answer(lists.match_address(subject, text, scope, expanded=True)) == expected


@pytest.mark.parametrize(("subject", "text", "expected"), recorded("ip"))
def test_ip(subject: str, text: str, expected: str, scope: Scope) -> None:
    if subject and not is_ip(subject):
        assert expected == "error"  # the expansion condition refuses it
        return
    assert answer(lists.match_ip(subject, text, scope, expanded=True)) == expected


@pytest.mark.parametrize(("subject", "text", "expected"), recorded("host"))
def test_host(subject: str, text: str, expected: str, scope: Scope) -> None:
    conn = Connection(kind="tcp", sender_host_address=subject)
    assert answer(lists.match_host(conn, text, scope, expanded=True)) == expected
