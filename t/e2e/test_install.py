"""What an operator does: make install below DESTDIR, the init script, the settings."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from live import PROGRAM, ROOT, Live, wait_until


def script(live: Live, word: str) -> subprocess.CompletedProcess[str]:
    """Run the init script with our paths."""
    defaults = live.top / "defaults"
    defaults.write_text(f"DAEMON={PROGRAM}\nPIDFILE={live.top}/exim.pid\nOPTIONS='-C {live.conf}'\nQUEUEINTERVAL=7m\n")
    return subprocess.run(["sh", str(ROOT / "etc" / "pyexim.init"), word], text=True, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "PYEXIM_DEFAULTS": str(defaults)})


def test_init_script() -> None:
    with Live() as live:
        assert script(live, "status").returncode == 3
        assert script(live, "reload").returncode == 7
        done = script(live, "start")
        assert (done.returncode, done.stdout) == (0, "pyexim started\n")
        wait_until(lambda: live.pid() is not None, "pid file")
        live.master = psutil.Process(live.pid() or 0)
        assert "-q7m, listening" in live.wait_log("daemon started")
        assert script(live, "start").stdout.startswith("pyexim runs already")
        assert script(live, "status").stdout == f"pyexim runs (process {live.pid()})\n"
        live.configure(acl="deny message = reloaded")
        assert script(live, "reload").returncode == 0
        live.wait_log("daemon started", 2)
        with live.session() as c:
            assert c.send("alice@test.example") == "550 reloaded"
        first = live.pid()
        assert script(live, "restart").returncode == 0
        wait_until(lambda: live.pid() not in (None, first), "another daemon")
        live.master = psutil.Process(live.pid() or 0)
        assert script(live, "stop").stdout == "pyexim stopped\n"
        assert script(live, "stop").stdout == "pyexim does not run\n"
        assert script(live, "no-such-word").returncode == 2


@pytest.mark.slow
def test_make_install() -> None:
    with tempfile.TemporaryDirectory(prefix="pyexim-install-") as name, Live() as live:
        destination = Path(name)
        os.chmod(destination, 0o755)
        sbin, bin_, top = destination / "usr/sbin", destination / "usr/bin", destination / "opt/pyexim"

        def make(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([sys.executable, str(ROOT / "etc" / "install.py"), "--destdir", name, *words],
                                  text=True, capture_output=True, timeout=300, env=os.environ | env)

        for path in (sbin, bin_):
            path.mkdir(parents=True)
        (sbin / "sendmail").symlink_to("exim4")  # another mail system's
        (bin_ / "mailq").write_text("#!/bin/sh\n")
        done = make("--links", "--extras", "redis")
        assert done.returncode == 0, done.stderr
        assert "Installed." in done.stdout
        main = sbin / "pyexim"
        if shutil.which("cc"):
            assert not main.is_symlink() and main.stat().st_mode & 0o777 == 0o755
            if main.stat().st_mode & stat.S_ISUID:
                assert main.stat().st_uid == 0 and f"{main}: set-uid root" in done.stdout
            else:
                assert "is not set-uid, for" in done.stdout
            assert subprocess.run([main, "-bV"], capture_output=True, text=True).returncode in (0, 71, 78)
        assert {os.readlink(p) for p in (sbin / "sendmail", sbin / "exim", bin_ / "mailq", bin_ / "newaliases",
                                         destination / "usr/lib/sendmail")} == {"/usr/sbin/pyexim"}
        assert os.readlink(sbin / "exiqgrep") == "/opt/pyexim/bin/exiqgrep"
        assert os.readlink(sbin / "sendmail.old") == "exim4"
        page = gzip.decompress((destination / "usr/share/man/man8/pyexim.8.gz").read_bytes())
        assert page == (ROOT / "man" / "pyexim.8").read_bytes()
        packages = next(top.glob("lib/python3*/site-packages"))
        assert (packages / "redis").is_dir() and not (packages / "pip").exists()
        assert name not in (top / "pyvenv.cfg").read_text()
        live.program = str(top / "bin" / "pyexim")
        live.configure()
        live.start()
        assert live.run("-oi", "alice@test.example", stdin="Subject: x\n\nhello\n").returncode == 0
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        version = live.run("-bV").stdout
        assert version.startswith("Exim version 4.99 ") and " redis " in version and " ldap " not in version

        # What cannot be made leaves the old one as it was; without a compiler no privilege stays behind.
        assert make("--extras", "redis", PIP_NO_INDEX="1", PIP_FIND_LINKS=name).returncode != 0
        assert live.run("-bV").stdout == version
        again = ("import sys, pathlib as p, install as i; at = p.Path(sys.argv[1]); "
                 "i.install_program(at / 'usr/sbin/pyexim', '/opt/pyexim', at / 'opt/pyexim', at, True); "
                 "i.link('/usr/sbin/pyexim', at / 'usr/sbin/sendmail', system=False)")
        done = subprocess.run([sys.executable, "-c", again, name], text=True, capture_output=True, cwd=ROOT / "etc",
                              env=os.environ | {"CC": "no-such-compiler"})
        assert done.returncode == 0, done.stderr
        assert "no C compiler" in done.stdout and os.readlink(main) == "/opt/pyexim/bin/pyexim"
        assert os.readlink(sbin / "sendmail.old") == "exim4"  # not what we had put in its place

        (destination / "etc/pyexim/configure").write_text("# mine\n")
        assert make("--uninstall").returncode == 0
        left = {str(p.relative_to(destination)) for p in destination.rglob("*") if not p.is_dir() or p.is_symlink()}
        assert left == {"usr/sbin/sendmail", "usr/bin/mailq", "etc/pyexim/configure"}
        assert os.readlink(sbin / "sendmail") == "exim4" and (bin_ / "mailq").read_text() == "#!/bin/sh\n"


def test_settings_are_checked(tmp_path: Path) -> None:
    tool = [sys.executable, str(ROOT / "etc" / "make_settings.py")]
    done = subprocess.run([*tool, "NO_SUCH=1"], text=True, capture_output=True)
    assert done.returncode == 1 and "NO_SUCH is no setting; there are: CONFIGURE_FILE " in done.stderr


def test_service_and_inetd_line_name_switches_that_exist() -> None:
    unit = (ROOT / "etc" / "pyexim.service").read_text()
    assert "ExecStart=/usr/sbin/pyexim -bdf -q${QUEUEINTERVAL} $OPTIONS" in unit
    line = (ROOT / "etc" / "pyexim.inetd").read_text().splitlines()[-1].split()
    assert line == ["smtp", "stream", "tcp", "nowait", "exim", "/usr/sbin/pyexim", "pyexim", "-bs"]
