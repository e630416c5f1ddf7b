"""Listings: the columns as the real Exim 4.96 prints them, the fast way against the careful one."""

from __future__ import annotations

from pathlib import Path

import pytest
from delivery_lab import World

from pyexim.queue import fastlist, listing
from pyexim.queue.listing import count, format_age, format_size, style_of, write_listing
from pyexim.spool.api import lock


@pytest.mark.parametrize(("minutes", "want"), [
    (0, " 0m"), (59, "59m"), (60, "60m"), (90, "90m"), (91, " 2h"), (120, " 2h"), (4259, "71h"), (4320, "72h"),
    (4379, " 3d"), (5760, " 4d"), (7000, " 5d"), (150000, "104d"), (1500000, "1042d")])
def test_age(minutes: int, want: str) -> None:
    assert format_age(minutes * 60 + 5) == want


@pytest.mark.parametrize(("size", "want"), [
    (266, "  266"), (1016, " 1016"), (10232, "10.0K"), (10256, "  10K"), (10732, "  10K"), (102256, " 100K"),
    (999256, " 976K"), (1024256, "1000K"), (1048256, "1024K"), (1049256, " 1.0M"), (10380256, " 9.9M"),
    (10480256, "10.0M"), (10490256, "  10M"), (104700256, " 100M")])
def test_size(size: int, want: str) -> None:
    assert format_size(size) == want


def show(world: World, flags: str = "", ids: list[str] | None = None) -> str:
    out: list[str] = []
    write_listing(world.spool, style_of(flags), ids or [], world.clock.now + 60, out.append)
    return "".join(out)


def fill(world: World) -> list[str]:
    one = world.queue_message(["a@lab.example", "b@lab.example"], message_id="1vABCD-000000000Ab-0001")
    two = world.queue_message(["x@r.example"], sender="", message_id="1vABCD-000000000Ab-0002",
                              frozen_since=world.clock.now)
    three = world.queue_message(["y@r.example"], message_id="1vABCD-000000000Ab-0003", sender_set_untrusted=True,
                                originator_login="joe")
    locked = lock(world.spool, one)
    assert locked is not None
    locked.message.nonrecipients |= {"b@lab.example", "child@lab.example"}
    locked.rewrite_header()
    locked.close()
    return [one, two, three]


def test_variants(world: World) -> None:
    one, two, three = fill(world)
    first = f" 1m    68 {one} <s@r.example>\n"
    rest = (f" 1m    68 {two} <> *** frozen ***\n          x@r.example\n\n"
            f" 1m    68 {three} (joe) <s@r.example>\n          y@r.example\n\n")
    assert show(world) == first + "          a@lab.example\n        D b@lab.example\n\n" + rest
    assert show(world, "a") == (
        first + "          a@lab.example\n        D b@lab.example\n       +D child@lab.example\n\n" + rest)
    assert show(world, "u") == first + "          a@lab.example\n\n" + rest
    assert show(world, "i") == f"{one}\n{two}\n{three}\n"
    assert sorted(show(world, "r").split("\n\n")) == sorted(show(world).split("\n\n"))
    assert sorted(show(world, "ri").splitlines()) == [one, two, three]
    assert show(world, "", [three]) == f" 1m    68 {three} (joe) <s@r.example>\n          y@r.example\n\n"
    assert count(world.spool) == 3


def test_broken_and_missing_messages(world: World) -> None:
    one = world.queue_message(["a@lab.example"])
    (Path(world.spool.directory) / "input" / f"{one}-H").write_text("x\n")
    assert show(world) == f"      {one}\n    *** spool format error: size=2 ***\n\n"
    gone = "1vABCD-000000000Zz-0000"
    assert show(world, "", [gone]) == (
        f"      {gone}\n    *** spool read error: No such file or directory ***\n\n")


def test_work_is_shared_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(30):
        world.queue_message([f"u{i}@x", "v@y"], message_id=f"1vABCD-000000000Ab-{i:04d}")
    want = show(world)
    monkeypatch.setattr(fastlist, "SHARE_FROM", 4)
    monkeypatch.setattr(fastlist.os, "cpu_count", lambda: 3)
    assert [len(s) for s in fastlist.shares([str(i) for i in range(30)])] == [10, 10, 10]
    assert show(world) == want
    assert want.count("\n\n") == 30


def test_fast_way_agrees_with_the_careful_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world)
    fast = show(world)
    monkeypatch.setattr(listing, "_write_fast", lambda *a: False)
    assert show(world) == fast
