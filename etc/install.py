"""``make install`` and ``make uninstall``: pyexim with an environment of its own in /opt/pyexim, and links to it.

Nothing that belongs to another mail system is touched unless ``--links`` asks for it, and then it is kept as
NAME.old; no configuration is overwritten.  An installation that is there works until the new one is whole, and
stays where that cannot be made.  With DESTDIR everything goes below that directory, as packagers need it.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

import build_launcher  # noqa: E402 - beside this file

from pyexim import settings  # noqa: E402 - the tree's own, whatever is installed

LINKS = ("sbin/sendmail", "bin/mailq", "bin/newaliases", "sbin/exim", "sbin/runq", "sbin/rsmtp", "sbin/rmail",
         "lib/sendmail")
"""Names of a mail system's program, below /usr, where programs look for them."""
PAGE = "/usr/share/man/man8/pyexim.8.gz"
TOOLS = ("exicyclog", "exigrep", "exim_checkaccess", "exim_dbmbuild", "exim_dumpdb", "exim_fixdb", "exim_lock",
         "exim_msgdate", "exim_tidydb", "exinext", "exiqgrep", "exiqsumm", "exiwhat")
SHARED = ("configure.default", "pyexim.service", "pyexim.init", "pyexim.inetd")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def is_public(path: Path) -> bool:
    """Tell whether every user can enter all directories above a file."""
    return all(p.stat().st_mode & 0o001 for p in path.resolve().parents)


def make_environment(top: Path, prefix: str, extras: str) -> None:
    """Make the environment with the program and its libraries in it, beside the old one, and put it in its place.

    ``prefix`` is the name that it will have, and ``top`` where that is now.
    """
    new, old = top.with_name(top.name + ".new"), top.with_name(top.name + ".old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    say(f"== making the environment in {top}")
    try:
        fill_environment(new, prefix, extras)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if top.exists():
        top.rename(old)
    new.rename(top)
    shutil.rmtree(old, ignore_errors=True)


def fill_environment(new: Path, prefix: str, extras: str) -> None:
    """Make an environment that will be moved to ``prefix``."""
    subprocess.run([sys.executable, "-m", "venv", str(new)], check=True)
    say("== installing the program and its libraries")
    pip = [str(new / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as name:  # what a build leaves in the tree must not come along the next time
        source = Path(name) / "pyexim"
        source.mkdir()
        for part in ("lib", "bin"):
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
        for part in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / part, source)
        what = f"{source}[{extras}]" if extras else str(source)
        if subprocess.run([*pip, "install", "--quiet", "--no-warn-script-location", what], check=False).returncode:
            sys.exit("make: the libraries cannot be installed, and nothing is changed.  Where it is an optional one, "
                     f"leave its feature out (now EXTRAS={extras})")
    # What is only needed for installing does not stay: root will execute what is there.
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", "--root-user-action=ignore", "setuptools", "pip"],
                   check=True)
    config = new / "pyvenv.cfg"
    config.write_text(config.read_text().replace(str(new), prefix))
    for script in ("activate", "activate.csh", "activate.fish", "Activate.ps1"):
        (new / "bin" / script).unlink(missing_ok=True)
    subprocess.run([str(new / "bin" / "python"), "-m", "compileall", "-q", "-f", "-s", str(new), "-p", prefix,
                    str(new / "lib")], check=False)


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


def privilege_fault(main: Path, target: Path, below: Path) -> str:
    """Return why the program must not be set-uid; "" where it may."""
    if os.geteuid() != 0:
        return "for root alone can make it so (owner root, mode 4755): until then"
    # The interpreter's own directories are the system's; ours are below DESTDIR for now.
    for path, limit in ((main, below), (target.parent, below), (Path(sys.executable).resolve(), Path("/")),
                        (Path(os.__file__).resolve(), Path("/"))):
        if fault := writable_by_others(path, limit):
            return f"for others than root can write to {fault}, and so to what it would execute:"
    return ""


def install_program(target: Path, prefix: str, top: Path, below: Path, set_uid: bool) -> None:
    """Install the program itself: the launcher, set-uid where that is wanted and safe; or a link to the script."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if build_launcher.compiler() is None:
        target.unlink(missing_ok=True)  # an older one, with its privilege
        target.symlink_to(f"{prefix}/bin/pyexim")
        say(f"   {target} -> {prefix}/bin/pyexim")
        say("!! no C compiler: the program is a script without privilege.  Each command starts an interpreter, and "
            "those of ordinary users need the daemon")
        return
    main = next(top.glob("lib/python3*/site-packages/pyexim/__main__.py"))
    ready = target.with_name(target.name + ".ready")
    build_launcher.build(ready, f"{prefix}/bin/python", f"{prefix}/{main.relative_to(top)}")
    fault = privilege_fault(main, target, below) if set_uid else ""
    if set_uid and not fault:
        os.chown(ready, 0, 0)
    os.chmod(ready, 0o4755 if set_uid and not fault else 0o755)
    ready.replace(target)
    if not set_uid:
        say(f"   {target}: not set-uid (SETUID=no): commands of ordinary users need the daemon")
    elif fault:
        say(f"!! {target} is not set-uid, {fault} commands of ordinary users need the daemon")
    else:
        say(f"   {target}: set-uid root, for commands of ordinary users while no daemon runs (SETUID=no leaves that "
            "out)")


def divert(word: str, path: Path) -> bool:
    """Have Debian's package manager move a package's file away (``add``) or back (``remove``); whether it did."""
    if shutil.which("dpkg-divert") is None or shutil.which("dpkg-query") is None:
        return False
    if word == "add":
        owned = subprocess.run(["dpkg-query", "-S", str(path)], capture_output=True).returncode == 0
    else:
        owned = subprocess.run(["dpkg-divert", "--truename", str(path)], capture_output=True,
                               text=True).stdout.strip() == f"{path}.old"
    if owned:
        subprocess.run(["dpkg-divert", "--local", "--quiet", "--rename", "--divert", f"{path}.old", f"--{word}",
                        str(path)], check=True)
    return owned


def link(target: str, path: Path, *, system: bool) -> None:
    """Make a symbolic link; what is there and is not ours is kept as NAME.old, in ``system`` also over upgrades."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and os.readlink(path) == target:
        return
    kept = path.with_name(path.name + ".old")
    if os.path.lexists(path) and not (system and divert("add", path)):
        if os.path.lexists(kept):
            say(f"!! {path} is another program's, and so is {kept}: not changed")
            return
        path.rename(kept)
    if os.path.lexists(kept):
        say(f"   {path} was kept as {kept.name}")
    path.symlink_to(target)
    say(f"   {path} -> {target}")


def unlink(target: str, path: Path, *, system: bool) -> None:
    """Take back what ``link`` has done."""
    if not path.is_symlink() or os.readlink(path) != target:
        return
    path.unlink()
    say(f"   {path} is removed")
    kept = path.with_name(path.name + ".old")
    if os.path.lexists(kept) and not (system and divert("remove", path)):
        kept.rename(path)
    if os.path.lexists(path):
        say(f"   {path} is what it was before")


def all_links(prefix: str, program: str) -> list[tuple[str, str]]:
    """Return (target, path) of the links that are made on request."""
    return [*((program, f"/usr/{name}") for name in LINKS),
            *((f"{prefix}/bin/{name}", f"{settings.BIN_DIRECTORY}/{name}") for name in TOOLS)]


def install(destination: str, prefix: str, *, links: bool, set_uid: bool, extras: str) -> None:
    """Install everything."""
    def at(path: str) -> Path:
        return Path(destination + path)

    top = at(prefix)
    top.parent.mkdir(parents=True, exist_ok=True)
    make_environment(top, prefix, extras)
    say("== files")
    share = top / "share" / "pyexim"
    share.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        shutil.copy(ROOT / "etc" / name, share / name)
    at(PAGE).parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(at(PAGE), "wb", mtime=0) as f:
        f.write((ROOT / "man" / "pyexim.8").read_bytes())
    at("/etc/pyexim").mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        (top / "bin" / name).symlink_to("pyexim")
    program = f"{settings.BIN_DIRECTORY}/pyexim"
    install_program(at(program), prefix, top, Path(destination or "/"), set_uid)
    if links:
        for target, path in all_links(prefix, program):
            link(target, at(path), system=not destination)
    advise(prefix)


def uninstall(destination: str, prefix: str) -> None:
    """Remove what was installed; configuration, spool and logs stay."""
    def at(path: str) -> Path:
        return Path(destination + path)

    program = f"{settings.BIN_DIRECTORY}/pyexim"
    for target, path in all_links(prefix, program):
        unlink(target, at(path), system=not destination)
    for path in (program, PAGE):
        at(path).unlink(missing_ok=True)
    if at(prefix).exists():
        shutil.rmtree(at(prefix))
    with contextlib.suppress(OSError):
        at("/etc/pyexim").rmdir()  # where no configuration is in it
    say(f"{at(prefix)}, {at(program)} and {at(PAGE)} are removed; configuration, spool and logs are where they were. "
        "A daemon that runs is not stopped")


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
    parser.add_argument("--extras", default="", help="optional features, as named in setup.py: redis,ldap")
    parser.add_argument("--uninstall", action="store_true", help="remove all of this instead")
    options = parser.parse_args()
    destination = options.destdir.rstrip("/")
    try:
        if options.uninstall:
            uninstall(destination, options.prefix)
        else:
            install(destination, options.prefix, links=options.links, set_uid=options.setuid == "yes",
                    extras=options.extras)
    except PermissionError as e:
        sys.exit(f"make: {e.strerror}: {e.filename} (are you root? DESTDIR= names another place)")
    except subprocess.CalledProcessError as e:
        sys.exit(f"make: {' '.join(map(str, e.cmd[:4]))} ... failed (exit code {e.returncode})")


if __name__ == "__main__":
    main()
