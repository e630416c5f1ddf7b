"""The header of a proxy: complete, in pieces, wrong."""

from __future__ import annotations

import socket
import struct

import pytest

from pyexim.smtp.proxy import SIGNATURE, Proxied, parse_proxy

TCP4 = b"PROXY TCP4 10.1.2.3 10.4.5.6 1111 25\r\n"


def binary(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


V4 = socket.inet_aton("10.1.2.3") + socket.inet_aton("10.4.5.6") + struct.pack("!HH", 1111, 25)
V6 = socket.inet_pton(socket.AF_INET6, "::1") + socket.inet_pton(socket.AF_INET6, "fe80::2") + struct.pack("!HH", 1, 2)


@pytest.mark.parametrize(("data", "source", "target"), [
    (TCP4, ("10.1.2.3", 1111), ("10.4.5.6", 25)),
    (b"PROXY TCP6 ::1 fe80::2 1 2\r\n", ("::1", 1), ("fe80::2", 2)),
    (b"PROXY UNKNOWN\r\n", ("", 0), ("", 0)), (b"PROXY UNKNOWN a b 1 2\r\n", ("", 0), ("", 0)),
    (binary(0x21, 0x11, V4), ("10.1.2.3", 1111), ("10.4.5.6", 25)),
    (binary(0x21, 0x11, V4 + b"\1\0\1a"), ("10.1.2.3", 1111), ("10.4.5.6", 25)),
    (binary(0x21, 0x21, V6), ("::1", 1), ("fe80::2", 2)),
    (binary(0x20, 0, b""), ("", 0), ("", 0))])
def test_headers(data: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
    found = parse_proxy(data + b"EHLO x\r\n")
    assert found == Proxied(len(data), *source, *target)
    for end in range(len(data)):
        assert parse_proxy(data[:end]) is True


@pytest.mark.parametrize("data", [
    b"EHLO x\r\n", b"\r\n\r\nx", TCP4.replace(b"\r", b""), b"PROXY TCP4 10.1.2.3 10.4.5.6 1 99999\r\n",
    b"PROXY TCP4 ::1 10.4.5.6 1 2\r\n", b"PROXY TCP4 10.1.2 10.4.5.6 1 2\r\n", b"PROXY UDP4 1.1.1.1 1.1.1.1 1 2\r\n",
    b"PROXY " + b"x" * 101, binary(0x31, 0x11, V4), binary(0x22, 0x11, V4), binary(0x21, 0, b""),
    binary(0x21, 0x11, V4[:-1])])
def test_mistakes(data: bytes) -> None:
    assert parse_proxy(data) is False
