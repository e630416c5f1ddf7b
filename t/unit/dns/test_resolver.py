"""The resolver, hosts, MX hosts and dnsdb against a server of a zone text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from fakedns import FakeDns
from list_lab import make_scope

from pyexim.base.clock import FixedClock
from pyexim.dns.hosts import addresses_by_dns, look_up_name, mx_hosts
from pyexim.dns.query import read_resolv_conf
from pyexim.dns.resolver import AGAIN, FOUND, NO_NAME, NODATA, Resolver, Settings, make_resolver
from pyexim.expand.scope import Scope
from pyexim.lookup.api import find
from pyexim.match.lists import match_domain, match_host
from pyexim.model.connection import Connection

ZONE = """
a.example A 10.0.0.1
a.example AD AAAA 1::1
m.example MX 10 a.example
m.example MX 20 b.example
b.example A 127.0.0.1
p.example MX 10 b.example
p.example MX 20 a.example
al.example CNAME a.example
t.example TXT "one" "two"
spf.example SPF "v=spf1 " "-all"
spf.example TXT "other"
s.example SOA ns.s.example. me.x. 1 2 3 4 5
_client._smtp.c.example SRV 1 2 0 a.example
_client._smtp.strict.example SRV 1 1 1 a.example
1.0.0.10.in-addr.arpa PTR a.example
2.0.0.10.in-addr.arpa PTR liar.example
liar.example A 10.9.9.9
3.0.0.10.in-addr.arpa AGAIN
nul.example MX 0 .
again.example AGAIN
mxagain.example MX 5 again.example
_x._tcp.srv.example SRV 5 10 99 a.example
z.example NS ns1.z.example
bad.example MX 10 nohost.example
many.example TXT "XXX" "YYY" "ZZZ"
_25._tcp.a.example TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000001
""".replace("XXX", "x" * 250).replace("YYY", "y" * 250).replace("ZZZ", "z" * 250)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeDns]:
    with FakeDns(ZONE) as made:
        yield made


@pytest.fixture
def scope(server: FakeDns) -> Scope:
    made = make_scope()
    made.services.resolver = make_resolver(made.config, servers=[server.address])
    return made


@pytest.mark.parametrize(("name", "rtype", "status", "values"), [
    ("a.example", "A", FOUND, ["10.0.0.1"]), ("A.EXAMPLE.", "A", FOUND, ["10.0.0.1"]),
    ("al.example", "A", FOUND, ["10.0.0.1"]), ("al.example", "CNAME", FOUND, ["a.example"]),
    ("m.example", "A", NODATA, []), ("no.example", "A", NO_NAME, []), ("again.example", "A", AGAIN, []),
    ("bad!name.example", "A", NO_NAME, []), ("x" * 64 + ".example", "TXT", NO_NAME, []),
    ("t.example", "TXT", FOUND, [("one", "two")]), ("_x._tcp.srv.example", "SRV", FOUND, [(5, 10, 99, "a.example")]),
    ("_25._tcp.a.example", "TLSA", FOUND, [(3, 1, 1, "0" * 63 + "1")]),
    ("many.example", "TXT", FOUND, [("x" * 250, "y" * 250, "z" * 250)])])
def test_answers(name: str, rtype: str, status: str, values: list[object], scope: Scope) -> None:
    answer = scope.services.resolver.lookup(name, rtype)
    assert (answer.status, answer.values) == (status, values)
    assert bool(answer) is (status == FOUND)


def test_slow_questions_are_told_of(server: FakeDns) -> None:
    class Slow(FixedClock):
        def monotonic(self) -> float:
            self.now += 0.2
            return self.now

    config = make_scope(slow_lookup_log=100).config
    resolver = make_resolver(config, servers=[server.address], clock=Slow(0.0))
    told: list[str] = []
    resolver.tell = told.append
    resolver.lookup("a.example", "A")
    resolver.lookup("a.example", "A")  # kept
    resolver.lookup("t.example", "TXT", timed=False)
    assert len(told) == 1 and re.fullmatch(r"Long A lookup for 'a\.example': \d+ msec", told[0])


def test_results_are_kept(scope: Scope, server: FakeDns) -> None:
    resolver = scope.services.resolver
    resolver.lookup("a.example", "A")
    resolver.lookup("no.example", "A")
    before = len(server.queries)
    resolver.lookup("a.example", "A")
    resolver.lookup("no.example", "A")
    assert len(server.queries) == before
    resolver.lookup("again.example", "A")
    assert len(server.queries) > before


def test_again_means_nonexist(server: FakeDns) -> None:
    scope = make_scope(dns_again_means_nonexist="*.com : again.example")
    resolver = make_resolver(scope.config, servers=[server.address])
    assert resolver.lookup("again.example", "A").status == NO_NAME


def test_authenticated_data(scope: Scope) -> None:
    resolver = scope.services.resolver
    assert resolver.lookup("a.example", "AAAA", dnssec=True).dnssec
    assert not resolver.lookup("a.example", "A", dnssec=True).dnssec


def test_qualifying(server: FakeDns) -> None:
    from pyexim.dns.query import SystemSettings

    system = SystemSettings(servers=(server.address,), search=("nowhere.test", "example"))
    resolver = Resolver(Settings(system=system), servers=[server.address])
    assert resolver.lookup("a", "A").status == NO_NAME
    found = resolver.lookup("a", "A", qualify_single=True)
    assert (found.status, found.name) == (FOUND, "a.example")


def test_a_silent_server_is_a_temporary_failure(scope: Scope) -> None:
    with FakeDns("x.example DROP") as server:
        resolver = make_resolver(make_scope(dns_retry=1, dns_retrans=1).config, servers=[server.address])
        assert resolver.lookup("x.example", "A").again


def test_resolv_conf(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "resolv.conf"
    file.write_text("# c\nnameserver 10.0.0.1\nnameserver ::1\nsearch A.example b.example\n"
                    "options ndots:2 attempts:3\n")
    found = read_resolv_conf(str(file))
    assert found.servers == (("10.0.0.1", 53), ("::1", 53))
    assert (found.search, found.ndots, found.attempts, found.timeout) == (("a.example", "b.example"), 2, 3, 5)


def test_mx_hosts(scope: Scope) -> None:
    found = mx_hosts("m.example", scope)
    assert [(h.name, h.mx) for h in found.hosts] == [("a.example", 10), ("a.example", 10), ("b.example", 20)]
    assert {h.address for h in found.hosts[:2]} == {"10.0.0.1", "1::1"}
    assert mx_hosts("nul.example", scope).status == "null"
    assert mx_hosts("no.example", scope).status == NO_NAME
    assert mx_hosts("again.example", scope).status == AGAIN
    assert mx_hosts("mxagain.example", scope).status == AGAIN
    assert mx_hosts("bad.example", scope).status == "mx_only"
    assert [h.mx for h in mx_hosts("a.example", scope).hosts] == [-1, -1]
    assert mx_hosts("m.example", scope, ignore=lambda name, address: True).status == "ignored"
    assert mx_hosts("again.example", scope, mx_fail=lambda d: True, use_address=False).status == "nodata"
    service = mx_hosts("srv.example", scope, srv_service="x")
    assert {(h.name, h.port, h.mx) for h in service.hosts} == {("a.example", 99, 5)}


def test_equal_preferences_are_shuffled(scope: Scope) -> None:
    orders = set()
    for seed in range(20):
        found = mx_hosts("a.example", scope, rng=random.Random(seed))
        orders.add(tuple(h.address for h in found.hosts))
    assert len(orders) == 2


def test_without_ipv6(server: FakeDns) -> None:
    for options in ({"disable_ipv6": True}, {"dns_ipv4_lookup": "*.example"}):
        scope = make_scope(**options)
        scope.services.resolver = make_resolver(scope.config, servers=[server.address])
        assert addresses_by_dns("a.example", scope).addresses == ["10.0.0.1"]


def test_names_must_lead_back(scope: Scope) -> None:
    good = Connection(kind="tcp", sender_host_address="10.0.0.1")
    look_up_name(good, scope)
    assert good.sender_host_name == "a.example" and not good.host_lookup_failed
    liar = Connection(kind="tcp", sender_host_address="10.0.0.2")
    look_up_name(liar, scope)
    assert liar.sender_host_name is None and liar.host_lookup_failed and not liar.host_lookup_deferred
    later = Connection(kind="tcp", sender_host_address="10.0.0.3")
    look_up_name(later, scope)
    assert later.host_lookup_deferred and not later.host_lookup_failed


def test_hosts_by_name_in_lists(scope: Scope) -> None:
    conn = Connection(kind="tcp", sender_host_address="10.0.0.1")
    assert match_host(conn, "*.example", scope)
    assert match_host(conn, "a.example", scope)
    assert not match_host(conn, "b.example", scope)
    assert match_host(conn, "again.example", scope).deferred
    assert not match_host(conn, "+ignore_defer : again.example", scope).deferred
    assert match_host(conn, "+include_defer : again.example", scope)


@pytest.mark.parametrize(("item", "domain", "found"), [
    ("@mx_any", "m.example", True), ("@mx_primary", "m.example", False), ("@mx_secondary", "m.example", True),
    ("@mx_primary", "p.example", True), ("@mx_secondary", "p.example", False), ("@mx_any", "a.example", False),
    ("@mx_any/ignore=127.0.0.1", "m.example", False), ("@mx_any/ignore=<;10.0.0.1;1::1", "m.example", True),
    ("@mx_any", "no.example", False)])
def test_own_mx(item: str, domain: str, found: bool, scope: Scope) -> None:
    assert bool(match_domain(domain, f"<? {item}", scope)) is found


def test_hosts_treated_as_local(server: FakeDns) -> None:
    scope = make_scope(hosts_treat_as_local="a.example")
    scope.services.resolver = make_resolver(scope.config, servers=[server.address])
    assert match_domain("m.example", "@mx_primary", scope)


@pytest.mark.parametrize(("query", "data"), [
    ("a=a.example", "10.0.0.1"), ("a+=a.example", "1::1\n10.0.0.1"), ("mxh=p.example", {"b.example", "a.example"}),
    ("mx=m.example", {"10 a.example", "20 b.example"}), (">:,; mx=bad.example", "10;nohost.example"),
    ("txt=t.example", "one"), ("t.example", "one"), (">\n; txt=t.example", "onetwo"),
    (">\n,: txt=t.example", "one:two"),
    ("spf=spf.example", "v=spf1 -all"), ("soa=q.s.example", "ns.s.example"),
    (">:,; soa=s.example", "ns.s.example;me.x;1;2;3;4;5"), ("csa=c.example", "Y a.example"),
    ("csa=strict.example", "N a.example"), ("csa=x.strict.example", "X x.strict.example"), ("csa=no.example", None),
    ("ptr=10.0.0.1", "a.example"), ("zns=a.b.z.example", "ns1.z.example"), ("a=no.example", None),
    ("defer_never,a=again.example", None), ("srv=_x._tcp.srv.example", "5 10 99 a.example"),
    (">: a=a.example:b.example", "10.0.0.1:127.0.0.1"), ("a=a.example:again.example", "10.0.0.1"),
    ("dnssec_strict,aaaa=a.example", "1::1"), ("retrans_2s,retry_1,a=a.example", "10.0.0.1"),
    ("cname=al.example", "a.example")])
def test_dnsdb(query: str, data: str | set[str] | None, scope: Scope) -> None:
    result = find("dnsdb", query, None, scope)
    assert not result.deferred, result.error
    if isinstance(data, set):
        assert set(result.value.split("\n")) == data
    else:
        assert (result.value if result.found else None) == data


@pytest.mark.parametrize(("query", "error"), [
    ("foo=bar", "unsupported DNS record type"), ("a=again.example", ""), ("defer_strict,a=a.example:again.example", ""),
    ("dnssec_strict,a=a.example", "the answer is not authenticated"),
    ("defer_x,a=b", "unsupported dnsdb defer behaviour"),
    ("dnssec_x,a=b", "unsupported dnsdb dnssec behaviour"), ("retry_x,a=b", "dnsdb modifier syntax error")])
def test_dnsdb_defers(query: str, error: str, scope: Scope) -> None:
    result = find("dnsdb", query, None, scope)
    assert result.deferred and error in result.error
