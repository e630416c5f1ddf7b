"""As root with a real exim user: who runs as whom, whose the mail is, and never_users."""

from __future__ import annotations

import os
import pwd

import psutil
import pytest
from live import Live, mail_user, wait_until

RECIPIENT = "games"
OWNERS = "${if eq{$local_part_data}{alice}{games}{${if eq{$local_part_data}{bob}{daemon}{root}}}}"


def uid(name: str) -> int:
    """Return a user's number."""
    return pwd.getpwnam(name).pw_uid


def by_role(live: Live) -> dict[str, list[psutil.Process]]:
    """Return the daemon's processes by what their titles say."""
    roles = ("starter", "delivery manager", "reception", "deliver")
    return {role: live.processes(f"pyexim: {role}") for role in roles}


def test_only_master_and_starter_are_root() -> None:
    with Live() as live:
        master = live.start()
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
            live.wait_log("Completed")
            exim = uid(mail_user())
            gid = pwd.getpwnam(mail_user()).pw_gid
            assert set(master.uids()) == {0}
            found = by_role(live)
            assert {u for p in found["starter"] for u in p.uids()} == {0}
            for role in ("delivery manager", "reception", "deliver"):
                assert found[role], role
                assert {u for p in found[role] for u in p.uids()} == {exim}, role
                assert {g for p in found[role] for g in p.gids()} == {gid}, role
        spool = list((live.top / "spool").rglob("*"))
        assert spool and {p.stat().st_uid for p in spool} == {exim}
        assert (live.top / "log" / "mainlog").stat().st_uid == exim


def test_mail_belongs_to_its_recipient() -> None:
    with Live() as live:
        live.parts["transports"] = ""
        text = live.conf.read_text().replace(f"user = {live.user}\nout:", f"user = {OWNERS}\nout:")
        live.conf.write_text(text)
        os.chmod(live.top / "mail", 0o1777)
        live.start()
        with live.session() as c:
            assert c.send("alice@test.example").startswith("250")
            assert c.send("bob@test.example").startswith("250")
            wait_until(lambda: "hello" in live.mail("alice") and "hello" in live.mail("bob"), "mail")
            assert (live.top / "mail" / "alice").stat().st_uid == uid("games")
            assert (live.top / "mail" / "bob").stat().st_uid == uid("daemon")
            assert c.send("carol@test.example").startswith("250")
            log = live.wait_log("== carol@test.example")
            assert "is on the never_users list" in log  # root, by the build's own list
            assert not live.mail("carol")


def test_never_users_is_kept() -> None:
    with Live() as live:
        text = live.conf.read_text().replace("never_users =", "never_users = daemon")
        live.conf.write_text(text.replace(f"user = {live.user}\nout:", f"user = {OWNERS}\nout:"))
        os.chmod(live.top / "mail", 0o1777)
        assert live.run("-odf", "bob@test.example", stdin="hello\n").returncode == 0
        assert f"User {uid('daemon')} set for file transport is on the never_users list" in live.log()
        assert not live.mail("bob")
        assert len(live.queue()) == 1


@pytest.mark.parametrize("mode", ["-odf", "-odi"])
def test_a_command_of_root_delivers_as_the_recipient(mode: str) -> None:
    with Live() as live:
        live.conf.write_text(live.conf.read_text().replace(f"user = {live.user}\nout:", f"user = {OWNERS}\nout:"))
        os.chmod(live.top / "mail", 0o1777)
        assert live.run(mode, "alice@test.example", stdin="hello\n").returncode == 0
        assert (live.top / "mail" / "alice").stat().st_uid == uid("games")


def test_a_forward_file_is_read_as_its_owner() -> None:
    router = """
forward:
  driver = redirect
  local_parts = bob
  domains = test.example
  file = @TOP@/home/.forward
  user = games
  no_check_local_user
"""
    with Live() as live:
        home = live.top / "home"
        home.mkdir(mode=0o700)
        (home / ".forward").write_text("alice@test.example\n")
        os.chmod(home / ".forward", 0o600)
        for path in (home, home / ".forward"):
            os.chown(path, uid("games"), pwd.getpwnam("games").pw_gid)
        text = live.conf.read_text()
        router = router.replace("@TOP@", str(live.top))
        live.conf.write_text(text.replace("begin routers\n", "begin routers\n" + router))
        live.start()
        with live.session() as c:
            assert c.send("bob@test.example").startswith("250")
        wait_until(lambda: "hello" in live.mail("alice"), "mail by way of the file that only its owner can read")


@pytest.mark.parametrize("first", ["daemon", "command"])
def test_the_first_start_on_a_new_host_makes_a_spool_for_the_exim_user(first: str) -> None:
    with Live() as live:
        spool = live.top / "var" / "spool" / "exim"
        text = live.conf.read_text().replace(f"{live.top}/log", f"{spool}/log")
        live.conf.write_text(text.replace(f"{live.top}/spool", str(spool)))
        (live.top / "log").rmdir()
        (live.top / "log").symlink_to(spool / "log")
        if first == "daemon":
            live.start()
            with live.session() as c:
                assert c.send("alice@test.example").startswith("250")
        else:
            assert live.run("-odi", "alice@test.example", stdin="Subject: x\n\nhello\n").returncode == 0
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        made = [spool, *spool.rglob("*")]
        assert {"input", "log", "mainlog"} <= {p.name for p in made}
        assert {p.stat().st_uid for p in (spool.parent, *made)} == {uid(mail_user())}
        assert spool.stat().st_mode & 0o7777 == 0o750


def test_required_files_of_a_user_in_a_closed_home() -> None:
    rules = "\n".join(f"{who}:\n  driver = accept\n  domains = test.example\n  local_parts = {who}\n"
                      f"  require_files = {files}\n  transport = file\n  no_verify"
                      for who, files in (("dave", "games:@TOP@/home/yes:!@TOP@/home/no"),
                                         ("erin", "daemon:@TOP@/home/yes"), ("frank", "daemon:+@TOP@/home/yes")))
    with Live(routers=rules) as live:
        home = live.top / "home"
        home.mkdir(mode=0o700)
        (home / "yes").write_text("x")
        for path in (home, home / "yes"):
            os.chown(path, uid("games"), 0)
        live.start()
        with live.session() as c:
            for who in ("dave", "erin", "frank"):
                assert c.send(f"{who}@test.example").startswith("250")
        log = live.wait_log("== erin@test.example")
        wait_until(lambda: "=> dave" in live.log() and "** frank" in live.log(), "two deliveries")
        assert f"require_files: error for {home}/yes: Permission denied" in log
