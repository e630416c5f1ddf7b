"""The dovecot authenticator: with a scripted service, beside a real Exim; and with a real Dovecot."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live import wait_until
from scripted import ScriptedServer

from compare import PYEXIM, Case, Runner, Section, find_exim, mask

EXIM = find_exim()
real = [pytest.mark.real,
        pytest.mark.skipif(EXIM is None, reason="no real Exim on this machine (Debian: exim4-daemon-heavy)"),
        pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an Exim gives up its privilege otherwise")]
CONF = """\
begin authenticators
plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = @TOP@/socket
  server_set_id = $auth1/$auth2/$1
login:
  driver = dovecot
  public_name = LOGIN
  server_socket = @TOP@/socket
  server_set_id = $auth1
  server_condition = ${if eq{$auth1}{no}{no}{yes}}
cram:
  driver = dovecot
  public_name = CRAM-MD5
  server_socket = @TOP@/socket
  server_set_id = $auth1
"""
HELLO = "S| VERSION\t1\t2\nS| MECH\tPLAIN\tplaintext\nS| MECH\tlogin\nS| SPID\t7\nS| CUID\t3\nS| COOKIE\tab\nS| DONE\n"
ASKED = "C: VERSION\t1\t0\nC: CPID\t\\d+\nC: AUTH\t1\t.*\n"
SCRIPTS = {
    "ok": (HELLO + ASKED + "S| OK\t1\tuser=hans\tfoo=bar", "auth plain AHUAcA=="),
    "prompts": (HELLO + ASKED + "S| CONT\t1\tYWJj\nC: CONT\t1\tdXNlcg==\nS| CONT\t1\t\nC: CONT\t1\tcGFzcw==\n"
                "S| OK\t1\tuser=h\xe4ns", "auth login\ndXNlcg==\ncGFzcw=="),
    "cancel": (HELLO + ASKED + "S| CONT\t1\tYWJj", "auth login\n*"),
    "fail": (HELLO + ASKED + "S| FAIL\t1\tuser=x\treason=bad", "auth plain AHUAcA=="),
    "condition": (HELLO + ASKED + "S| OK\t1\tuser=no", "auth login AHUAcA=="),
    "nonsense": (HELLO + ASKED + "S| BLA\t1\tuser=no", "auth login AHUAcA=="),
    "closed": (HELLO + ASKED + "X:", "auth login AHUAcA=="),
    "version": ("S| VERSION\t2\t0\n" + HELLO, "auth plain AHUAcA=="),
    "mechanism": (HELLO, "auth cram-md5"),
    "master": ("S| VERSION\t1\t1\nS| SPID\t1\nS| CUID\t1\nS| DONE", "auth plain AHUAcA=="),
    "other": (HELLO + ASKED + "S| OK\t2\tuser=u", "auth plain AHUAcA=="),
    "nobody": (HELLO + ASKED + "S| OK\t1", "auth plain AHUAcA=="),
    "half": ("S| VERSION\t1\t1\nX:", "auth plain AHUAcA=="),
}


def answers(program: str, top: Path, script: str, lines: str) -> tuple[list[str], str, list[str]]:
    """Return what a client is told, the log, and what the service was told."""
    top.mkdir()
    top.chmod(0o755)
    path = str(top / "socket")
    case = Case(Path(path), [Section("conf", "", CONF), Section("client", "", f"ehlo there\n{lines}\nquit")])
    with ScriptedServer(script, unix=path) as server:
        os.chmod(path, 0o777)
        texts = Runner(program, top, real=program != PYEXIM).run(case).texts
    said = next(v for k, v in texts.items() if k.endswith("stdout")).splitlines()
    told = [re.sub(r"^CPID\t\d+$", "CPID", line.removesuffix("\tresp=")) for line in server.lines if line]
    return said[6:], mask(texts["mainlog"], top, case, program), told


@pytest.mark.parametrize("name", SCRIPTS)
@real[0]
@real[1]
@real[2]
def test_scripted(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    script, lines = SCRIPTS[name]
    assert EXIM is not None
    assert answers(PYEXIM, tmp_path / "ours", script, lines) == answers(EXIM, tmp_path / "theirs", script, lines)


def test_temporary_failure(tmp_path: Path) -> None:
    """Exim refuses for good what Dovecot says is a failure of its own."""
    tmp_path.chmod(0o755)
    said, log, _ = answers(PYEXIM, tmp_path / "ours", HELLO + ASKED + "S| FAIL\t1\tuser=x\ttemp", "auth plain AHUAcA==")
    assert said[-3].startswith("435 ")
    assert "temporary failure of the authentication service" in log


# -- the real one

DOVECOT = """\
base_dir = {top}/run
log_path = {top}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {top}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
"""


@pytest.mark.skipif(shutil.which("dovecot") is None, reason="no dovecot here")
@pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot needs root")
def test_dovecot(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    top = tmp_path / "ours"
    top.mkdir()
    (tmp_path / "users").write_text("user:{PLAIN}pass\n")
    (tmp_path / "conf").write_text(DOVECOT.format(top=tmp_path, socket=top / "socket"))
    dovecot = subprocess.Popen(["dovecot", "-F", "-c", str(tmp_path / "conf")])
    try:
        wait_until((top / "socket").exists, "Dovecot's socket")
        good, bad = (base64.b64encode(x).decode() for x in (b"\0user\0pass", b"\0user\0no"))
        user, password = (base64.b64encode(x).decode() for x in (b"user", b"pass"))
        lines = f"ehlo x\nauth plain {bad}\nauth plain\n{bad}\nauth login\n{user}\n*\nauth cram-md5\n{user}"
        lasts = (f"auth plain {good}", f"auth plain\n{good}", f"auth login\n{user}\n{password}",
                 f"auth login {user}\n{password}")
        case = Case(tmp_path, [Section("conf", "", CONF)] + [
            Section("client", "", f"{lines}\n{last}\nquit") for last in lasts])
        texts = Runner(PYEXIM, top, real=False).run(case).texts
        log = texts["mainlog"] + (tmp_path / "log").read_text()
        sessions = [v for k, v in texts.items() if k.endswith("stdout")]
        assert len(sessions) == 4
        for said in sessions:
            codes = re.findall(r"(?m)^(\d{3}) ", said)
            assert codes[2:10] == ["535", "334", "535", "334", "334", "501", "334", "535"], log
            assert codes[-2:] == ["235", "221"], log
    finally:
        dovecot.terminate()
        dovecot.wait(10)
