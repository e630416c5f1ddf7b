"""Input that cannot be read is not input that has ended."""

from __future__ import annotations

import errno
import os

import pytest

from pyexim.receive.batch import BatchError, _Input
from pyexim.receive.channel import Channel


@pytest.fixture
def unreadable() -> Channel:
    fd = os.open(os.devnull, os.O_WRONLY)
    yield Channel(fd, -1)
    os.close(fd)


def test_the_channel_keeps_the_reason(unreadable: Channel) -> None:
    assert unreadable.read() == b""
    assert unreadable.error is not None
    assert unreadable.error.errno == errno.EBADF


def test_an_end_is_no_error() -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    channel = Channel(fd, -1)
    assert channel.read() == b""
    assert channel.error is None
    os.close(fd)


def test_a_batch_is_not_complete_then(unreadable: Channel) -> None:
    batch = _Input(unreadable)
    batch.buffer = b"RSET"
    with pytest.raises(BatchError) as e:
        batch.line()
    assert e.value.code == 421
