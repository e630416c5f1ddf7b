"""A copy of pyexim with build-time settings of its own, and ways to call it as another user, for tests as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy(where: Path, **settings: str) -> Path:
    """Copy the tree's program to a directory, build it with these settings; its bin/pyexim."""
    where.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in ("lib", "bin", "etc", "src"):
        shutil.copytree(ROOT / name, where / name,
                        ignore=shutil.ignore_patterns("*.egg-info", "settings_local.py", "launcher"))
    (where / ".venv").symlink_to(sys.prefix)
    words = [f"{key}={value}" for key, value in settings.items()]
    subprocess.run([sys.executable, str(where / "etc" / "make_settings.py"), *words], check=True,
                   stdout=subprocess.DEVNULL)
    return where / "bin" / "pyexim"


def launcher(program: Path, target: Path, *, set_uid: bool) -> Path:
    """Compile the launcher of a copy, with its settings, as an installation has it; the target."""
    top = program.parents[1]
    code = "import sys, pathlib, build_launcher as b; b.build(pathlib.Path(sys.argv[1]), *sys.argv[2:])"
    subprocess.run([sys.executable, "-c", code, str(target), str(top / ".venv" / "bin" / "python"),
                    str(top / "lib" / "pyexim" / "__main__.py")], check=True, cwd=top / "etc")
    os.chmod(target, 0o4755 if set_uid else 0o755)
    return target


def call(program: Path, user: str, *arguments: str, stdin: str = "", set_uid: bool = True, timeout: float = 60,
         env: dict[str, str] | None = None, name: str = "exim") -> subprocess.CompletedProcess[str]:
    """Run the program as a user; with ``set_uid`` as a set-uid front would: effective uid 0, real uid the caller's."""
    entry = pwd.getpwnam(user)
    effective = 0 if set_uid else entry.pw_uid
    top = program.parents[1]
    python = str(top / ".venv" / "bin" / "python") if set_uid else public_python()

    def become() -> None:
        os.setgroups(os.getgrouplist(user, entry.pw_gid))
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, effective, effective)

    return subprocess.run(
        [python, "-I", "-S", str(top / "lib" / "pyexim" / "__main__.py"), name, *arguments], input=stdin, text=True,
        capture_output=True, timeout=timeout, preexec_fn=become, cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": entry.pw_dir} if env is None else env)


def public_python() -> str:
    """Return an interpreter that every user can run: ours may stand where only root can read."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
