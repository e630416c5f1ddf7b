"""Start-up stays light: what a process that submits one message must not import.  See HACKING.md."""

import subprocess
import sys

import pyexim

HEAVY = {"asyncio", "cryptography", "dataclasses", "dns", "email", "inspect", "logging", "pcre2", "sqlite3", "ssl",
         "subprocess"}


def test_a_submission_imports_nothing_heavy() -> None:
    code = ("import sys; sys.path[:0] = sys.argv[1:]; "
            "import pyexim.cli.main, pyexim.startup.submission, pyexim.receive.submission; print(*sys.modules)")
    packages = [p for p in sys.path if p.endswith("site-packages")]
    top = str(pyexim.__path__[0]).rpartition("/")[0]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, top, *packages], capture_output=True, text=True,
                          check=True)
    assert not HEAVY & set(done.stdout.split())
