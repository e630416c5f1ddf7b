"""-brt: which retry rule there is for an address or domain, and perhaps an error.

Spec: chapter "The Exim command line", option -brt.
"""

from __future__ import annotations

import os

from pyexim.expand.scope import Scope
from pyexim.retry import errors as e
from pyexim.retry.api import find_rule
from pyexim.retry.rules import ErrorTest, parse_error


def report(arguments: list[str], scope: Scope) -> str:
    """Return what -brt prints; a sender given with -f is that of ``scope.message``."""
    out = ""
    subject = arguments[0]
    if "@" not in subject and "." not in subject:
        out += (f'Warning: "{subject}" contains no \'@\' and no \'.\' characters. It is being \n'
                "treated as a one-component domain, not as a local part.\n\n")
    rest = arguments[1:]
    domain = None
    if rest and "." in rest[0]:
        domain = rest.pop(0)
    number, detail = 0, 0
    if rest:
        try:
            number, detail = example_of(parse_error(rest[0]))
        except ValueError as problem:
            return f"{out}{problem}\n"
    sender = scope.message.sender_address if scope.message is not None else None
    rule = find_rule(subject, domain, number, detail, sender, scope)
    if rule is None:
        return out + "No retry information found\n"
    return f"{out}Retry rule: {rule.format()}\n"


def example_of(test: ErrorTest) -> tuple[int, int]:
    """Return an error, as number and detail, that an error name stands for."""
    if not test.numbers:
        return 0, 0
    number = e.ERRNO_EXIMQUOTA if e.ERRNO_EXIMQUOTA in test.numbers else min(test.numbers)
    if test.unread_for >= 0:
        return number, test.unread_for
    detail = test.origin
    if test.code >= 0:
        detail |= test.code << 8
    if test.connecting:
        detail |= e.CONNECT_TIMEOUT
    return number, detail


def describe(number: int) -> str:
    """Return the text of a system error, "" for one of our own."""
    return os.strerror(number) if number > 0 else ""
