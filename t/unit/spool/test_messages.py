"""Messages on disk: made, locked, journalled, rewritten, removed, listed; orphans."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from pyexim.base.errors import SpoolError
from pyexim.base.messageid import Generator
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool import api
from pyexim.spool.incoming import NewMessage
from pyexim.spool.listing import list_queue
from pyexim.spool.locks import try_lock

ids = Generator(os.getpid())


@pytest.fixture(params=[False, True], ids=["unsplit", "split"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> api.SpoolSettings:
    return api.SpoolSettings(str(tmp_path / "spool"), split=request.param)


def make(spool: api.SpoolSettings, *recipients: str, body: bytes = b"hello\n", close: bool = True, pid: int = 0,
         **fields: object) -> tuple[str, NewMessage]:
    mid = (Generator(pid) if pid else ids).next(time.time())
    new = api.create(spool, mid)
    new.write(body)
    m = Message(message_id=mid, sender_address="a@b.c", recipients=[Recipient(r) for r in recipients or ("x@y.z",)],
                headers=[Header("Subject: hi\n"), Header("Received: by x\n", "P")], received_time=time.time(),
                originator_login="me", body_linecount=body.count(b"\n"))
    for name, value in fields.items():
        setattr(m, name, value)
    new.commit(m)
    if close:
        new.close()
    return mid, new


def files(spool: api.SpoolSettings) -> list[str]:
    return sorted(p.name for p in Path(spool.directory).rglob("*") if p.is_file())


def test_a_message_is_made_and_read(spool: api.SpoolSettings) -> None:
    mid, _ = make(spool)
    assert files(spool) == [mid + "-D", mid + "-H"]
    where = Path(spool.directory, "input", mid[5] if spool.split else "")
    assert (where / f"{mid}-D").read_bytes() == f"{mid}-D\nhello\n".encode()
    locked = api.lock(spool, mid)
    assert locked is not None
    m = locked.message
    assert (m.body_size, m.body_linecount, m.message_size, m.message_linecount) == (6, 1, 34, 3)
    assert os.pread(locked.data_fd, 99, m.data_start) == b"hello\n"
    assert m.received_count == 1
    locked.close()


def test_the_other_place_is_found_too(spool: api.SpoolSettings) -> None:
    mid, _ = make(spool)
    other = api.SpoolSettings(spool.directory, split=not spool.split)
    found = api.find(other, mid)
    assert found is not None and found.subdirectory == (mid[5] if spool.split else "")
    assert [q.message_id for q in api.scan(other)] == [mid]
    locked = api.lock(other, mid)
    assert locked is not None
    locked.rewrite_header()
    locked.remove()
    locked.close()
    assert files(spool) == []


def test_nobody_else_gets_it_until_close(spool: api.SpoolSettings) -> None:
    mid, new = make(spool, close=False)
    assert api.lock(spool, mid) is None
    with open(new.data_path, "rb"):
        pass  # closing another descriptor of the file must not lose the lock
    assert api.lock(spool, mid) is None
    new.close()
    first = api.lock(spool, mid)
    assert first is not None and api.lock(spool, mid) is None
    first.close()
    again = api.lock(spool, mid)
    assert again is not None
    again.close()


def test_abort_leaves_nothing(spool: api.SpoolSettings) -> None:
    new = api.create(spool, ids.next(time.time()))
    new.write(b"x" * 1_000_000)
    new.abort()
    assert files(spool) == [] and new.data_fd == -1


def test_commit_that_fails_leaves_nothing(spool: api.SpoolSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    mid = ids.next(time.time())
    new = api.create(spool, mid)

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("pyexim.spool.incoming.os.rename", fails)
    with pytest.raises(OSError):
        new.commit(Message(message_id=mid))
    new.abort()
    assert files(spool) == []


def test_directory_that_cannot_be_synced_is_an_error(spool: api.SpoolSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    mid = ids.next(time.time())
    new = api.create(spool, mid)

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("pyexim.spool.incoming.sync_directory", fails)
    with pytest.raises(OSError):
        new.commit(Message(message_id=mid))
    new.abort()
    assert files(spool) == []


def test_journal_and_rewrite(spool: api.SpoolSettings) -> None:
    mid, _ = make(spool, "x@y.z", "u@v.w")
    first = api.lock(spool, mid)
    assert first is not None
    first.journal("x@y.z")
    first.close()
    with open(os.path.join(spool.directory, "input", mid[5] if spool.split else "", mid + "-J"), "ab") as f:
        f.write(b"u@v")  # cut off by a crash
    second = api.lock(spool, mid)
    assert second is not None and second.message.nonrecipients == {"x@y.z"}
    second.message.warning_count = 2
    second.rewrite_header()
    second.remove_journal()
    second.close()
    m = api.read(spool, mid)
    assert m.nonrecipients == {"x@y.z"} and m.warning_count == 2
    assert not any(name.endswith("-J") for name in files(spool))


def test_msglog_and_removal(spool: api.SpoolSettings) -> None:
    mid, _ = make(spool)
    locked = api.lock(spool, mid)
    assert locked is not None
    locked.msglog("one")
    locked.msglog("two\n")
    locked.journal("x@y.z")
    assert api.message_log(spool, mid) == b"one\ntwo\n"
    locked.remove()
    locked.close()
    assert files(spool) == []
    with pytest.raises(SpoolError) as e:
        api.lock(spool, mid)
    assert e.value.errno == errno.ENOENT


def test_preserved_message_log(spool: api.SpoolSettings) -> None:
    mid, _ = make(spool)
    locked = api.lock(spool, mid)
    assert locked is not None
    locked.msglog("one")
    locked.remove(keep_message_log=True)
    locked.close()
    assert Path(spool.directory, "msglog.OLD", mid).read_text() == "one\n"


def test_malformed_files(spool: api.SpoolSettings) -> None:
    mid, new = make(spool)
    Path(new.data_path[:-1] + "H").write_bytes(b"nonsense\n")
    with pytest.raises(SpoolError) as e:
        api.lock(spool, mid)
    assert e.value.errno == errno.EINVAL and mid in e.value.text
    mid, new = make(spool)
    Path(new.data_path).write_bytes(b"something else\n")
    with pytest.raises(SpoolError, match="first line"):
        api.lock(spool, mid)
    assert {m.error != "" for m in list_queue(spool)} == {True, False}


def test_ids_never_become_other_file_names(spool: api.SpoolSettings) -> None:
    for text in ("../../etc/passwd", "", "x" * 16, "1xVP55-00046n-1l\n"):
        for f in (api.create, api.lock, api.read, api.find, api.message_log):
            with pytest.raises(SpoolError):
                f(spool, text)


def test_named_queues(tmp_path: Path) -> None:
    plain = api.SpoolSettings(str(tmp_path))
    named = api.SpoolSettings(str(tmp_path), queue_name="big")
    mid, _ = make(named)
    assert list(api.scan(plain)) == [] and [q.queue_name for q in api.scan(named)] == ["big"]
    assert api.queue_names(plain) == ["big"]
    assert api.read(named, mid).queue_name == "big"


def test_orphans(spool: api.SpoolSettings) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    now = time.time()
    keep, _ = make(spool)
    at_work, open_message = make(spool, close=False)
    os.unlink(open_message.data_path[:-1] + "H")  # as before its commit
    gone, new = make(spool, pid=dead)
    directory = os.path.dirname(new.data_path)
    os.unlink(f"{directory}/{gone}-H")
    for name in (f"hdr.{gone}", f"{gone}-J", f"hdr.{keep}", "hdr.something", "notes"):
        Path(directory, name).write_bytes(b"")
    assert sorted(api.remove_orphans(spool, now)) == sorted([f"hdr.{gone}", f"{gone}-J", f"{gone}-D"])
    assert f"{at_work}-D" in files(spool) and f"hdr.{keep}" in files(spool)
    # a file that nobody locks is old one day, even if a process bears the number of its maker
    assert api.remove_orphans(spool, now + 3600) == [f"hdr.{keep}"]
    assert api.remove_orphans(spool, now + 7200) == []
    open_message.close()
    assert api.remove_orphans(spool, now + 7200) == [f"{at_work}-D"]
    assert {f"{keep}-D", f"{keep}-H"} <= set(files(spool))


def test_listing(spool: api.SpoolSettings) -> None:
    first, _ = make(spool, "x@y.z", "u@v.w", frozen_since=5.0)
    _second, _ = make(spool, "x@y.z", nonrecipients={"x@y.z", "child@y.z"}, sender_set_untrusted=True)
    third, _ = make(spool, "x@y.z", acl_m={"m0": "\nXX\n-frozen 1\n\n"}, body=b"")
    locked = api.lock(spool, first)
    assert locked is not None
    locked.journal("u@v.w")
    locked.close()
    a, b, c = list_queue(spool)
    assert (a.message_id, a.sender, a.recipients, a.delivered) == (first, "a@b.c", ["x@y.z", "u@v.w"], {"u@v.w"})
    assert a.frozen and not b.frozen and not c.frozen
    assert b.delivered == {"x@y.z", "child@y.z"} and b.sender_set_untrusted and not a.sender_set_untrusted
    assert (a.size, b.size, c.size) == (34, 34, 28)
    assert a.originator_login == "me" and int(a.received_time) == int(api.read(spool, first).received_time)
    assert (c.message_id, third) == (third, third)


def test_lock_of_a_copy_is_the_same_lock(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    a, b = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    assert try_lock(a) and not try_lock(b)
    c = os.dup(a)
    os.close(a)
    assert not try_lock(b)
    os.close(c)
    assert try_lock(b)
    os.close(b)
