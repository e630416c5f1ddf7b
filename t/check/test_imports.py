"""Start-up stays light: what a process that submits one message must not import.  See HACKING.md."""

import subprocess
import sys
from pathlib import Path

import pyexim

HEAVY = {"asyncio", "cryptography", "dataclasses", "dns", "email", "inspect", "logging", "pcre2", "sqlite3", "ssl",
         "subprocess"}
LATER = {"socket", "hmac", "_hashlib", "pyexim.transports.smtp", "pyexim.transports.smtp_hosts", "pyexim.smtp.client",
         "pyexim.spool.api", "pyexim.expand.variables", "pyexim.acl.conditions", *HEAVY}
"""What reading a configuration does not need: each costs every command a part of a millisecond or more."""
DEBIAN = Path(__file__).parents[1] / "cases" / "config" / "debian" / "internet-single.conf"


def _imported(code: str, *arguments: str) -> set[str]:
    """Run code in a fresh interpreter; the modules that it has loaded, which it prints last."""
    packages = [p for p in sys.path if p.endswith("site-packages")]
    top = str(pyexim.__path__[0]).rpartition("/")[0]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = sys.argv[1:3]; {code}; "
                           "print(*sys.modules)", top, packages[0], *arguments],
                          capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_a_submission_imports_nothing_heavy() -> None:
    assert not HEAVY & _imported("import pyexim.cli.main, pyexim.startup.submission, pyexim.receive.submission")


def test_a_configuration_is_read_with_few_modules() -> None:
    found = _imported("from pyexim.cli.main import main; main(['exim', '-C', sys.argv[3], '-bP', 'qualify_domain'])",
                      str(DEBIAN))
    assert not LATER & found
    assert "pyexim.transports.smtp_options" in found
