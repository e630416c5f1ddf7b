"""``make settings NAME=value ...``: write the build-time settings that differ from the defaults."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from pyexim import settings  # noqa: E402 - the tree's own, whatever is installed

OF_MAKE = ("PYTHON", "DESTDIR", "PREFIX", "SETUID", "EXTRAS", "CC")
"""Variables of the Makefile itself, which come along."""


def main(arguments: list[str]) -> None:
    """Check the names and kinds, and write the module."""
    lines = ['"""Build-time settings of this installation; written by "make settings"."""', ""]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in OF_MAKE:
            continue
        if not equals or name not in settings.NAMES:
            sys.exit(f"make settings: {name} is no setting; there are: {' '.join(settings.NAMES)}")
        old = getattr(settings, name)
        if isinstance(old, bool):
            lines.append(f"{name} = {value.lower() in ('yes', 'true', '1')}")
        elif isinstance(old, int):
            lines.append(f"{name} = {oct(int(value, 8))}")
        else:
            lines.append(f"{name} = {value!r}")
    path = ROOT / "lib" / "pyexim" / "settings_local.py"
    path.write_text("\n".join(lines) + "\n")
    print(f"wrote {path.relative_to(ROOT)}: " + (", ".join(arguments) or "nothing but defaults"))


if __name__ == "__main__":
    main(sys.argv[1:])
