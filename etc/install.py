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
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

import build_launcher  # noqa: E402 - beside this file

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
    install = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
    if subprocess.run([*install, f"{ROOT}[tls]"], check=False).returncode:
        say("!! the libraries for TLS cannot be installed here: the server will not offer STARTTLS")
        subprocess.run([*install, str(ROOT)], check=True)
    subprocess.run([str(prefix / "bin" / "python"), "-m", "compileall", "-q", str(prefix / "lib")], check=False)
    for unwanted in (ROOT / "build", *ROOT.glob("*.egg-info")):
        shutil.rmtree(unwanted, ignore_errors=True)


def writable_by_others(path: Path, below: Path) -> Path | None:
    """Return what makes a file one that root should not execute for others: itself or a directory above, or None.

    Directories above ``below`` (DESTDIR) do not count: the file will not stay there.
    """
    for one in (path, *path.parents):
        if one == below.parent:
            break
        st = one.stat()
        if st.st_uid != 0 or st.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return one
    return None


def install_program(target: Path, prefix: str, top: Path, below: Path, set_uid: bool) -> None:
    """Install the program itself: the launcher, set-uid where that is wanted and safe; or a link to the script."""
    if build_launcher.compiler() is None:
        link(f"{prefix}/bin/pyexim", target)
        say("!! no C compiler: the program is a script without privilege.  Each command starts an interpreter, and "
            "those of ordinary users need the daemon")
        return
    main = next(top.glob("lib/python3*/site-packages/pyexim/__main__.py"))
    target.parent.mkdir(parents=True, exist_ok=True)
    build_launcher.build(target, f"{prefix}/bin/python", f"{prefix}/{main.relative_to(top)}")
    os.chmod(target, 0o755)
    if not set_uid:
        say(f"   {target}: not set-uid (SETUID=no): commands of ordinary users need the daemon")
        return
    if os.geteuid() != 0:
        say(f"!! {target} is not set-uid, for root alone can make it so (owner root, mode 4755): until then commands "
            "of ordinary users need the daemon")
        return
    # The interpreter's own directories are the system's; ours are below DESTDIR for now.
    for path, limit in ((main, below), (target, below), (Path(sys.executable).resolve(), Path("/")),
                        (Path(os.__file__).resolve(), Path("/"))):
        if fault := writable_by_others(path, limit):
            say(f"!! {target} is not set-uid, for others than root can write to {fault}, and so to what it would "
                "execute: commands of ordinary users need the daemon")
            return
    os.chown(target, 0, 0)
    os.chmod(target, 0o4755)
    say(f"   {target}: set-uid root, for commands of ordinary users while no daemon runs (SETUID=no leaves that out)")


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


def install(destination: str, prefix: str, *, links: bool, set_uid: bool) -> None:
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
    install_program(at(program), prefix, top, Path(destination or "/"), set_uid)
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
    parser.add_argument("--setuid", choices=("yes", "no"), default="yes", help="whether the program is set-uid root")
    parser.add_argument("--links", action="store_true", help="make sendmail, mailq, ... links to pyexim as well")
    options = parser.parse_args()
    try:
        install(options.destdir.rstrip("/"), options.prefix, links=options.links, set_uid=options.setuid == "yes")
    except PermissionError as e:
        sys.exit(f"make install: {e.strerror}: {e.filename} (are you root? DESTDIR= names another place)")
    except subprocess.CalledProcessError as e:
        sys.exit(f"make install: {' '.join(map(str, e.cmd[:3]))} ... failed (exit code {e.returncode})")


if __name__ == "__main__":
    main()
