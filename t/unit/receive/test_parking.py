"""A session that is frozen in one process and thawed in another goes on as if nothing had been."""

from __future__ import annotations

from typing import Any

import pytest

from pyexim.base.taint import is_tainted, taint
from pyexim.model.connection import Connection
from pyexim.receive import parking


class Core:
    def __init__(self) -> None:
        for name in parking._CORE:
            setattr(self, name, None)
        self.state, self.nonmail, self.more_input = "greeted", 3, None


class Channel:
    def __init__(self) -> None:
        self.timeout = 0.0

    def set_timeout(self, seconds: float) -> None:
        self.timeout = seconds


class Scope:
    def __init__(self) -> None:
        self.vars: dict[str, str] = {}
        self.facts: dict[str, Any] = {}


class Session:
    def __init__(self, conn: Connection) -> None:
        self.conn, self.core, self.channel, self.scope = conn, Core(), Channel(), Scope()
        self.controls = parking.AclControls()
        self.enforced = self.noted = False
        for name in parking._SESSION:
            setattr(self, name, None)

    def enforce_sync(self) -> None:
        self.enforced = True

    def note_originator(self) -> None:
        self.noted = True

    def new_message(self) -> None:
        self.fresh = True


@pytest.mark.parametrize("sync", [True, False])
def test_everything_that_matters_survives(sync: bool) -> None:
    conn = Connection(kind="tcp", sender_host_address="192.0.2.1", sender_helo_name=taint("client.example"))
    conn.acl_c["c0"] = taint("\x00\xff")
    one = Session(conn)
    one.messages, one.unqualified = 2, {"sender": True}  # type: ignore[attr-defined]
    one.controls.pipelining = False
    one.scope.vars["sender_rate"] = "1.5"
    one.channel.timeout = 300.0
    one.core.more_input = (lambda: True) if sync else None
    state = parking.freeze(one)  # type: ignore[arg-type]
    assert state.isascii() and "\n" not in state

    found, facts = parking.connection_of(state)
    two = Session(found)
    parking.thaw(two, facts)  # type: ignore[arg-type]
    assert found == conn
    assert is_tainted(found.sender_helo_name or "") and is_tainted(found.acl_c["c0"])
    assert (two.messages, two.unqualified) == (2, {"sender": True})  # type: ignore[attr-defined]
    assert (two.core.state, two.core.nonmail, two.channel.timeout) == ("greeted", 3, 300.0)
    assert two.scope.vars == {"sender_rate": "1.5"}
    assert two.scope.facts["controls"] is two.controls and not two.controls.pipelining
    assert two.enforced is sync
    assert two.fresh and two.noted
