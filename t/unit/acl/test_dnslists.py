"""DNS lists against made-up answers."""

from __future__ import annotations

import pytest
from acl_lab import Lab

from pyexim.acl import dnslists
from pyexim.acl.api import compile_acls, run_acl
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope
from pyexim.verify.dnsrecords import Answer

ZONE = {
    ("1.2.0.192.bl.example", "A"): ["127.0.0.2"],
    ("1.2.0.192.bl.example", "TXT"): ["listed because"],
    ("1.2.0.192.two.example", "A"): ["127.0.0.1", "127.0.0.2"],
    ("1.2.0.192.out.example", "A"): ["192.0.2.99"],
    ("bad.example.names.example", "A"): ["127.0.0.5"],
    ("1.2.0.192.sub.example", "A"): ["127.0.0.9"],
    ("1.0.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2.bl.example", "A"): ["127.0.0.6"],
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    def records(name: str, kind: str, scope: Scope) -> Answer:
        if "slow" in name:
            return Answer(deferred=True)
        return Answer(ZONE.get((name, kind), []), 60)

    monkeypatch.setattr(dnslists, "records", records)
    config = read_configuration(["lab.conf"], data=b"""primary_hostname = h.example
begin acl
merged:
  deny message = $dnslist_domain $dnslist_matched $dnslist_value $dnslist_text
       dnslists = sub.example,bl.example=127.0.0.2 : two.example
plain:
  deny message = $dnslist_domain $dnslist_value $dnslist_text
       dnslists = bl.example
""")
    compile_acls(config)
    made = Lab(config)
    assert made.scope.conn is not None
    made.scope.conn.sender_host_address = "192.0.2.1"
    return made


@pytest.mark.parametrize(("text", "listed"), [
    ("bl.example", True), ("none.example", False), ("none.example : bl.example", True),
    ("bl.example=127.0.0.2", True), ("bl.example=127.0.0.3", False), ("bl.example!=127.0.0.3", True),
    ("bl.example=127.0.0.3,127.0.0.2", True), ("bl.example&0.0.0.2", True), ("bl.example&0.0.0.1", False),
    ("two.example=127.0.0.1", True), ("two.example==127.0.0.1", False),
    ("two.example==127.0.0.1,127.0.0.2", True), ("two.example!=127.0.0.1", False),
    ("two.example!==127.0.0.1", True), ("two.example!&0.0.0.1", False), ("two.example!=&0.0.0.1", True),
    ("two.example!=&0.0.0.1,0.0.0.2", False), ("out.example", False),
    ("names.example/bad.example", True), ("names.example/good.example::bad.example", True),
    ("names.example/<;x.example;bad.example", True), ("bl.example/192.0.2.2", False),
    ("<; bl.example/<|2001:db8::1", True),
    ("sub.example,bl.example=127.0.0.2", True), ("none.example,bl.example=127.0.0.2", False),
    ("sub.example,bl.example=127.0.0.3", False), ("slow.example", False), ("slow.example : bl.example", True),
    ("+include_unknown : slow.example", True), ("+exclude_unknown : slow.example", False),
])
def test_listed(lab: Lab, text: str, listed: bool) -> None:
    result = run_acl("connect", f"deny dnslists = {text}\naccept", lab.scope)
    assert result.status == ("fail" if listed else "ok")


def test_defer_unknown(lab: Lab) -> None:
    assert run_acl("connect", "deny dnslists = +defer_unknown : slow.example\naccept", lab.scope).status == "defer"


def test_variables(lab: Lab) -> None:
    result = run_acl("connect", "merged", lab.scope)
    assert result.user_text.rstrip() == "sub.example 192.0.2.1 127.0.0.9"
    result = run_acl("connect", "plain", lab.scope)
    assert result.user_text == "bl.example 127.0.0.2 listed because"


def test_addresses_outside_127_are_told(lab: Lab) -> None:
    run_acl("connect", "deny dnslists = out.example", lab.scope)
    assert lab.log.lines == ["LOG: DNS list lookup for 192.0.2.1 at out.example returned 192.0.2.99; "
                             "not in 127.0/8 and discarded"]
