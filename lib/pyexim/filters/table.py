"""What an Exim filter may say: commands, keywords, tests.  Spec: the filter document, chapter 3."""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """A command: how its data is read, and whether seen, unseen and noerror may stand before it."""

    reader: str
    flagged: bool = True


COMMANDS: Final[dict[str, Row]] = {
    "add": Row("add", False),
    "defer": Row("verdict"),
    "deliver": Row("deliver"),
    "elif": Row("none", False),
    "else": Row("none", False),
    "endif": Row("none", False),
    "fail": Row("verdict"),
    "finish": Row("none"),
    "freeze": Row("verdict"),
    "headers": Row("headers", False),
    "if": Row("if", False),
    "logfile": Row("file"),
    "logwrite": Row("one"),
    "mail": Row("mail"),
    "pipe": Row("one"),
    "save": Row("file"),
    "testprint": Row("one"),
    "vacation": Row("mail"),
}

MAIL_WORDS: Final = (
    "to", "cc", "bcc", "from", "reply_to", "subject", "extra_headers", "text", "expand", "file", "log", "once",
    "once_repeat", "return")
"""Keywords of mail and vacation, in the order in which -bf shows them."""

VACATION: Final = {"subject": "On vacation", "file": ".vacation.msg", "log": ".vacation.log", "once": ".vacation",
                   "once_repeat": "7d"}
"""What vacation says where the command does not; its own file is expanded."""

HEADERS_WORDS: Final = ("add", "remove", "charset")

PLAIN_TESTS: Final = ("delivered", "error_message", "first_delivery", "manually_thawed")

COMPARISONS: Final = {
    word: (name, word.isupper())
    for name in ("begin", "contain", "end", "match")
    for word in (name, name.upper(), f"{name}es" if name == "match" else f"{name}s",
                 (f"{name}es" if name == "match" else f"{name}s").upper())
} | {"above": ("above", False), "below": ("below", False), "is": ("is", False), "IS": ("is", True)}
"""Word -> (test, whether the case of letters counts)."""
