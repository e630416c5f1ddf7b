"""The condition ``condition``: an expanded string that says yes or no.  Spec: section "ACL conditions"."""

from __future__ import annotations

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.parser import Item
from pyexim.acl.run import FAIL, OK, AclRun, Step
from pyexim.base.octets import lower, strip


def truth(text: str) -> bool | None:
    """Return what a text means as a condition, None where it means nothing: empty, a number, yes, no, true, false."""
    word = strip(text)
    if not word or word == "0":
        return False
    if word == "1":
        return True
    digits = word[1:] if word[0] in "+-" else word
    if digits.isascii() and digits.isdigit():
        return int(digits) != 0
    return {"yes": True, "true": True, "no": False, "false": False}.get(lower(word))


def condition(item: Item, build: Build) -> Step:
    """Make the step of ``condition = string``."""
    def check(run: AclRun, value: str) -> int:
        answer = truth(value)
        if answer is None:
            return run.deferred(f'invalid "condition" value "{value}"')
        return OK if answer else FAIL
    return with_argument(item, check)
