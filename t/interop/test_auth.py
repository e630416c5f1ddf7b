"""AUTH inside TLS between a real Exim and pyexim, both ways, with every mechanism that both have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compare import PYEXIM, Case, Runner, Section, find_exim

EXIM = find_exim()
MECHANISMS = ("plain", "login", "cram", "external", "ntlm")
CONF = """\
trusted_users = root
tls_advertise_hosts = *
tls_certificate = @TOP@/cert.pem
tls_privatekey = @TOP@/key.pem
acl_smtp_rcpt = accept authenticated = *
begin routers
out:
  driver = manualroute
  condition = ${if !def:sender_host_authenticated}
  route_data = 127.0.0.1
  self = send
  transport = out
in:
  driver = redirect
  data = :blackhole:
begin transports
out:
  driver = smtp
  port = ${lookup{port}lsearch{@TOP@/port}}
  hosts_require_auth = *
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_certificates = @TOP@/cert.pem
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_condition = ${if eq{$domain}{plain.test}}
  client_send = ^user^p^^ss
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{user}}{eq{$auth3}{p^ss}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  client_condition = ${if eq{$domain}{login.test}}
  client_send = : user : p${if eq{$auth2}{Password?}{a}}ss
  server_prompts = User Name? : Password?
  server_condition = ${if and{{eq{$auth1}{user}}{eq{$auth2}{pass}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  client_condition = ${if eq{$domain}{cram.test}}
  client_name = user
  client_secret = a secret that is longer than the sixty-four octets of a block of MD5, as it may be
  server_secret = ${if eq{$auth1}{user}\\
                   {a secret that is longer than the sixty-four octets of a block of MD5, as it may be}fail}
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  client_condition = ${if eq{$domain}{external.test}}
  client_send = user
  server_condition = ${if eq{$auth1}{user}}
  server_set_id = $auth1
ntlm:
  driver = spa
  public_name = NTLM
  client_condition = ${if eq{$domain}{ntlm.test}}
  client_username = user
  client_password = SecREt01
  client_domain = WORKGROUP
  server_password = ${if eq{$auth1}{user}{SecREt01}fail}
  server_set_id = $auth1
"""


def certify(top: Path) -> None:
    """Make a certificate for 127.0.0.1, which anybody may read."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", str(top / "key.pem"), "-out", str(top / "cert.pem")], check=True, capture_output=True)
    (top / "key.pem").chmod(0o644)


@pytest.mark.real
@pytest.mark.skipif(EXIM is None, reason="no real Exim on this machine (Debian: exim4-daemon-heavy)")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an Exim gives up its privilege for a caller's configuration")
@pytest.mark.parametrize("real_server", [True, False], ids=["exim-serves", "pyexim-serves"])
def test_mechanisms(real_server: bool, tmp_path: Path) -> None:
    programs = {True: EXIM or "", False: PYEXIM}
    tmp_path.chmod(0o755)
    runners = []
    for name, real in (("server", real_server), ("client", not real_server)):
        (tmp_path / name).mkdir()
        runners.append(Runner(programs[real], tmp_path / name, real=real))
    server, client = runners
    try:
        certify(server.top)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(server.top / name, client.top / name)
        for one in runners:
            one._prepare(Case(Path("conf"), [Section("conf", "", CONF)]))
        server._start_daemon()
        (client.top / "port").write_text(f"port: {server.port}\n")
        for mechanism in MECHANISMS:
            done = subprocess.run([client.program, "-C", client.conf, "-odi", "-f", "me@remote.test",
                                   f"x@{mechanism}.test"], input=b"hello\n", capture_output=True, timeout=30)
            assert done.returncode == 0, done.stderr
    finally:
        for one in runners:
            one._stop()
    encrypted = r"X=TLS1\.[23]:\S+:\d+"
    told = [(runner.top / "log" / "mainlog").read_text() for runner in (client, server)]
    for mechanism in MECHANISMS:
        assert re.search(rf"=> x@{mechanism}\.test R=out .* {encrypted} CV=yes .*A={mechanism} ", told[0]), told
        assert re.search(rf"<= me@remote\.test .* P=esmtpsa {encrypted} CV=no .*A={mechanism}:user ", told[1]), told
    assert "authenticator failed" not in told[1]
