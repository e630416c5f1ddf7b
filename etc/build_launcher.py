"""Compile src/launcher.c with the build-time settings: for ``make install``, or for this source tree.

A module to be imported (``build``) and a command: ``etc/build_launcher.py`` makes ``src/launcher``, which
``bin/pyexim`` uses where it is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from pyexim import settings  # noqa: E402 - the tree's own, whatever is installed

SOURCE = ROOT / "src" / "launcher.c"
IN_TREE = ROOT / "src" / "launcher"
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
         "-Wwrite-strings", "-Wformat=2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-fPIE", "-pie",
         "-Wl,-z,relro,-z,now,-z,noexecstack")
PASSED = ("CONFIGURE_FILE", "COMMAND_DIRECTORY", "EXIM_USER", "SPOOL_DIRECTORY")


def compiler() -> list[str] | None:
    """Return how the C compiler is called (CC, or cc), or None where there is none."""
    words = os.environ.get("CC", "cc").split()
    return words if words and shutil.which(words[0]) else None


def c_string(text: str) -> str:
    """Return a text as a C string: every octet that is not plain by number."""
    octets = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if chr(b).isalnum() or b in b"/._- :" else f"\\{b:03o}" for b in octets) + '"'


def build(target: Path, interpreter: str = "", program: str = "", *, flags: tuple[str, ...] = (),
          **changed: str) -> None:
    """Compile the launcher; without interpreter and program that of a source tree.

    ``changed`` settings stand above those of the build.  Raises CalledProcessError.
    """
    command = compiler()
    assert command is not None
    values = {name: getattr(settings, name) for name in PASSED} | changed
    if program:
        values |= {"INTERPRETER": interpreter, "PROGRAM": program}
    lines = [f"#define {name} {c_string(value)}\n" for name, value in values.items()]
    if not program:
        lines.append("#define IN_TREE\n")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "launcher_settings.h").write_text("".join(lines))
        new = target.with_name(target.name + ".new")
        subprocess.run([*command, *FLAGS, *flags, "-I", name, "-o", str(new), str(SOURCE)], check=True)
    new.replace(target)


def main() -> None:
    """Make that of the source tree; without a compiler say what that means, which is no failure."""
    if compiler() is None:
        IN_TREE.unlink(missing_ok=True)
        print("== no C compiler (Debian: gcc, libc6-dev): a command costs an interpreter's start more")
        return
    print("== compiling src/launcher")
    try:
        build(IN_TREE)
    except subprocess.CalledProcessError as e:
        IN_TREE.unlink(missing_ok=True)
        print(f"== src/launcher cannot be compiled (exit code {e.returncode}; see above): commands start without it")


if __name__ == "__main__":
    main()
