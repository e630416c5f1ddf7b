"""Every option is acted upon somewhere, or says why it is not; the page about the latter is current."""

from __future__ import annotations

import re
from pathlib import Path

from pyexim.config.document import option_groups, options_without_effect
from pyexim.config.option import declared
from pyexim.config.table import DRIVER_TABLES, GENERIC_OPTIONS, driver_names, driver_options, resolve

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib" / "pyexim"

_DECLARATION = re.compile(r"^    \w+: [^=\n]+ = option\((?:.|\n)*?\)\n(?=\n|    \w|\Z|@|class)", re.M)
_USES = re.compile(r"\.(\w+)|[\"'](\w+)[\"']", re.ASCII)
ACTED_ON_ELSEWHERE = {
    "driver": "the reader makes the instance with it",
    "verify": "sets verify_sender and verify_recipient",
    "fail_verify": "sets fail_verify_sender and fail_verify_recipient",
}


def names_used() -> set[str]:
    """Return every attribute and every string of one word in the code, declarations left out."""
    used: set[str] = set()
    for path in LIB.rglob("*.py"):
        if path.relative_to(LIB).parts[0] == "config" and path.name in ("main_options.py", "show.py"):
            continue
        text = _DECLARATION.sub("", path.read_text())
        used.update(a or b for a, b in _USES.findall(text))
    return used


def test_every_option_is_acted_upon_or_says_why_not() -> None:
    used = names_used() | ACTED_ON_ELSEWHERE.keys()
    wrong = []
    for where, infos in option_groups():
        wrong += [f"{where}: {name}" for name, info in infos.items() if name not in used and not info.no_effect]
    assert not wrong, "\n".join(wrong)


def test_drivers_of_the_tables_exist() -> None:
    for kind in DRIVER_TABLES:
        generic = declared(resolve(GENERIC_OPTIONS[kind])).keys()
        for driver in driver_names(kind):
            assert generic <= declared(driver_options(kind, driver)).keys(), (kind, driver)


def test_the_page_is_current() -> None:
    page = ROOT / "docs" / "options-without-effect.md"
    assert page.read_text() == options_without_effect(), (
        "write it anew: python -m pyexim.config.document > docs/options-without-effect.md")
