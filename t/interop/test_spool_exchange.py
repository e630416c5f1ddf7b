"""Messages exchanged with a real Exim, both ways, through the files of one spool."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from pwd import getpwnam

import pytest

from pyexim.base.messageid import Generator
from pyexim.base.taint import Tainted
from pyexim.model.connection import Connection
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool import api
from pyexim.spool.listing import list_queue

EXIM = next((p for p in ("/usr/sbin/exim4", "/usr/sbin/exim") if Path(p).exists()), None)
pytestmark = [pytest.mark.real, pytest.mark.root,
              pytest.mark.skipif(EXIM is None or os.geteuid() != 0, reason="needs root and an Exim")]

CONFIGURATION = """\
keep_environment =
exim_user = {user}
spool_directory = {spool}
log_file_path = {spool}/%slog
primary_hostname = mx.example
split_spool_directory = {split}
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept set acl_m_x = a\\nb
         set acl_c0 = $sender_host_address
begin routers
done:
  driver = redirect
  domains = done.example
  data = :blackhole:
later:
  driver = redirect
  domains = later.example
  allow_defer
  data = :defer: not now
begin retry
* * F,1d,1h
"""


class Lab:
    """A spool that both programs use."""

    def __init__(self, directory: Path, split: bool) -> None:
        entry = getpwnam(next(u for u in ("Debian-exim", "mail", "daemon") if _is_user(u)))
        directory.chmod(0o755)
        self.spool = directory / "spool"
        self.conf = directory / "exim.conf"
        self.conf.write_text(CONFIGURATION.format(user=entry.pw_name, spool=self.spool,
                                                  split="true" if split else "false"))
        self.settings = api.SpoolSettings(str(self.spool), split=split, uid=entry.pw_uid, gid=entry.pw_gid)
        self.exim("-bV")

    def exim(self, *arguments: str, data: bytes = b"") -> str:
        assert EXIM is not None
        done = subprocess.run([EXIM, "-C", str(self.conf), *arguments], input=data, capture_output=True, timeout=60,
                              check=False)
        return done.stdout.decode("latin-1") + done.stderr.decode("latin-1")

    def make(self, *recipients: str, **fields: object) -> str:
        message_id = Generator(os.getpid(), short=True).next(time.time())
        new = api.create(self.settings, message_id)
        new.write(b"one\n\xff\x00two\n")
        message = Message(
            message_id=message_id, sender_address="s@x.example", recipients=[Recipient(r) for r in recipients],
            received_time=time.time(), originator_login="root", originator_uid=0, originator_gid=0, body_linecount=2,
            headers=[Header("Received: from x\n\tby y\n", "P"), Header("X-Old: gone\n", "*"),
                     Header("Subject: \xfc\n")],
            conn=Connection(kind="tcp", sender_host_address=Tainted("10.1.2.3"), sender_host_port=99,
                            sender_helo_name=Tainted("client"), received_protocol="esmtp",
                            acl_c={"c0": Tainted("x\n\ny")}))
        for name, value in fields.items():
            setattr(message, name, value)
        new.commit(message)
        new.close()
        time.sleep(0.002)
        return message_id

    def files(self) -> list[str]:
        return sorted(p.name for p in (self.spool / "input").rglob("*") if p.is_file())


def _is_user(name: str) -> bool:
    try:
        getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.fixture(params=[False, True], ids=["unsplit", "split"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    directory = tmp_path_factory.mktemp("exchange")
    for parent in (directory, *directory.parents):
        if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    return Lab(directory, request.param)


def test_what_exim_queued_is_read_and_written_back(lab: Lab) -> None:
    lab.exim("-odq", "-i", "-f", "a@b.example", "x@done.example", "y@later.example",
             data=b"From: a@b.example\nTo: x\nSubject: hi\n folded\n\nbody\n")
    lab.exim("-odq", "-bs", "-oMa", "10.0.0.1.4444", data=(
        "EHLO client\r\nMAIL FROM:<s\xfc@x.example> RET=HDRS ENVID=e1\r\n"
        "RCPT TO:<r@later.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r@later.example\r\n"
        "RCPT TO:<n@later.example> NOTIFY=NEVER\r\nDATA\r\nX: \xff\r\n\r\n.\r\nQUIT\r\n").encode("latin-1"))
    queued = list(api.scan(lab.settings))
    assert len(queued) == 2
    for q in queued:
        directory = lab.spool / "input" / q.subdirectory
        before = (directory / f"{q.message_id}-H").read_bytes()
        assert api.format_header_file(api.parse_header_file(before)) == before
        locked = api.lock(lab.settings, q.message_id)
        assert locked is not None
        assert "is locked" in lab.exim("-Mf", q.message_id) or "being processed" in lab.exim("-M", q.message_id)
        locked.rewrite_header()
        locked.close()
        assert (directory / f"{q.message_id}-H").read_bytes() == before
    assert "y@later.example" in lab.exim("-bp")


def test_what_we_queued_is_listed_shown_and_delivered(lab: Lab) -> None:
    message_id = lab.make("x@done.example", "y@later.example")
    listing = lab.exim("-bp")
    assert message_id in listing and "<s@x.example>" in listing and "y@later.example" in listing
    assert "X-Old: gone" in lab.exim("-Mvh", message_id)
    assert lab.exim("-Mvb", message_id) == f"{message_id}-D\none\n\xff\x00two\n"
    assert "Subject: \xfc" in lab.exim("-Mvc", message_id)
    lab.exim("-M", message_id)
    left = api.read(lab.settings, message_id)
    assert left.nonrecipients == {"x@done.example"}
    assert left.conn.acl_c == {"c0": "x\n\ny"} and left.headers[1] == Header("X-Old: gone\n", "*")
    assert not left.deliver_firsttime
    lab.exim("-Mrm", message_id)
    assert lab.files() == []


def test_delivered_by_exim_for_good(lab: Lab) -> None:
    message_id = lab.make("x@done.example")
    lab.exim("-M", message_id)
    assert lab.files() == []
    assert f"{message_id} Completed" in (lab.spool / "mainlog").read_text()


def test_our_journal_is_heeded(lab: Lab) -> None:
    message_id = lab.make("x@later.example", "y@later.example")
    locked = api.lock(lab.settings, message_id)
    assert locked is not None
    locked.journal("x@later.example")
    locked.close()
    assert " D x@later.example" in lab.exim("-bp")
    lab.exim("-M", message_id)
    assert api.read(lab.settings, message_id).nonrecipients == {"x@later.example"}
    assert not any(name.endswith("-J") for name in lab.files())


def test_trees_and_frozen_messages_are_understood(lab: Lab) -> None:
    names = [f"u{n}@later.example" for n in range(12)]
    message_id = lab.make(*names, nonrecipients=set(names[:9]), frozen_since=time.time())
    listing = lab.exim("-bp")
    assert "*** frozen ***" in listing
    assert [line.split()[0] == "D" for line in listing.split("\n")[1:13]] == [True] * 9 + [False] * 3
    lab.exim("-Mt", message_id)
    message = api.read(lab.settings, message_id)
    assert message.manual_thaw and message.frozen_since is None and message.nonrecipients == set(names[:9])


def test_listings_agree(lab: Lab) -> None:
    lab.make("x@later.example", body_linecount=2)
    lab.exim("-odq", "-i", "-f", "", "y@later.example", data=b"Subject: x\n\nbody\n")
    ours = {m.message_id: m for m in list_queue(lab.settings)}
    lines = [line.split() for line in lab.exim("-bp").split("\n") if "<" in line]
    assert len(lines) == 2
    for words in lines:
        message = ours[words[2]]
        assert words[1] == str(message.size) and words[3] == f"<{message.sender}>"
