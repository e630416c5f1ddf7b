"""``make install``: pyexim with an environment of its own in /opt/pyexim, and links to it.

Nothing that belongs to another mail system is touched unless ``--links`` asks for it; no configuration
is overwritten.  With DESTDIR everything goes below that directory, as packagers need it.
"""

from __future__ import annotations

import argparse
import gzip
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from pyexim import settings  # noqa: E402 - the tree's own, whatever is installed

LINKS = ("sendmail", "mailq", "newaliases", "runq", "rsmtp", "rmail")
TOOLS = ("exicyclog", "exigrep", "exim_checkaccess", "exim_dbmbuild", "exim_dumpdb", "exim_fixdb", "exim_lock",
         "exim_msgdate", "exim_tidydb", "exinext", "exiqgrep", "exiqsumm", "exiwhat")
SHARED = ("configure.default", "pyexim.service", "pyexim.init", "pyexim.inetd")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def is_public(path: Path) -> bool:
    """Tell whether every user can enter all directories above a file."""
    return all(p.stat().st_mode & 0o001 for p in path.resolve().parents)


def make_environment(prefix: Path) -> None:
    """Make the environment and install the program with its libraries into it."""
    if prefix.exists():
        shutil.rmtree(prefix)
    say(f"== making the environment in {prefix}")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    say("== installing the program and its libraries")
    pip = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pip", "--python", str(prefix / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location", str(ROOT)],
                   check=True)
    subprocess.run([str(prefix / "bin" / "python"), "-m", "compileall", "-q", str(prefix / "lib")], check=False)
    for unwanted in (ROOT / "build", *ROOT.glob("*.egg-info")):
        shutil.rmtree(unwanted, ignore_errors=True)


def link(target: str, path: Path) -> None:
    """Make a symbolic link in place of whatever link or file is there; a file is kept as NAME.old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        kept = path.with_name(path.name + ".old")
        path.rename(kept)
        say(f"   {path} is kept as {kept.name}")
    path.symlink_to(target)
    say(f"   {path} -> {target}")


def install(destination: str, prefix: str, links: bool) -> None:
    """Install everything."""
    def at(path: str) -> Path:
        return Path(destination + path) if destination else Path(path)

    top = at(prefix)
    make_environment(top)
    say("== files")
    share = top / "share" / "pyexim"
    share.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        shutil.copy(ROOT / "etc" / name, share / name)
    pages = at("/usr/share/man/man8")
    pages.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(pages / "pyexim.8.gz", "wb", mtime=0) as f:
        f.write((ROOT / "man" / "pyexim.8").read_bytes())
    at("/etc/pyexim").mkdir(parents=True, exist_ok=True)
    program = f"{settings.BIN_DIRECTORY}/pyexim"
    link(f"{prefix}/bin/pyexim", at(program))
    for name in TOOLS:
        (top / "bin" / name).unlink(missing_ok=True)
        (top / "bin" / name).symlink_to("pyexim")
    if links:
        for name in TOOLS:
            link(f"{prefix}/bin/{name}", at(f"{settings.BIN_DIRECTORY}/{name}"))
        for name in LINKS:
            link(program, at(f"/usr/sbin/{name}"))
        link("../sbin/sendmail", at("/usr/lib/sendmail"))
    advise(prefix)


def advise(prefix: str) -> None:
    """Say what is still to be done."""
    if not is_public(Path(os.__file__)):
        say(f"!! the interpreter's library ({Path(os.__file__).parent}) cannot be read by ordinary users: their "
            "commands will not start.  Install with another one: make install PYTHON=/usr/bin/python3")
    try:
        pwd.getpwnam(settings.EXIM_USER)
    except KeyError:
        say(f"!! there is no user {settings.EXIM_USER}: adduser --system --group {settings.EXIM_USER}, or "
            "make settings EXIM_USER=... and install again")
    say(f"""
Installed.  Next, as root:

   cp {prefix}/share/pyexim/configure.default /etc/pyexim/configure       unless you have a configuration
   {settings.BIN_DIRECTORY}/pyexim --check-config
   cp {prefix}/share/pyexim/pyexim.service /etc/systemd/system/           or pyexim.init to /etc/init.d/pyexim
   make install-links                                              sendmail, mailq, ... become pyexim
""")


def main() -> None:
    """Read the arguments and install."""
    parser = argparse.ArgumentParser(description="install pyexim")
    parser.add_argument("--destdir", default="", help="a directory that everything goes below")
    parser.add_argument("--prefix", default="/opt/pyexim", help="where the program lives (default: %(default)s)")
    parser.add_argument("--links", action="store_true", help="make sendmail, mailq, ... links to pyexim as well")
    options = parser.parse_args()
    try:
        install(options.destdir.rstrip("/"), options.prefix, options.links)
    except PermissionError as e:
        sys.exit(f"make install: {e.strerror}: {e.filename} (are you root? DESTDIR= names another place)")
    except subprocess.CalledProcessError as e:
        sys.exit(f"make install: {' '.join(map(str, e.cmd[:3]))} ... failed (exit code {e.returncode})")


if __name__ == "__main__":
    main()
