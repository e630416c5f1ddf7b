"""Records and descriptors between processes."""

from __future__ import annotations

import os
import socket

import pytest

from pyexim import fdpass


def test_record_and_descriptor_arrive() -> None:
    a, b = fdpass.pair()
    read_end, write_end = os.pipe()
    fdpass.send(a, {"type": "x", "octets": "\x00\xff", "n": 3}, [write_end])
    os.close(write_end)
    got = fdpass.receive(b)
    assert got is not None
    record, fds = got
    assert record == {"type": "x", "octets": "\x00\xff", "n": 3}
    assert not os.get_inheritable(fds[0])
    os.write(fds[0], b"through")
    assert os.read(read_end, 10) == b"through"
    for fd in (read_end, *fds):
        os.close(fd)


def test_end_of_stream_is_none() -> None:
    a, b = fdpass.pair()
    a.close()
    assert fdpass.receive(b) is None


@pytest.mark.parametrize("data", [b"x", b"[]", b"{}", b'{"type":1}', b"\xff\xfe", b"[" * 90_000, b'{"a":' * 15_000])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    a, b = fdpass.pair()
    a.send(data)
    with pytest.raises(fdpass.PassError):
        fdpass.receive(b)


def test_descriptors_of_a_bad_record_are_closed() -> None:
    a, b = fdpass.pair()
    before = len(os.listdir("/proc/self/fd"))
    fd = os.open(os.devnull, os.O_RDONLY)
    socket.send_fds(a, [b"no record"], [fd])
    os.close(fd)
    with pytest.raises(fdpass.PassError):
        fdpass.receive(b)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_large_record_travels_in_a_file() -> None:
    a, b = fdpass.pair()
    text = "y" * (3 * fdpass.MAX_RECORD)
    read_end, write_end = os.pipe()
    fdpass.send(a, {"type": "large", "text": text}, [read_end])
    got = fdpass.receive(b)
    assert got is not None and got[0]["text"] == text and len(got[1]) == 1
    for fd in (read_end, write_end, *got[1]):
        os.close(fd)


@pytest.mark.parametrize("path", ["/dev/zero", "/", "pipe"])
def test_the_file_of_a_large_record_is_a_file(path: str) -> None:
    a, b = fdpass.pair()
    before = len(os.listdir("/proc/self/fd"))
    fds = list(os.pipe()) if path == "pipe" else [os.open(path, os.O_RDONLY)]
    socket.send_fds(a, [b'{"type":"spilled"}'], fds)
    for fd in fds:
        os.close(fd)
    with pytest.raises(fdpass.PassError):
        fdpass.receive(b)
    assert len(os.listdir("/proc/self/fd")) == before
