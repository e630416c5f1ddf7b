"""Helpers: reading a configuration from a text, with settings that depend on no machine."""

from pathlib import Path
from types import SimpleNamespace

from pyexim.config.configuration import Configuration
from pyexim.config.reader import read_configuration

CASES = Path(__file__).resolve().parents[2] / "cases" / "config"
DEBIAN = SimpleNamespace(
    EXIM_USER="Debian-exim", EXIM_GROUP="Debian-exim", SPOOL_DIRECTORY="/var/spool/exim4",
    LOG_FILE_PATH="/var/log/exim4/%slog", PID_FILE_PATH="/run/exim4/exim.pid", PROGRAM="/usr/sbin/exim4")
"""The build-time settings of the program that the cases were observed with."""


def read(text: str, **keywords: object) -> Configuration:
    keywords.setdefault("settings", DEBIAN)
    return read_configuration(["/conf"], data=text.encode("latin-1"), **keywords)  # type: ignore[arg-type]


def blocks(name: str) -> list[tuple[str, list[str]]]:
    """Return (configuration, lines after "-> ") of a file of cases."""
    out = []
    for block in (CASES / name).read_text("latin-1").split("=====\n")[1:]:
        lines = block.split("\n")
        first = next(i for i, line in enumerate(lines) if line.startswith("-> "))
        answer = "\n".join(lines[first:]).rstrip("\n")
        out.append(("\n".join(lines[:first]) + "\n", answer.removeprefix("-> ").split("\n-> ")))
    return out
