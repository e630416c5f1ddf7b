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
        tool = [sys.executable, str(ROOT / "etc" / "install.py")]
        done = subprocess.run([*tool, "--destdir", name, "--links"], text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "Installed." in done.stdout
        main = destination / "usr" / "sbin" / "pyexim"
        if shutil.which("cc"):
            assert not main.is_symlink() and main.stat().st_mode & 0o777 == 0o755
            if main.stat().st_mode & stat.S_ISUID:
                assert main.stat().st_uid == 0 and f"{main}: set-uid root" in done.stdout
            else:
                assert "is not set-uid, for" in done.stdout
            assert subprocess.run([main, "-bV"], capture_output=True, text=True).returncode in (0, 71, 78)
            main.unlink()
            main.symlink_to("/opt/pyexim/bin/pyexim")
        links = {p.name: os.readlink(p) for p in (destination / "usr" / "sbin").iterdir()}
        assert links["pyexim"] == "/opt/pyexim/bin/pyexim"
        assert links["sendmail"] == links["mailq"] == "/usr/sbin/pyexim"
        page = gzip.decompress((destination / "usr/share/man/man8/pyexim.8.gz").read_bytes())
        assert page == (ROOT / "man" / "pyexim.8").read_bytes()
        program = str(destination / "opt" / "pyexim" / "bin" / "pyexim")
        live.program = program
        live.configure()
        live.start()
        assert live.run("-oi", "alice@test.example", stdin="Subject: x\n\nhello\n").returncode == 0
        wait_until(lambda: "hello" in live.mail("alice"), "mail")
        version = live.run("-bV").stdout
        assert version.startswith("Exim version 4.99 ")


def test_settings_are_checked(tmp_path: Path) -> None:
    tool = [sys.executable, str(ROOT / "etc" / "make_settings.py")]
    done = subprocess.run([*tool, "NO_SUCH=1"], text=True, capture_output=True)
    assert done.returncode == 1 and "NO_SUCH is no setting; there are: CONFIGURE_FILE " in done.stderr


def test_service_and_inetd_line_name_switches_that_exist() -> None:
    unit = (ROOT / "etc" / "pyexim.service").read_text()
    assert "ExecStart=/usr/sbin/pyexim -bdf -q${QUEUEINTERVAL}" in unit
    line = (ROOT / "etc" / "pyexim.inetd").read_text().splitlines()[-1].split()
    assert line == ["smtp", "stream", "tcp", "nowait", "exim", "/usr/sbin/pyexim", "pyexim", "-bs"]
