"""The command socket is open to everybody: what comes by it is a request or is declined, and nothing else happens."""

from __future__ import annotations

import json
import os
import socket
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim import fdpass
from pyexim.daemon import command

GOOD = {"type": "command", "argv": ["sendmail", "-bp"], "files": [], "env": {"TZ": "UTC", "PATH": "/"}, "cwd": "/",
        "umask": 0o22}
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(max_size=5), inner), max_leaves=8)


def serve(data: bytes, fds: list[int]) -> tuple[int, bytes]:
    """Give a packet to the server's side: its exit code and what it answers.  No command may be run."""
    ours, theirs = fdpass.pair()
    with ours, theirs:
        if fds:
            ours.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))])
        else:
            ours.send(data)
        code = command.serve(theirs, pytest.fail, lambda files: False)
        theirs.shutdown(socket.SHUT_WR)
        return code, ours.recv(1000)


def test_a_request() -> None:
    request = command.parse_request(dict(GOOD))
    assert request == command.Request(["sendmail", "-bp"], [], {"TZ": "UTC"}, "/", 0o22)
    assert command.parse_request({"type": "command", "argv": ["x"]}) == command.Request(["x"], [], {}, "/", 0o22)


@given(st.dictionaries(st.sampled_from([*GOOD, "more"]), JSON))
def test_what_is_no_request(changes: dict[str, object]) -> None:
    request = command.parse_request({**GOOD, "type": "command", **changes} if "type" not in changes else
                                    {**GOOD, **changes})
    if request is not None:
        for word in [*request.argv, *request.files, *request.env.values(), request.cwd]:
            assert b"\0" not in os.fsencode(word)
        assert request.argv and 0 <= request.umask <= 0o777


@pytest.mark.parametrize("data", [
    b"x", b"[" * 90_000, b"{}", b'{"type": "command"}', b'{"type": "command", "argv": 5}', b'{"type": "spilled"}',
    json.dumps({**GOOD, "argv": ["a\0b"]}).encode(), json.dumps({**GOOD, "cwd": None}).encode(),
    json.dumps({**GOOD, "argv": ["\ud800"]}).encode(), json.dumps({**GOOD, "env": []}).encode(),
    json.dumps({**GOOD, "umask": "x"}).encode(), json.dumps(GOOD).encode()])
@pytest.mark.parametrize("count", [0, 1, 3, 16])
def test_a_packet_that_is_no_request_is_declined(data: bytes, count: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    fds = [os.open(os.devnull, os.O_RDWR) for _ in range(count)]
    code, answer = serve(data, fds)
    for fd in fds:
        os.close(fd)
    assert (code, answer) in ((1, b""), (0, b'{"type":"decline"}'))
    # What it had been passed goes with the child that serves it.
    assert len(os.listdir("/proc/self/fd")) - before in (0, count)


def test_no_file_is_read_for_a_stranger() -> None:
    fd = os.open("/dev/zero", os.O_RDONLY)
    assert serve(b'{"type":"spilled"}', [fd, fd, fd])[1] == b'{"type":"decline"}'
    os.close(fd)


def test_a_user_has_a_share_and_root_has_none() -> None:
    callers = command.Callers()
    for pid in range(command.MAX_OF_A_USER):
        assert callers.may(7)
        callers.add(pid, 7)
    assert not callers.may(7) and callers.may(8) and callers.may(0)
    callers.discard(0)
    callers.discard(12345)
    assert callers.may(7)


def test_declining_waits_for_nobody() -> None:
    ours, theirs = fdpass.pair()
    with ours, theirs:
        command.decline(theirs)
        assert ours.recv(100) == b'{"type":"decline"}'
        ours.close()
        command.decline(theirs)
