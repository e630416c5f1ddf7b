"""Effective uid 0 under another real uid, as behind a set-uid front: Exim's rules for callers, -C and -D.

Spec: "Trusted and admin users", the options -C and -D, and the introduction of the chapter about the
runtime configuration file.  What an ordinary user is told was observed with a real Exim.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from installed import call, copy
from live import Live, mail_user, wait_until

USER = "games"


@dataclass
class Box:
    """A private installation: its configuration is the one that is built in."""

    live: Live
    program: Path

    def call(self, *arguments: str, user: str = USER, stdin: str = "", **kw: Any) -> subprocess.CompletedProcess[str]:
        """Call it as a user; see installed.call."""
        return call(self.program, user, *arguments, stdin=stdin, **kw)


@pytest.fixture
def box() -> Iterator[Box]:
    with Live(main="MACRO = plain\nqualify_domain = MACRO.example") as live:
        trusted = live.top / "trusted"
        trusted.write_text(f"# ours\n{live.top}/listed\n")
        program = copy(live.top / "tree", CONFIGURE_FILE=str(live.conf), EXIM_USER=live.user,
                       TRUSTED_CONFIG_LIST=str(trusted), WHITELIST_D_MACROS="MACRO:OTHER",
                       COMMAND_DIRECTORY=str(live.top / "run"))
        live.program = str(program)
        live.configure()
        yield Box(live, program)


def submitted(box: Box, *arguments: str, user: str = USER) -> bool:
    """Submit a message to the queue; whether the spool could be written, which needs the privilege."""
    before = len(box.live.queue())
    done = box.call(*arguments, "-odq", "alice@test.example", user=user, stdin="Subject: x\n\nhello\n")
    if len(box.live.queue()) > before:
        assert done.returncode == 0, done.stderr
        return True
    assert "Permission denied" in done.stderr, done
    assert done.returncode == 1
    return False


def test_the_built_in_configuration_keeps_the_privilege(box: Box) -> None:
    assert submitted(box)
    assert submitted(box, "-C", str(box.live.conf))
    assert re.search(rf"<= {USER}@plain\.example U={USER} P=local ", box.live.log())
    spool = box.live.top / "spool" / "input"
    assert {p.stat().st_uid for p in spool.rglob("*-H")} == {pwd.getpwnam(mail_user()).pw_uid}


def test_another_configuration_costs_it_unless_listed_and_the_caller_is_believed(box: Box) -> None:
    for name in ("other", "listed"):
        shutil.copy(box.live.conf, box.live.top / name)
    assert not submitted(box, "-C", str(box.live.top / "other"))
    assert not submitted(box, "-C", str(box.live.top / "listed"))  # listed, but an ordinary user asks
    assert submitted(box, "-C", str(box.live.top / "listed"), user=mail_user())
    assert submitted(box, "-C", str(box.live.top / "other"), user="root")
    os.chmod(box.live.top / "trusted", 0o666)  # a list that anybody can write is not believed
    if mail_user() != USER:
        done = box.call("-C", str(box.live.top / "listed"), "-be", "$exim_uid", user=mail_user())
        assert done.returncode == 0


def test_macros_cost_it_unless_they_are_known_to_be_safe(box: Box) -> None:
    assert not submitted(box, "-DMACRO=other")
    assert submitted(box, "-DMACRO=other", user=mail_user())
    assert "@other.example" in box.live.log()
    done = box.call("-DMACRO=o;ther", "-bP", "qualify_domain", user=mail_user())
    assert done.stdout == "qualify_domain = o;ther.example\n"
    assert submitted(box, "-DANY=thing", user="root")


def test_what_an_ordinary_user_may_not_do(box: Box) -> None:
    assert submitted(box)
    message = box.live.queue()[0]
    refused = {("-bp",): "exim: permission denied", ("-bpc",): "exim: permission denied",
               ("-q",): "exim: permission denied", ("-qf",): "exim: permission denied",
               ("-R", "alice"): "exim: permission denied", ("-M", message): "exim: Permission denied",
               ("-Mc", message): "exim: Permission denied", ("-Mg", message): "exim: permission denied",
               ("-oP", "/x", "-bV"): f"exim: only uid=0 or uid={pwd.getpwnam(mail_user()).pw_uid} can use -oP and -oPX "
               f"(uid={pwd.getpwnam(USER).pw_uid} euid=0 | {pwd.getpwnam(USER).pw_uid})",
               ("-bP", "macros"): "exim: permission denied",
               ("-bd",): "exim: permission denied", ("-q5m",): "exim: permission denied",
               ("-d", "-bV"): "exim: debugging permission denied"}
    for arguments, text in refused.items():
        done = box.call(*arguments)
        assert (done.returncode, done.stderr.strip().splitlines()[-1:]) == (1, [text]), arguments
    for arguments in (("-Mvh", message), ("-Mf", message), ("-Mvc", message), ("-Mar", message, "a@b")):
        done = box.call(*arguments)
        assert (done.returncode, done.stdout) == (1, "Permission denied\n"), arguments
    done = box.call("-Mf", "16VDhn-00001b-D3")
    assert (done.returncode, done.stdout) == (1, "Spool data file for 16VDhn-00001b-D3 does not exist\n")
    done = box.call("-Mrm", message, user="daemon")
    assert done.returncode == 1 and box.live.queue() == [message]
    assert box.call("-Mrm", message).returncode == 0  # the one who sent it may
    assert box.live.queue() == []


def test_admin_users_may(box: Box) -> None:
    assert submitted(box)
    message = box.live.queue()[0]
    assert message in box.call("-bp", user=mail_user()).stdout
    group = pwd.getpwnam(USER).pw_gid
    box.live.configure(main=f"admin_groups = {group}")
    assert message in box.call("-bp").stdout
    box.live.configure(main="queue_list_requires_admin = false\nprod_requires_admin = false")
    assert message in box.call("-bp").stdout
    assert box.call("-q").returncode == 0
    wait_until(lambda: "hello" in box.live.mail("alice"), "delivery by an ordinary user's queue run")


def test_the_sender_is_the_caller_unless_trusted(box: Box) -> None:
    text = "Subject: x\n\nhello\n"
    box.call("-f", "other@far.example", "-odf", "alice@test.example", stdin=text)
    assert re.search(rf"<= {USER}@plain\.example U={USER} ", box.live.log())
    box.call("-f", "<>", "-odf", "alice@test.example", stdin=text)
    assert "<= <> " in box.live.log()
    box.live.configure(main=f"trusted_users = {USER}")
    box.call("-f", "other@far.example", "-odf", "alice@test.example", stdin=text)
    assert "<= other@far.example " in box.live.log()
    box.call("-f", "root@far.example", "-odf", "alice@test.example", stdin=text, user="root")
    assert "<= root@far.example " in box.live.log()


def test_expansion_tests_run_as_the_caller(box: Box) -> None:
    secret = box.live.top / "secret"
    secret.write_text("only for root")
    os.chmod(secret, 0o600)
    done = box.call("-be", "${readfile{" + str(secret) + "}}")
    assert "only for root" not in done.stdout
    assert "Permission denied" in done.stdout + done.stderr
    numbers = pwd.getpwnam(USER)
    done = box.call("-be", "$caller_uid $caller_gid")
    assert done.stdout == f"{numbers.pw_uid} {numbers.pw_gid}\n"


def test_the_environment_is_purged(box: Box) -> None:
    env = {"PATH": "/usr/bin", "KEPT": "yes", "SECRET": "no"}
    box.live.configure(main="keep_environment = KEPT\nadd_environment = ADDED=new")
    asked = "${env{KEPT}{$value}{-}} ${env{SECRET}{$value}{-}} ${env{ADDED}{$value}{-}}"
    text = box.live.conf.read_text().replace("keep_environment =\n", "", 1)
    box.live.conf.write_text(text)
    assert box.call("-be", asked, env=env).stdout == "yes - new\n"


def test_an_unsafe_configuration_file_is_refused(box: Box) -> None:
    wrong = rf"LOG: MAIN PANIC DIE\n  Exim configuration file {box.live.conf} has the wrong owner, group, or mode\n"
    os.chmod(box.live.conf, 0o666)
    for user in (USER, "root"):
        done = box.call("-bP", "qualify_domain", user=user)
        assert done.returncode == 1 and re.fullmatch(wrong, done.stderr), done
    os.chmod(box.live.conf, 0o644)
    os.chown(box.live.conf, pwd.getpwnam(USER).pw_uid, 0)
    assert box.call("-bP", "qualify_domain", user="root").returncode == 1
    # A configuration that costs the privilege is the caller's own affair.
    own = box.live.top / "own"
    own.write_text("qualify_domain = own.example\n")
    os.chmod(own, 0o666)
    done = box.call("-C", str(own), "-bP", "qualify_domain")
    assert done.stdout == "qualify_domain = own.example\n"
    done = box.call("-C", str(own), "-bP", "qualify_domain", user="root")
    assert done.returncode == 1


def test_an_ordinary_user_is_served_by_the_daemon_without_privilege(box: Box) -> None:
    """Nothing of the command is set-uid here: the daemon's child acts under the caller's real uid."""
    box.live.start()
    ordinary: dict[str, Any] = {"set_uid": False, "name": "sendmail"}
    done = box.call("-f", "other@far.example", "-oi", "alice@test.example", stdin="Subject: x\n\nhello\n", **ordinary)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_until(lambda: "hello" in box.live.mail("alice"), "mail")
    assert re.search(rf"<= {USER}@plain\.example U={USER} P=local S=", box.live.log())
    done = box.call("-bp", **ordinary)
    assert (done.returncode, done.stderr) == (1, "exim: permission denied\n")
    done = box.call("-bp", user=mail_user(), **ordinary)
    assert done.returncode == 0
