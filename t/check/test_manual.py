"""The manual page names every switch of the command line, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from pyexim.startup import options

PAGE = Path(__file__).resolve().parents[2] / "man" / "pyexim.8"
REFUSED = re.compile("unknown, malformed|not supported")
FAMILIES = {
    "-bd", "-bdf", "-bw", "-bI:", "-bh", "-bhc", "-bem", "-d", "-dd", "-D", "-E", "-M", "-MC", "-q", "-qq", "-qf",
    "-qff", "-qi", "-ql", "-qG", "-R", "-S", "-p", "-oA", "-oB", "-oP", "-oX", "-or", "-os", "-B",
    *("-bp" + kind for kind in ("", "a", "c", "i", "r", "ra", "ri", "ru", "u")),
    *("-od" + kind for kind in ("b", "f", "i", "q", "qs", "d")),
    *("-oM" + kind for kind in ("a", "aa", "ai", "as", "i", "m", "r", "s", "t")),
    *("-MC" + kind for kind in "ADdGKLPQST"),
    "-Ac", "-Am", "-dropcr", "-m", "-om", "-oo", "-U", "-x", "-pd", "-ps", "-e"}
"""What the parser reads letter by letter rather than by a table."""


def switches() -> set[str]:
    """Return the switches that the parser's tables name, and its families."""
    tables = {*options._MODES, *options._SIMPLE, *options._FILTER_TESTS, *options._VALUES}
    return (tables | FAMILIES | {f"-{name}" for name in options._ON_MESSAGES}
            | {f"-{e}{mode}" for e in ("e", "oe") for mode in options._ERROR_MODES})


def on_the_page() -> set[str]:
    """Return the switches that stand at the head of an entry, or in one."""
    words = re.findall(r"(?<![\w\\-])((?:\\-){1,2}[A-Za-z][A-Za-z:]*(?:\\-\w+)*)", PAGE.read_text())
    return {word.replace("\\-", "-") for word in words}


def test_the_page_names_every_switch() -> None:
    assert not sorted(switches() - on_the_page())


def test_the_page_names_no_other() -> None:
    unknown = []
    for switch in sorted(on_the_page() - switches()):
        try:
            options.parse("exim", [switch, "1"])
        except options.UsageError as e:
            if REFUSED.search(str(e)):
                unknown.append(switch)
    assert not unknown


VALUES = {"-D": ["-DA=1"], "-bh": ["-bh", "192.0.2.1"], "-bhc": ["-bhc", "192.0.2.1"], "-p": ["-pa:b"],
          "-MC": ["-MC", "t", "h", "192.0.2.1", "1", "16VDhn-00001b-D3"], "-or": ["-or", "5m"], "-os": ["-os5m"],
          "-MG": ["-MG", "q", "16VDhn-00001b-D3"], "-h": ["-h", "5"], "-q": ["-q"], "-e": ["-ee"], "-oB": ["-oB5"]}


def test_every_switch_is_read() -> None:
    refused = []
    for switch in sorted(switches()):
        words = VALUES.get(switch, [switch, *["16VDhn-00001b-D3"] * 3])
        try:
            options.parse("exim", words)
        except options.UsageError as e:
            if REFUSED.search(str(e)):
                refused.append(f"{switch}: {e}")
    assert not refused
