"""Grouping: who goes together in one run of a transport."""

from __future__ import annotations

import pytest
from delivery_lab import World, make_address, make_transport

from pyexim.deliver import plan
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.model.message import Message, Recipient


def names(batches: list[list[Address]]) -> list[list[str]]:
    return [[str(a.address) for a in b] for b in batches]


@pytest.fixture
def scope(world: World) -> Scope:
    return Scope(world.config, world.services)


LOCAL_CASES = [
    ({}, [["a@x"], ["b@x"], ["c@y"]]),
    ({"batch_max": 10}, [["a@x", "b@x", "c@y"]]),
    ({"batch_max": 2}, [["a@x", "b@x"], ["c@y"]]),
    ({"batch_max": 10, "file": "/mail/$domain"}, [["a@x", "b@x"], ["c@y"]]),
    ({"batch_max": 10, "file": "/mail/${domain}"}, [["a@x", "b@x"], ["c@y"]]),
    ({"batch_max": 10, "file": "/mail/$local_part"}, [["a@x"], ["b@x"], ["c@y"]]),
    ({"batch_max": 10, "file": "/mail/$local_part_data"}, [["a@x"], ["b@x"], ["c@y"]]),
    ({"batch_max": 10, "batch_id": "${if eq{$domain}{y}{1}{2}}"}, [["a@x", "b@x"], ["c@y"]]),
    ({"batch_max": 10, "batch_id": "${if eq{$domain}{y}{1}fail}"}, [["a@x"], ["b@x"], ["c@y"]]),
]


@pytest.mark.parametrize(("options", "want"), LOCAL_CASES)
def test_local_batches(scope: Scope, options: dict, want: list[list[str]]) -> None:
    transport = make_transport("t", **options)
    addresses = [make_address(x, transport=transport) for x in ("a@x", "b@x", "c@y")]
    assert names(plan.local_batches(addresses, scope)) == want


@pytest.mark.parametrize("difference", [
    {"errors_address": "e@x"}, {"headers_add": ["X: y\n"]}, {"headers_remove": "x"}, {"uid": 5}, {"gid": 5},
    {"host_list": [Host("h")]}])
def test_what_keeps_local_addresses_apart(scope: Scope, difference: dict) -> None:
    transport = make_transport("t", batch_max=10)
    addresses = [make_address("a@x", transport=transport), make_address("b@x", transport=transport, **difference)]
    assert names(plan.local_batches(addresses, scope)) == [["a@x"], ["b@x"]]


def test_pipes_are_batched_for_the_same_command_only(scope: Scope) -> None:
    transport = make_transport("t", batch_max=10)

    def pipe(text: str, top: str) -> Address:
        return make_address(text, transport=transport, kind="pipe", parent=make_address(top), domain="x",
                            local_part=text[1:])

    addresses = [pipe("|/bin/a", "a@x"), pipe("|/bin/a", "b@x"), pipe("|/bin/b", "c@x")]
    assert names(plan.local_batches(addresses, scope)) == [["|/bin/a", "|/bin/a"], ["|/bin/b"]]


def remote(text: str, transport, *hosts: Host, **values) -> Address:
    return make_address(text, transport=transport, host_list=list(hosts), **values)


def test_remote_batches_by_hosts(scope: Scope) -> None:
    t = make_transport("smtp", is_local=False, max_rcpt=100, multi_domain=True)
    one, two, three = Host("m1", mx=5), Host("m2", mx=5), Host("m3", mx=10)
    addresses = [remote("a@x", t, one, two, three), remote("b@y", t, two, one, three), remote("c@z", t, one, three),
                 remote("d@z", t, three, one, two)]
    assert names(plan.remote_batches(addresses, scope)) == [["a@x", "b@y"], ["c@z"], ["d@z"]]


def test_remote_order_without_mx_counts(scope: Scope) -> None:
    t = make_transport("smtp", is_local=False, max_rcpt=100, multi_domain=True)
    addresses = [remote("a@x", t, Host("1"), Host("2")), remote("b@x", t, Host("2"), Host("1"))]
    assert len(plan.remote_batches(addresses, scope)) == 2


def test_max_rcpt_and_multi_domain(scope: Scope) -> None:
    t = make_transport("smtp", is_local=False, max_rcpt=2, multi_domain=True)
    assert names(plan.remote_batches([remote(f"{i}@x", t) for i in range(5)], scope)) == [
        ["0@x", "1@x"], ["2@x", "3@x"], ["4@x"]]
    t = make_transport("smtp", is_local=False, max_rcpt="${if eq{1}{1}{3}{4}}", multi_domain="no")
    addresses = [remote(f"{i}@{d}", t) for i in range(2) for d in "xy"]
    assert names(plan.remote_batches(addresses, scope)) == [["0@x", "1@x"], ["0@y", "1@y"]]


@pytest.mark.parametrize("difference", [
    {"errors_address": "e@x"}, {"headers_add": ["X: y\n"]}, {"headers_remove": "x"}, {"self_hostname": "me"}])
def test_what_keeps_remote_addresses_apart(scope: Scope, difference: dict) -> None:
    t = make_transport("smtp", is_local=False, max_rcpt=100, multi_domain=True)
    assert len(plan.remote_batches([remote("a@x", t), remote("b@x", t, **difference)], scope)) == 2


def test_recipients_that_are_done_are_left_out() -> None:
    message = Message(recipients=[Recipient("a@x"), Recipient("b@x"), Recipient("c@x", parent=0, errors_to="e@x")],
                      nonrecipients={"a@x"})
    found = plan.recipients(message)
    assert [a.address for a in found] == ["b@x", "c@x"]
    assert found[1].parent is not None and found[1].parent.address == "a@x"
    assert found[1].errors_address == "e@x"
