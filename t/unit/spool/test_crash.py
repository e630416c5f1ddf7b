"""Journals in trouble, and that every octet survives the spool."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from pyexim.base.errors import SpoolError
from pyexim.model.connection import Connection
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool import api

ID = "1xVP55-000000046n1-0001"


@pytest.fixture
def locked(tmp_path: Path) -> api.LockedMessage:
    settings = api.SpoolSettings(str(tmp_path), fsync=False)
    new = api.create(settings, ID)
    new.write(b"body\n")
    new.commit(Message(message_id=ID, recipients=[Recipient("a@b"), Recipient("c@d")]))
    new.close()
    got = api.lock(settings, ID)
    assert got is not None
    return got


def failing_write(monkeypatch: pytest.MonkeyPatch, errors: list[int]) -> None:
    """Let os.write take three octets a time, and fail with these errors from the second call on."""
    real, calls = os.write, []

    def write(fd: int, data: bytes) -> int:
        calls.append(fd)
        if len(calls) > 1 and errors:
            raise OSError(errors.pop(0), "broken")
        return real(fd, bytes(data[:3]))

    monkeypatch.setattr("pyexim.spool.names.os.write", write)


def test_a_passing_fault_writes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open(tmp_path / "J", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    failing_write(monkeypatch, [errno.EIO])
    api.append_line(fd, b"user@domain\n", sync=True)
    os.close(fd)
    assert (tmp_path / "J").read_bytes() == b"user@domain\n"


def test_a_lasting_fault_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open(tmp_path / "J", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    failing_write(monkeypatch, [errno.ENOSPC, errno.ENOSPC])
    with pytest.raises(OSError):
        api.append_line(fd, b"user@domain\n", sync=False)
    os.close(fd)


def test_an_entry_that_was_cut_off_does_not_run_into_the_next(locked: api.LockedMessage, tmp_path: Path) -> None:
    (tmp_path / "input" / f"{ID}-J").write_bytes(b"a@b\nc@")
    locked.journal("e@f", "g@h")
    assert (tmp_path / "input" / f"{ID}-J").read_bytes() == b"a@b\ne@f\ng@h\n"
    assert locked.journalled() == {"a@b", "e@f", "g@h"}
    locked.close()


def test_a_journal_never_begun_is_empty(locked: api.LockedMessage) -> None:
    assert locked.journalled() == set()
    locked.close()


def test_the_log_of_a_message_that_is_gone_is_an_orphan(locked: api.LockedMessage, tmp_path: Path) -> None:
    settings = api.SpoolSettings(str(tmp_path))
    locked.msglog("one")
    (tmp_path / "msglog" / "notes").write_bytes(b"")
    assert api.remove_orphans(settings, time.time() + 3600) == []
    os.unlink(tmp_path / "input" / f"{ID}-H")
    assert api.remove_orphans(settings, time.time() + 3600) == []  # somebody is at it
    locked.close()
    os.unlink(tmp_path / "input" / f"{ID}-D")
    assert api.remove_orphans(settings, time.time() + 3600) == [f"msglog/{ID}"]
    assert os.listdir(tmp_path / "msglog") == ["notes"]


def test_removal_is_tried_twice(locked: api.LockedMessage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked.msglog("one")
    locked.journal("a@b")
    real, seen = os.unlink, set()

    def unlink(path: str) -> None:
        if path not in seen:
            seen.add(path)
            raise OSError(errno.EIO, "broken")
        real(path)

    monkeypatch.setattr("pyexim.spool.locked.os.unlink", unlink)
    locked.remove()
    locked.close()
    assert os.listdir(tmp_path / "input") == os.listdir(tmp_path / "msglog") == []


@pytest.mark.parametrize("octet", [chr(n) for n in range(256)])
def test_every_octet_survives(octet: str) -> None:
    text = f"a{octet}b"
    message = Message(message_id=ID, conn=Connection(sender_helo_name=text, sender_ident=text), acl_m={"m0": text},
                      headers=[Header(f"X: {text}\n", "*")], sender_address=f"{text}@x", nonrecipients={f"{text}@y"},
                      recipients=[Recipient(f"{text}@y"), Recipient("r@y", errors_to=f"{text}@z")])
    if octet == "\n":
        with pytest.raises(SpoolError):
            api.format_header_file(message)
        return
    again = api.parse_header_file(api.format_header_file(message))
    assert again.sender_address == message.sender_address
    assert again.recipients == message.recipients
    assert again.nonrecipients == message.nonrecipients
    assert again.acl_m == message.acl_m
    assert again.headers == message.headers
    assert (again.conn.sender_helo_name, again.conn.sender_ident) == (text, text)
