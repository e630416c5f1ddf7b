"""The dnslookup router against made-up answers of the DNS."""

from __future__ import annotations

from typing import Any

import pytest
from router_lab import lab, route

from pyexim.dns.resolver import Answer
from pyexim.dnswire.message import Record
from pyexim.routers.base import Deferred, Failed, Rerouted, Routed

ZONE: dict[tuple[str, str], Any] = {
    ("mx.test", "MX"): [(10, "a.test"), (20, "b.test"), (30, "gone.test")],
    ("a.test", "A"): ["10.0.0.1"], ("b.test", "A"): ["10.0.0.2"], ("b.test", "AAAA"): ["2001:db8::2"],
    ("null.test", "MX"): [(0, "")],
    ("dead.test", "MX"): [(10, "gone.test")],
    ("late.test", "MX"): "again",
    ("nodns.test", "MX"): "again", ("nodns.test", "A"): ["10.0.0.9"],
    ("self.test", "MX"): [(10, "lo.test"), (20, "a.test")], ("lo.test", "A"): ["127.0.0.1"],
    ("second.test", "MX"): [(10, "a.test"), (20, "lo.test"), (20, "b.test")],
    ("plain.test", "A"): ["10.0.0.3"],
    ("wide.sub.test", "MX"): [(5, "a.test")],
    ("_smtp._tcp.srv.test", "SRV"): [(1, 0, 2525, "a.test")],
    ("_smtp._tcp.nosrv.test", "SRV"): [(0, 0, 0, "")],
}


class Resolver:
    fixed_servers = True

    def is_legal(self, name: str, rtype: str) -> bool:
        return True

    def lookup(self, name: str, rtype: str, **options: Any) -> Answer:
        data = ZONE.get((name.lower(), rtype))
        if data == "again":
            return Answer("again", name=name, error="timed out")
        if data is None:
            known = any(n == name.lower() for n, _ in ZONE)
            return Answer("nodata" if known else "nxdomain", name=name)
        return Answer("found", tuple(_record(name, rtype, d) for d in data), name, name)

    def ipv4_only(self, name: str) -> bool:
        return False

    def nonexist_when_again(self, name: str) -> bool:
        return False


def _record(name: str, rtype: str, data: Any) -> Record:
    return Record(name, rtype, 60, data)


def dns(options: str = "", rest: str = "") -> Any:
    lines = "".join(f"  {line.strip()}\n" for line in options.split("\n") if line.strip())
    return lab(f"d:\n  driver = dnslookup\n  transport = s\n{lines}{rest}", resolver=Resolver())


def hosts(scope: Any, text: str) -> list[tuple[str, str | None, int]]:
    outcome, address, _ = route(scope, text)
    assert isinstance(outcome, Routed), outcome
    return [(h.name, h.address, h.mx) for h in address.host_list]


def test_mx_hosts_in_order() -> None:
    found = hosts(dns(), "u@mx.test")
    assert found[0] == ("a.test", "10.0.0.1", 10)
    assert {f[:2] for f in found[1:]} == {("b.test", "10.0.0.2"), ("b.test", "2001:db8::2")}


def test_addresses_without_mx() -> None:
    assert hosts(dns(), "u@plain.test") == [("plain.test", "10.0.0.3", -1)]
    assert route(dns("mx_domains = *"), "u@plain.test")[0] == Failed("Unrouteable address", "Unrouteable address")


@pytest.mark.parametrize("domain,text", [
    ("no.such", "Unrouteable address"), ("null.test", "an MX or SRV record indicated no SMTP service"),
    ("dead.test", "all relevant MX records point to non-existent hosts"),
])
def test_declined(domain: str, text: str) -> None:
    assert route(dns(), f"u@{domain}")[0] == Failed(text, text)


def test_temporary_failures() -> None:
    outcome, *_ = route(dns(), "u@late.test")
    assert outcome == Deferred("host lookup did not complete", errno=-33)
    other = "n:\n  driver = accept\n  transport = t\n"
    assert route(dns("pass_on_timeout\nno_more", other), "u@late.test")[1].transport.name == "t"
    assert hosts(dns("mx_fail_domains = nodns.test"), "u@nodns.test") == [("nodns.test", "10.0.0.9", -1)]
    outcome, *_ = route(dns("fail_defer_domains = *"), "u@no.such")
    assert isinstance(outcome, Deferred) and outcome.errno == -32


def test_this_host() -> None:
    outcome, *_ = route(dns(), "u@self.test")
    assert isinstance(outcome, Deferred) and outcome.freeze
    assert hosts(dns("self = send"), "u@self.test")[0] == ("lo.test", "127.0.0.1", 10)
    assert hosts(dns(), "u@second.test") == [("a.test", "10.0.0.1", 10)]
    assert hosts(dns("check_secondary_mx"), "u@second.test") == [("a.test", "10.0.0.1", 10)]
    assert isinstance(route(dns("check_secondary_mx"), "u@mx.test")[0], Failed)


def test_ignored_addresses_and_families() -> None:
    assert isinstance(route(dns("ignore_target_hosts = 10.0.0.0/8"), "u@plain.test")[0], Failed)
    assert [h[1] for h in hosts(dns("ignore_target_hosts = 10.0.0.1"), "u@mx.test") if h[1] == "10.0.0.1"] == []
    assert all(":" not in (h[1] or "") for h in hosts(dns("ipv4_only = yes"), "u@mx.test"))
    assert hosts(dns("ipv4_prefer = yes"), "u@mx.test")[1][1] == "10.0.0.2"


def test_services() -> None:
    outcome, address, _ = route(dns("check_srv = smtp"), "u@srv.test")
    assert isinstance(outcome, Routed) and [(h.address, h.port) for h in address.host_list] == [("10.0.0.1", 2525)]
    assert route(dns("check_srv = smtp"), "u@nosrv.test")[0].user_text == (
        "an MX or SRV record indicated no SMTP service")


def test_widened_domains_are_routed_anew() -> None:
    scope = dns("widen_domains = other.test : sub.test")
    outcome, *_ = route(scope, "u@wide")
    assert isinstance(outcome, Rerouted) and outcome.children[0].address == "u@wide.sub.test"
    assert isinstance(route(scope, "u@wide", verify="S")[0], Failed)
